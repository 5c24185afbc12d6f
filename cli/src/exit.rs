//! How a process ends: eight numbers that scripts can rely on.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_ends_as_its_number_says() {
        use syngrad_common::error::Exit as Of;
        for of in [Of::Failed, Of::Usage, Of::Unreachable, Of::NotAllowed, Of::TimedOut, Of::Conflict, Of::Bug] {
            assert_eq!(Exit::from(of).code(), of as u8);
        }
    }
}
