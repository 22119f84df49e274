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
    /// An expectation did not hold.
    Expectation,
    /// As the command that was run: its exit code, or what a shell would say of how it ended.
    Command(u8),
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
        (
            "5",
            "run, scenario run: an expectation did not hold or a step was refused, and the command itself succeeded.",
        ),
        ("126, 127", "run: the command cannot be executed, or there is none of that name."),
        ("1 to 255", "run: else the exit code of the command, or 128 and the signal that ended it."),
        (
            "130, 143",
            "Ended at once by a second SIGINT or SIGTERM; scenario run: by the first, when it has undone its steps.",
        ),
    ];

    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Wrong => 2,
            Exit::NotStarted => 3,
            Exit::Cut => 4,
            Exit::Expectation => 5,
            Exit::Command(code) => code,
            Exit::Signal(number) => 128 + number,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}
