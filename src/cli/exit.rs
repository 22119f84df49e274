//! The exit codes: part of what scripts rely on.

use std::process::ExitCode;

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, also after a clean drain.
    Done,
    /// Failed while running.
    Failed,
    /// What was typed is wrong: flags or configuration.
    Wrong,
    /// Could not start.
    NotStarted,
    /// Drained past the deadline: connections were cut.
    Cut,
    /// Ended at once by a second signal of this number.
    Signal(u8),
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Wrong => 2,
            Exit::NotStarted => 3,
            Exit::Cut => 4,
            Exit::Signal(number) => 128 + number,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}
