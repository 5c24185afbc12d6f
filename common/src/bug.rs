//! What a panic does: it is a bug of ours, and the process ends.

use std::io::Write as _;
use std::{panic, process};

use crate::error::Exit;

/// From now on a panic of any thread or task ends the process, with [`Exit::Bug`] and words that say that it is ours to
/// mend.
///
/// Whoever panics leaves something half done: a run without its driver, orders that nobody writes. The other threads do
/// not know; what they would still say could be wrong. All that is durable is whole at any moment, so to end is what this
/// program is best at (docs/adr/0021).
pub fn ends_the_process() {
    let default = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        default(panic);
        let version = env!("CARGO_PKG_VERSION");
        // Standard error may be gone; there is nobody else to tell.
        let _ = writeln!(
            std::io::stderr().lock(),
            "this is a bug in syngrad {version}, not a mistake of yours: please report the lines above; \
             RUST_BACKTRACE=1 makes them more useful"
        );
        process::exit(Exit::Bug as i32);
    }));
}

#[cfg(test)]
mod tests;
