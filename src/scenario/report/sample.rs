//! Accounts to make reports from, in tests.

use std::time::{Duration, SystemTime};

use super::{At, CommandEnd, Made, Report, RouteSummary, Source, Verdict};

/// Everything that a terminal, XML, Markdown or a workflow command could stumble over.
pub(super) const HOSTILE: &str = "a|b`c\\|<script>&amp;]]>\"'\n::error::x,y:z%0A\r\u{0}\u{1b}[2J\u{202e}\u{fffe}@all #1 [l](http://x) *e* 世界";

/// An expectation that held.
pub(super) fn verdict(name: &str) -> Verdict {
    Verdict {
        name: name.to_owned(),
        route: Some("db".to_owned()),
        from: Duration::from_secs(10),
        to: Duration::from_secs(30),
        held: true,
        found: "fired 812".to_owned(),
        wanted: "fired >= 100".to_owned(),
        why: None,
        place: At { line: 9, column: 5 },
    }
}

/// A run of a command, without a scenario.
pub(super) fn plain() -> Report {
    Report {
        scenario: None,
        seed: 7,
        again: "chaos-proxy run --seed 7 --config routes.yaml -- pytest -q".to_owned(),
        started: SystemTime::UNIX_EPOCH + Duration::new(1_735_689_599, 123_456_789),
        took: Duration::from_millis(41_237),
        command: Some(CommandEnd { words: vec!["pytest".to_owned(), "-q".to_owned()], code: 1, why: None }),
        expectations: Vec::new(),
        steps: Vec::new(),
        unplayed: 0,
        routes: vec![
            RouteSummary {
                name: "db".to_owned(),
                connections: 1_204,
                bytes_upstream: 100_766_000,
                bytes_downstream: 1_288_490_189,
                fired: vec![("latency".to_owned(), 812), ("reset".to_owned(), 0)],
                endings: vec![("peer-fin".to_owned(), 1_201), ("fault".to_owned(), 3)],
                delayed: Duration::from_millis(242_000),
            },
            RouteSummary { name: "cache".to_owned(), ..RouteSummary::default() },
        ],
    }
}

/// One in which all went well.
pub(super) fn good() -> Report {
    let steady = Verdict {
        name: "steady state".to_owned(),
        route: None,
        from: Duration::ZERO,
        to: Duration::from_secs(10),
        found: "fired 0".to_owned(),
        wanted: "fired == 0".to_owned(),
        place: At { line: 8, column: 5 },
        ..verdict("")
    };
    Report {
        scenario: Some(Source { name: "brownout".to_owned(), file: "tests/brownout.yaml".to_owned() }),
        command: Some(CommandEnd { words: vec!["pytest".to_owned(), "-q".to_owned()], code: 0, why: None }),
        expectations: vec![steady, verdict("latency on db")],
        steps: vec![Made {
            at: Duration::from_secs(10),
            text: "db: + latency (300ms)".to_owned(),
            refused: None,
            place: At { line: 5, column: 5 },
        }],
        ..plain()
    }
}

/// One in which a fault never fired and a step was refused.
pub(super) fn bad() -> Report {
    let mut report = good();
    report.expectations.push(Verdict {
        from: Duration::from_secs(30),
        to: Duration::from_secs(35),
        held: false,
        found: "fired 0".to_owned(),
        wanted: "fired >= 1".to_owned(),
        why: Some("no connection was open between 30s and 35s".to_owned()),
        place: At { line: 10, column: 5 },
        ..verdict("reset on db")
    });
    report.steps.push(Made {
        at: Duration::from_millis(12_500),
        text: "db: - slow".to_owned(),
        refused: Some("route db has no fault `slow`".to_owned()),
        place: At { line: 6, column: 5 },
    });
    report
}

/// One in which every text is as bad as can be.
pub(super) fn hostile() -> Report {
    let mut report = bad();
    let evil = || HOSTILE.to_owned();
    report.scenario = Some(Source { name: evil(), file: evil() });
    report.command = Some(CommandEnd { words: vec![evil()], code: 127, why: Some(evil()) });
    report.again = format!("chaos-proxy run --seed 7 -- '{HOSTILE}'\n'");
    for verdict in &mut report.expectations {
        verdict.name = evil();
        verdict.route = Some(evil());
        verdict.found = evil();
        verdict.wanted = evil();
        verdict.why = Some(evil());
    }
    for made in &mut report.steps {
        made.text = evil();
        made.refused = made.refused.as_ref().map(|_| evil());
    }
    report.routes[0].name = evil();
    report.routes[0].fired[0].0 = evil();
    report.routes[0].endings[0].0 = evil();
    report
}
