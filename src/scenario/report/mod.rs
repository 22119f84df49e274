//! What came of a run: for people, for test systems, for programs. All forms are made from this one account.

pub mod github;
pub mod json;
pub mod junit;
pub mod markdown;
#[cfg(test)]
mod sample;
mod summary;
pub mod text;
mod words;

use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::At;

/// The account of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The scenario; none if there was only a command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scenario: Option<Source>,
    /// The seed in force.
    pub seed: u64,
    /// The command that does the same again, ready for a shell.
    pub again: String,
    /// When it began.
    #[serde(serialize_with = "as_rfc3339")]
    pub started: SystemTime,
    /// How long it took.
    #[serde(rename = "tookSeconds", serialize_with = "as_seconds")]
    pub took: Duration,
    /// What became of the command it was for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandEnd>,
    /// Each expectation, in the order of the file.
    pub expectations: Vec<Verdict>,
    /// What was done, and what was refused.
    pub steps: Vec<Made>,
    /// How many steps never came: it was over before.
    #[serde(rename = "stepsUnplayed")]
    pub unplayed: usize,
    /// Each route.
    pub routes: Vec<RouteSummary>,
}

/// Where a scenario comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Its file, as it was typed.
    pub file: String,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandEnd {
    /// The command and its arguments.
    pub words: Vec<String>,
    /// The exit code that was passed on: its own, 128 and the signal, 127 or 126 if it could not be started.
    pub code: u8,
    /// Which signal ended it, or why it could not be started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What came of an expectation.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Its name.
    pub name: String,
    /// The route, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// From when.
    #[serde(rename = "fromSeconds", serialize_with = "as_seconds")]
    pub from: Duration,
    /// Until when: as the file says, or until the end.
    #[serde(rename = "toSeconds", serialize_with = "as_seconds")]
    pub to: Duration,
    /// Whether it held.
    pub held: bool,
    /// What was found, in words: `fired 0`, `connections 12, errorShare 3.1%`.
    pub found: String,
    /// What was wanted, in the same order: `fired >= 1`.
    pub wanted: String,
    /// Why it did not hold, where that can be said: `no connection was open between 30s and 35s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Where it stands in the file.
    pub place: At,
}

/// A step that was made, undone or refused.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Made {
    /// When, from the start.
    #[serde(rename = "atSeconds", serialize_with = "as_seconds")]
    pub at: Duration,
    /// In words: `db + latency (latency 300ms)`.
    pub text: String,
    /// Why it was refused; none if it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// Where the step stands in the file.
    pub place: At,
}

/// What happened on a route.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteSummary {
    /// Its name.
    pub name: String,
    /// Connections that came in.
    pub connections: u64,
    /// Bytes sent on to the server.
    pub bytes_upstream: u64,
    /// Bytes sent on to clients.
    pub bytes_downstream: u64,
    /// Its faults, also those that are gone, and how often each fired, in their order.
    #[serde(serialize_with = "as_object")]
    pub fired: Vec<(String, u64)>,
    /// How connections ended, and how many did so.
    #[serde(serialize_with = "as_object")]
    pub endings: Vec<(String, u64)>,
    /// How much faults delayed, all pieces together.
    #[serde(rename = "delayedSeconds", serialize_with = "as_seconds")]
    pub delayed: Duration,
}

impl Report {
    /// Whether everything that was expected came about, and nothing was refused.
    pub fn held(&self) -> bool {
        self.expectations.iter().all(|verdict| verdict.held)
            && self.steps.iter().all(|made| made.refused.is_none())
    }
}

fn as_seconds<S: serde::Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(duration.as_secs_f64())
}

fn as_rfc3339<S: serde::Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&crate::observe::rfc3339(*time))
}

/// Names and numbers as an object, in their order.
fn as_object<S: serde::Serializer>(counts: &[(String, u64)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(counts.iter().map(|(name, count)| (name, count)))
}
