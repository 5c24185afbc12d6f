//! The program under test: the command line's own library, so that tests find it as `CARGO_BIN_EXE_node`.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    syngrad::main()
}
