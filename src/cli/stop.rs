//! Why a client of a daemon ends without having done what it was asked.

use super::{Exit, print, say};

/// What stops a client: an exit code, and words that say what to do instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stop {
    pub(super) exit: Exit,
    pub(super) why: String,
}

impl Stop {
    /// What was typed is wrong.
    pub(super) fn wrong(why: impl Into<String>) -> Stop {
        Stop { exit: Exit::Wrong, why: why.into() }
    }

    /// It was refused, or there is nobody to ask.
    pub(super) fn failed(why: impl Into<String>) -> Stop {
        Stop { exit: Exit::Failed, why: why.into() }
    }
}

/// Prints what a client answers, or says why there is no answer.
pub(super) fn tell(outcome: Result<String, Stop>) -> anyhow::Result<Exit> {
    match outcome {
        Ok(answer) => print(&answer).map(|()| Exit::Done),
        Err(stop) => {
            say(&stop.why);
            Ok(stop.exit)
        }
    }
}
