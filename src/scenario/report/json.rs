//! The account as JSON, for programs.

use serde::Serialize;

use super::Report;
use crate::observe::escape_beyond_json;

/// The version of the form: raised when a reader of the one before would misread it.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Versioned<'a> {
    version: u32,
    held: bool,
    #[serde(flatten)]
    report: &'a Report,
}

/// The account, for a person to read too: a key a line, and nothing that a terminal would obey.
pub fn write(report: &Report) -> String {
    let versioned = Versioned { version: VERSION, held: report.held(), report };
    let json = serde_json::to_string_pretty(&versioned).unwrap_or_default();
    // Line by line: the breaks between them are the only ones that are ours.
    json.lines().map(|line| escape_beyond_json(line.to_owned()) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::sample;
    use super::*;

    #[test]
    fn the_account_is_complete_and_in_order() {
        let report = Report { routes: sample::bad().routes[..1].to_vec(), ..sample::bad() };
        assert_eq!(write(&report), include_str!("json/sample.json"));
    }

    #[test]
    fn without_a_scenario_there_is_none() {
        let json: Value = serde_json::from_str(&write(&sample::plain())).unwrap();
        assert_eq!(json.get("scenario"), None);
        assert_eq!((&json["version"], &json["held"], &json["seed"]), (&1.into(), &true.into(), &7.into()));
    }

    #[test]
    fn the_largest_seed_and_the_worst_names_come_back_as_they_were() {
        let report = Report { seed: u64::MAX, ..sample::hostile() };
        let text = write(&report);
        assert!(text.chars().all(|c| c == '\n' || !crate::spec::text::is_hostile(c)));
        let json: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["seed"], u64::MAX);
        assert_eq!(json["expectations"][0]["name"], sample::HOSTILE);
        assert_eq!(json["routes"][0]["fired"][sample::HOSTILE], 812);
        assert_eq!(json["again"], report.again);
    }
}
