//! What GitHub shows beside the lines of a file: workflow commands, one a line.

use super::{At, Report};
use crate::spec::text::shown;

/// An error for each expectation that did not hold and each step that was refused; a notice when all is well. Without a
/// scenario there is nothing to say.
pub fn write(report: &Report) -> String {
    let Some(scenario) = &report.scenario else { return String::new() };
    let error = |place: At, title: &str, message: &str| {
        let At { line, column } = place;
        let message = format!("{} (seed {})\nagain: {}", shown(message), report.seed, report.again);
        format!(
            "::error file={},line={line},col={column},title={}::{}\n",
            property(&scenario.file),
            property(title),
            data(&message)
        )
    };
    let mut lines: Vec<String> = report
        .expectations
        .iter()
        .filter(|verdict| !verdict.held)
        .map(|verdict| error(verdict.place, &verdict.name, &verdict.missed_because()))
        .collect();
    lines.extend(report.refused().map(|(made, why)| error(made.place, &made.title(), why)));
    if lines.is_empty() {
        let message = format!("{} (seed {})", report.sum(), report.seed);
        lines.push(format!("::notice title={}::{}\n", property(&scenario.name), data(&message)));
    }
    lines.concat()
}

/// A value before the second `::`.
fn property(text: &str) -> String {
    data(&shown(text)).replace(':', "%3A").replace(',', "%2C")
}

/// What stands behind it.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn what_failed_is_an_error_at_its_line() {
        assert_eq!(
            write(&sample::bad()),
            "::error file=tests/brownout.yaml,line=10,col=5,title=reset on db::fired 0, expected >= 1: \
             no connection was open between 30s and 35s (seed 7)%0Aagain: \
             chaos-proxy run --seed 7 --config routes.yaml -- pytest -q\n\
             ::error file=tests/brownout.yaml,line=6,col=5,title=step at 12.5s%3A db%3A - slow::route db has no \
             fault `slow` (seed 7)%0Aagain: chaos-proxy run --seed 7 --config routes.yaml -- pytest -q\n"
        );
    }

    #[test]
    fn all_well_is_one_notice_and_no_scenario_is_nothing() {
        assert_eq!(write(&sample::good()), "::notice title=brownout::2 of 2 expectations held (seed 7)\n");
        assert_eq!(write(&sample::plain()), "");
    }

    /// No text can end a command and begin another, nor add a property.
    #[test]
    fn a_hostile_text_stays_in_its_place() {
        let mut report = sample::hostile();
        report.expectations.iter_mut().for_each(|verdict| verdict.held = false);
        let text = write(&report);
        assert_eq!(text.lines().count(), 4);
        for line in text.lines() {
            assert!(line.starts_with("::error file=a|b`c"), "{line}");
            let (properties, message) = line["::error ".len()..].split_once("::").unwrap();
            let keys: Vec<&str> = properties.split(',').map(|part| part.split('=').next().unwrap()).collect();
            assert_eq!(keys, ["file", "line", "col", "title"]);
            assert!(!properties.contains(':'), "{properties}");
            assert!(message.contains("%250A") && !message.contains('\r'), "{message}");
        }
    }
}
