//! A configuration that a program put together: what only the reading of a text would have seen is looked at here.

#[cfg(test)]
mod tests;

use super::document::Typed;
use super::sheet::Sheet;
use super::tree::MAX_ITEMS;
use super::{Config, Refused, json, meaning};
use crate::observe::Filter;
use crate::route::{LocalPort, RouteConfig, RouteSpec};
use crate::spec::text::shown_short;
use crate::spec::{Diagnostic, Field, Name};

impl Config {
    /// Holds the parts against each other, as the reading of a document does.
    pub fn check(&self) -> Result<(), Refused> {
        let mut sheet = Sheet::blank("the configuration");
        if let Err(why) = self.log.level.0.parse::<Filter>() {
            sheet.note(problem("log.level", &why.to_string()));
        }
        if self.routes.len() > MAX_ITEMS {
            sheet.note(Diagnostic::new(format!("there are more than {MAX_ITEMS} routes")));
        }
        for route in &self.routes {
            values(route, &mut sheet);
        }
        let typed = Typed { document: self.document(), sheet, may_be_empty: true };
        meaning::config(typed).map(drop).map_err(Refused::from)
    }
}

/// What the types of a route allow and its text does not.
fn values(route: &RouteConfig, sheet: &mut Sheet) {
    let name = shown_short(&route.name, 40);
    if let Err(why) = route.name.parse::<Name>() {
        sheet.note(problem(&format!("the name `{name}` of a route"), &why.to_string()));
    }
    if route.local_port == LocalPort::Fixed(0) {
        sheet.note(problem(&format!("localPort 0 of the route `{name}`"), "is not within 1..65535"));
    }
    for wrong in misread(route) {
        let path = wrong.place.map(|place| place.path).unwrap_or_default();
        sheet.note(
            Diagnostic::new(format!("{path} of the route `{name}`: {}", wrong.title)).label(wrong.label),
        );
    }
    for fault in &route.faults {
        let fault_name = shown_short(&fault.name, 40);
        if let Err(why) = fault.name.parse::<Name>() {
            sheet.note(problem(&format!("the name `{fault_name}` of a fault"), &why.to_string()));
        }
        if let Err(why) = fault.check() {
            sheet.note(problem(&format!("the fault `{fault_name}` of the route `{name}`"), why));
        }
    }
}

/// What is wrong with the parts of a route that are many values: they are written as in a file, and read back.
fn misread(route: &RouteConfig) -> Vec<Diagnostic> {
    const PARTS: [&str; 4] = ["upstream", "limits", "keepalive", "proxyProtocol"];
    let mut written = serde_json::to_value(RouteSpec::from(route)).unwrap_or_default();
    if let Some(keys) = written.as_object_mut() {
        keys.retain(|key, _| PARTS.contains(&key.as_str()));
    }
    match Sheet::build(written.to_string().as_bytes(), "the configuration", |_| json::read) {
        Ok(mut sheet) => {
            let _ = sheet.read_as::<Field<RouteSpec>>(sheet.root());
            sheet.problems.into_sorted()
        }
        Err((_, problem)) => vec![problem],
    }
}

/// `why`: words that follow, and on a second line what to write.
fn problem(what: &str, why: &str) -> Diagnostic {
    let (words, advice) = why.split_once('\n').unwrap_or((why, ""));
    Diagnostic::new(format!("{what} {words}")).label(advice)
}
