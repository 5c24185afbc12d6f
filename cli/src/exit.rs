//! How a process ends: eight numbers that scripts can rely on, and what a bug looks like.

use std::io::Write as _;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked.
    Ok,
    /// It could not.
    Failed,
    /// The command line or a file it named is wrong.
    Usage,
    /// The other side could not be reached.
    Unreachable,
    /// The other side, or a rule of ours, does not allow it.
    NotAllowed,
    /// It took longer than it may.
    TimedOut,
    /// What it needs is not there, or is taken.
    Conflict,
    /// A bug of ours.
    Bug,
}

impl Exit {
    /// The process's exit code.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::NotAllowed => 4,
            Self::TimedOut => 5,
            Self::Conflict => 6,
            Self::Bug => 70,
        }
    }
}

impl From<syngrad_common::error::Exit> for Exit {
    fn from(exit: syngrad_common::error::Exit) -> Self {
        use syngrad_common::error::Exit as Of;
        match exit {
            Of::Failed => Self::Failed,
            Of::Usage => Self::Usage,
            Of::Unreachable => Self::Unreachable,
            Of::NotAllowed => Self::NotAllowed,
            Of::TimedOut => Self::TimedOut,
            Of::Conflict => Self::Conflict,
            Of::Bug => Self::Bug,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// Runs the program; a panic ends it with [`Exit::Bug`] and words that say that it is ours to mend.
pub(crate) fn guarded(program: impl FnOnce() -> Exit) -> Exit {
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
    }));
    panic::catch_unwind(AssertUnwindSafe(program)).unwrap_or(Exit::Bug)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_bug() {
        assert_eq!(guarded(|| panic!("planted")), Exit::Bug);
        assert_eq!(guarded(|| Exit::Ok), Exit::Ok);
    }
}
