//! A scenario together with the text it was read from, so that what is found wrong later can be shown there.

use std::path::Path;

use super::crossings::crossings;
use super::document::Document;
use super::{Scenario, meaning};
use crate::config::{self, Env, Refused, Sheet};
use crate::spec::report::Report;
use crate::spec::{Diagnostic, Field};

/// A scenario that is fine by itself, with the text it was read from.
#[derive(Debug)]
pub struct Typed {
    scenario: Scenario,
    sheet: Sheet,
}

/// A step that does not fit what it is played upon, or another step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clash {
    /// Which step, from 0.
    pub step: usize,
    /// Where below that, as a JSON pointer: `/route`, `/add/latency/delay`; empty for the whole step. As much of it as
    /// there is gets the caret.
    pub below: String,
    /// What is wrong, in a sentence that also stands alone on a line.
    pub title: String,
    /// What to write instead; empty if that cannot be said.
    pub advice: String,
}

/// A file that is either of the two that are checked.
#[derive(Debug)]
pub enum Either {
    /// A configuration, not yet held against itself.
    Configuration(Box<config::Typed>),
    /// A scenario.
    Scenario(Box<Typed>),
}

/// Reads and checks a file.
pub fn read(path: &Path, env: Env<'_>) -> Result<Typed, Refused> {
    Typed::of(Sheet::open(path, env)?).map_err(Refused::from)
}

/// Checks a text that is called `name` in messages, as its file would be.
pub fn parse(text: &[u8], name: &str, env: Env<'_>) -> Result<Typed, Refused> {
    Typed::of(Sheet::read(text, name, env)?).map_err(Refused::from)
}

/// Reads a file that may be a configuration or a scenario: by what it holds.
pub fn read_either(path: &Path, env: Env<'_>) -> Result<Either, Refused> {
    let sheet = Sheet::open(path, env)?;
    match config::scenario_key(&sheet) {
        Some(_) => Ok(Either::Scenario(Box::new(Typed::of(sheet)?))),
        None => Ok(Either::Configuration(Box::new(config::Document::from_sheet(sheet)))),
    }
}

impl Typed {
    fn of(mut sheet: Sheet) -> Result<Typed, Box<Report>> {
        let refused = |mut sheet: Sheet, problem: Option<Diagnostic>| {
            problem.into_iter().for_each(|problem| sheet.note(problem));
            Err(Box::new(sheet.into_report()))
        };
        if let Some(problem) = mistaken(&sheet) {
            return refused(sheet, Some(problem));
        }
        let Some(Field::Good { value, .. }) = sheet.read_file_as::<Field<Document>>() else {
            return refused(sheet, None);
        };
        match meaning::scenario(&value, &mut sheet) {
            Some(scenario) if sheet.is_clean() => {
                let mut typed = Typed { scenario, sheet };
                typed.note(crossings(&typed.scenario));
                if typed.sheet.is_clean() { Ok(typed) } else { refused(typed.sheet, None) }
            }
            _ if sheet.is_clean() => {
                // Nothing may vanish in silence: what could not be read has been told of, or this is our own mistake.
                debug_assert!(false, "a part was lost and no problem noted");
                refused(sheet, Some(Diagnostic::new("the scenario could not be read")))
            }
            _ => refused(sheet, None),
        }
    }

    /// What it means.
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// The same without its text.
    pub fn mean(self) -> Scenario {
        self.scenario
    }

    /// What its file is called in messages.
    pub fn file(&self) -> &str {
        self.sheet.name()
    }

    /// Everything that does not fit, each under its place in the text.
    pub fn refuse(mut self, clashes: Vec<Clash>) -> Refused {
        self.note(clashes);
        Refused::from(Box::new(self.sheet.into_report()))
    }

    fn note(&mut self, clashes: Vec<Clash>) {
        for Clash { step, below, title, advice } in clashes {
            let node = self.sheet.find(&format!("/steps/{step}{below}"));
            let place = self.sheet.place(Some(node));
            self.sheet.note(Diagnostic::new(title).at(place).label(advice));
        }
    }
}

/// What is said of a text that is no scenario at all.
fn mistaken(sheet: &Sheet) -> Option<Diagnostic> {
    const EXAMPLE: &str =
        "a scenario has steps: [{at: 10s, for: 20s, route: db, add: {latency: {delay: 300ms}}}]";
    if sheet.is_nothing() {
        return Some(Diagnostic::new("the document is empty").help(EXAMPLE));
    }
    let routes = sheet.get(sheet.root(), "routes");
    if !sheet.is_list() && routes.is_none() {
        return None;
    }
    let place = match routes {
        Some(routes) => sheet.key_place(Some(routes)),
        None => sheet.place(Some(sheet.root())),
    };
    let problem = Diagnostic::new("this is a configuration, not a scenario").at(place);
    Some(problem.label("give it as --config FILE").help(EXAMPLE))
}
