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
    /// What each number says, for the manual.
    pub(super) const MEANINGS: &[(&str, &str)] = &[
        ("0", "Done; also after a drain in which every connection came to its end."),
        ("1", "Failed while running; a command: refused, or no daemon to be reached."),
        ("2", "What was typed is wrong: flags, or the configuration."),
        ("3", "Could not start, for example because a port is in use. Nothing is left listening."),
        ("4", "Drained past the deadline: connections were cut."),
        ("130, 143", "Ended at once by a second SIGINT or SIGTERM."),
    ];

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
