//! From what was typed to what is meant: defaults given, required keys demanded, times held against each other.

mod expectation;
mod step;

use std::path::Path;
use std::time::Duration;

use super::document::Document;
use super::{At, Scenario};
use crate::config::Sheet;
use crate::spec::{Diagnostic, Field, Name, NodeId, Period};

/// The longest a scenario may take.
const LONGEST: Period = Period::hours(24);

/// What a document means; what is wrong with it is noted, and then there may be none.
pub(super) fn scenario(document: &Document, sheet: &mut Sheet) -> Option<Scenario> {
    is_about_something(document, sheet);
    let mut last = Last::default();
    let steps = meant(&document.steps, |spec, node| step::step(spec, node, &mut last, sheet));
    let expectations =
        meant(&document.expect, |spec, node| expectation::expectation(spec, node, &mut last, sheet));
    expectation::names(&document.expect, &expectations, sheet);
    let duration = duration(document, &last, sheet);
    Some(Scenario {
        name: document.name.get().map_or_else(|| stem(sheet.name()), Name::to_string),
        seed: document.seed.get().copied(),
        duration,
        steps: whole(steps)?,
        expectations: whole(expectations)?,
    })
}

/// What the items of a list mean. None for one that could not be read: that is noted.
fn meant<S, T>(
    list: &Field<Vec<Field<S>>>,
    mut one: impl FnMut(&S, Option<NodeId>) -> Option<T>,
) -> Vec<Option<T>> {
    let items = list.get().map(Vec::as_slice).unwrap_or_default();
    let mut of = |item: &Field<S>| match item {
        Field::Good { node, value } => one(value, *node),
        Field::Absent | Field::Bad => None,
    };
    items.iter().map(&mut of).collect()
}

fn whole<T>(items: Vec<Option<T>>) -> Option<Vec<T>> {
    items.into_iter().collect()
}

/// A scenario that does nothing and expects nothing proves nothing.
fn is_about_something(document: &Document, sheet: &mut Sheet) {
    let is_nothing = |list: bool, length: usize| !list && length == 0;
    let steps = is_nothing(matches!(document.steps, Field::Bad), length(&document.steps));
    let expect = is_nothing(matches!(document.expect, Field::Bad), length(&document.expect));
    let root = sheet.root();
    // A misspelt key is told of as an unknown one.
    let misspelt = (document.steps.is_absent() && sheet.resembles(root, "steps"))
        || (document.expect.is_absent() && sheet.resembles(root, "expect"));
    if steps && expect && !misspelt {
        let node = document.steps.node().or(document.expect.node()).unwrap_or(root);
        let place = sheet.place(Some(node));
        let problem = Diagnostic::new("nothing is done and nothing is expected").at(place);
        sheet.note(
            problem
                .label("needs `steps` or `expect`")
                .help("a step is {at: 10s, for: 20s, route: db, add: {latency: {delay: 300ms}}}"),
        );
    }
}

fn length<T>(list: &Field<Vec<T>>) -> usize {
    list.get().map_or(0, Vec::len)
}

/// When the last thing is over, and where that is said.
#[derive(Default)]
struct Last {
    at: Duration,
    node: Option<NodeId>,
}

impl Last {
    /// Something that is said at `node` is over at this moment.
    fn reach(&mut self, at: Duration, node: Option<NodeId>, sheet: &mut Sheet) {
        if at > LONGEST.get() {
            let place = sheet.place(node);
            let title =
                format!("this is over after {}, and a scenario takes at most {LONGEST}", Period::new(at));
            sheet.note(Diagnostic::new(title).at(place).label("later than that"));
        }
        if at > self.at {
            *self = Last { at, node };
        }
    }
}

fn duration(document: &Document, last: &Last, sheet: &mut Sheet) -> Duration {
    let Some(duration) = document.duration.get().map(|duration| duration.get()) else { return last.at };
    let (here, there) = (sheet.place(document.duration.node()), sheet.place(last.node));
    if duration > LONGEST.get() {
        let title = format!("a scenario takes at most {LONGEST}");
        sheet.note(Diagnostic::new(title).at(here).label("longer than that"));
    } else if duration < last.at {
        let end = Period::new(last.at);
        let title = format!("the duration ends before the last thing does, which is over at {end}");
        let label = format!("write at least {end}, or take the line away");
        sheet.note(Diagnostic::new(title).at(here).label(label).note("the last thing is", there));
    }
    duration
}

/// What a scenario is called that does not say it: as its file.
fn stem(file: &str) -> String {
    let stem = Path::new(file).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    stem.filter(|stem| stem != "-" && stem.parse::<Name>().is_ok()).unwrap_or_else(|| "scenario".to_owned())
}

/// Where a part of the scenario stands.
fn at(sheet: &Sheet, node: Option<NodeId>) -> At {
    let place = sheet.place(node);
    let (line, column) = place.map_or((0, 0), |place| sheet.line_column(&place));
    At { line, column }
}

/// Says that a key must be there, unless one is there that was probably meant as it.
fn demand(key: &str, why: &str, node: Option<NodeId>, sheet: &mut Sheet) {
    if !node.is_some_and(|node| sheet.resembles(node, key)) {
        let place = sheet.place(node);
        sheet.note(Diagnostic::new(format!("`{key}` is missing")).at(place).label(why));
    }
}

/// Says that a key has no meaning where it stands.
fn forbid(key: &str, node: Option<NodeId>, why: &str, sheet: &mut Sheet) {
    let value = node.and_then(|node| sheet.get(node, key));
    let place = sheet.key_place(value);
    sheet.note(Diagnostic::new(format!("`{key}` has no meaning here")).at(place).label(why));
}
