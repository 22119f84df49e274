//! The answer to a configuration that cannot be: everything that is wrong with it.

use serde::Serialize;

use crate::spec::Diagnostic;
use crate::spec::report::Report;
use crate::spec::source::Source;

/// A configuration was refused. Shown, it is the full report, of several lines.
#[derive(Debug, thiserror::Error)]
#[error("{report}")]
pub struct Refused {
    report: Box<Report>,
}

/// One problem, for programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What is wrong, on one line.
    pub title: String,
    /// What to write instead, if that can be said.
    pub advice: String,
    /// The place as people write it: `routes[0].dropRate`; empty for the whole document.
    pub path: String,
    /// The place as a JSON pointer: `/routes/0/dropRate`.
    pub pointer: String,
    /// From 1; None if it is the file, not its text, that is wrong.
    pub line: Option<usize>,
    /// From 1, in characters.
    pub column: Option<usize>,
}

impl Refused {
    /// A document that was not even read.
    pub(super) fn unread(name: &str, problem: Diagnostic) -> Refused {
        Refused { report: Box::new(Report::new(Source::new(name, ""), vec![problem], 1)) }
    }

    /// The problems in the order of the document; beyond the first thousand they are only counted.
    pub fn problems(&self) -> Vec<Problem> {
        let of = |problem: &Diagnostic| {
            let at = problem.place.as_ref().map(|place| self.report.line_column(place));
            let place = problem.place.as_deref().cloned().unwrap_or_default();
            Problem {
                title: problem.title.clone(),
                advice: problem.label.clone(),
                path: place.path,
                pointer: place.pointer,
                line: at.map(|(line, _)| line),
                column: at.map(|(_, column)| column),
            }
        };
        self.report.problems().iter().map(of).collect()
    }

    /// How many problems there are.
    pub fn total(&self) -> usize {
        self.report.total()
    }

    /// The first problem on one line: `routes.yaml:12:16 dropRate 1.4 is not within 0..1 (and 2 more)`.
    pub fn brief(&self) -> String {
        self.report.brief()
    }
}

impl From<Box<Report>> for Refused {
    fn from(report: Box<Report>) -> Refused {
        Refused { report }
    }
}
