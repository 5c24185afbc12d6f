//! The one program: everything is in the library.

use std::process::ExitCode;

/// Training allocates tensors of the same few sizes over and over; glibc gives their pages back each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    syngrad::main()
}
