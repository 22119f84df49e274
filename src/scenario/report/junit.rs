//! The account as JUnit XML, for test systems: a suite for the scenario, a case for each expectation, and one for each
//! step that was refused.

use std::time::Duration;

use super::{Report, Verdict};
use crate::observe::{build, rfc3339};
use crate::spec::text::shown;

/// The whole document.
pub fn write(report: &Report) -> String {
    let refused: Vec<String> =
        report.refused().map(|(made, why)| refused(report, &made.title(), why, made.place.line)).collect();
    let cases: Vec<String> = report.expectations.iter().map(|verdict| case(report, verdict)).collect();
    let counts = format!(
        "tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"0\" time=\"{}\"",
        cases.len() + refused.len(),
        report.failed(),
        refused.len(),
        seconds(report.took)
    );
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites name=\"chaos-proxy\" {counts}>\n  \
         <testsuite name=\"{}\" {counts} timestamp=\"{}\">\n{}{}{}  </testsuite>\n\
         </testsuites>\n",
        escaped(report.title()),
        timestamp(report),
        properties(report),
        cases.concat(),
        refused.concat()
    )
}

fn properties(report: &Report) -> String {
    let mut properties = vec![
        ("seed", report.seed.to_string()),
        ("again", report.again.clone()),
        ("version", build::VERSION.to_owned()),
    ];
    if let Some(scenario) = &report.scenario {
        properties.push(("scenario", scenario.file.clone()));
    }
    if let Some(command) = &report.command {
        properties.push(("command", command.words.join(" ")));
        properties.push(("exitCode", command.code.to_string()));
        properties.extend(command.why.clone().map(|why| ("exitReason", why)));
    }
    let properties: String = properties
        .into_iter()
        .map(|(name, value)| format!("      <property name=\"{name}\" value=\"{}\"/>\n", attribute(&value)))
        .collect();
    format!("    <properties>\n{properties}    </properties>\n")
}

fn case(report: &Report, verdict: &Verdict) -> String {
    let open = opened(report, &verdict.name, verdict.place.line, verdict.to.saturating_sub(verdict.from));
    if verdict.held {
        let found = format!("{}\n", shown(&verdict.found));
        return format!("{open}{}    </testcase>\n", told(report, &found));
    }
    let message = format!("{} (seed {})", verdict.missed_because(), report.seed);
    let mut body = vec![
        ("found", verdict.found.clone()),
        ("wanted", verdict.wanted.clone()),
        ("window", verdict.window()),
        ("route", verdict.route.clone().unwrap_or_else(|| "all".to_owned())),
    ];
    body.extend(verdict.why.clone().map(|why| ("why", why)));
    let body: String =
        body.iter().map(|(what, text)| format!("{:8}{}\n", format!("{what}:"), shown(text))).collect();
    let body = format!("{body}place:  {}\n{}", place(report, verdict.place.line), seeded(report));
    format!(
        "{open}      <failure type=\"expectation\" message=\"{}\">{}</failure>\n{}    </testcase>\n",
        escaped(&message),
        text(&body),
        told(report, "")
    )
}

fn refused(report: &Report, title: &str, why: &str, line: usize) -> String {
    format!(
        "{}      <error type=\"refused\" message=\"{}\">{}</error>\n{}    </testcase>\n",
        opened(report, title, line, Duration::ZERO),
        escaped(&format!("{why} (seed {})", report.seed)),
        text(&format!("place:  {}\n{}", place(report, line), seeded(report))),
        told(report, "")
    )
}

fn opened(report: &Report, name: &str, line: usize, took: Duration) -> String {
    let place = report
        .scenario
        .iter()
        .map(|scenario| format!(" file=\"{}\" line=\"{line}\"", escaped(&scenario.file)));
    format!(
        "    <testcase classname=\"chaos-proxy.{}\" name=\"{}\"{} time=\"{}\">\n",
        escaped(report.title()),
        escaped(name),
        place.collect::<String>(),
        seconds(took)
    )
}

/// What every case says, whatever came of it: a system that shows no properties shows this.
fn told(report: &Report, found: &str) -> String {
    format!("      <system-out>{}</system-out>\n", text(&format!("{found}{}", seeded(report))))
}

fn seeded(report: &Report) -> String {
    format!("seed:   {}\nagain:  {}", report.seed, report.again)
}

fn place(report: &Report, line: usize) -> String {
    match &report.scenario {
        Some(scenario) => format!("{}:{line}", shown(&scenario.file)),
        None => "none".to_owned(),
    }
}

/// Seconds as schemas have them: a decimal.
fn seconds(duration: Duration) -> String {
    format!("{:.3}", duration.as_secs_f64())
}

/// To the second and without a zone, in UTC: the strictest of the schemas takes nothing else.
fn timestamp(report: &Report) -> String {
    rfc3339(report.started).chars().take("1970-01-01T00:00:00".len()).collect()
}

/// A text of one line, wherever it stands. XML forbids most controls even when they are escaped: they are shown as
/// everywhere else in the program.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in shown(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            // No characters to XML, and nothing hostile to anyone else.
            '\u{fffe}' | '\u{ffff}' => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// A text of several lines, between tags.
fn text(text: &str) -> String {
    text.split('\n').map(escaped).collect::<Vec<_>>().join("\n")
}

/// A text of several lines, in an attribute, where a raw line break would become a blank.
fn attribute(text: &str) -> String {
    text.split('\n').map(escaped).collect::<Vec<_>>().join("&#10;")
}

#[cfg(test)]
mod tests {
    use roxmltree::{Document, Node};

    use super::super::sample;
    use super::*;

    /// Parses, and holds the shape against what Jenkins, GitLab and the common schema ask for.
    fn suite<'a>(document: &'a Document<'a>) -> Node<'a, 'a> {
        let root = document.root_element();
        assert_eq!(root.tag_name().name(), "testsuites");
        let suite = root.first_element_child().unwrap();
        assert_eq!((suite.tag_name().name(), suite.next_sibling_element()), ("testsuite", None));
        assert_eq!(suite.first_element_child().unwrap().tag_name().name(), "properties");
        let cases: Vec<_> = cases(suite).collect();
        let with = |tag: &str| cases.iter().filter(|case| child(**case, tag).is_some()).count();
        for whole in [root, suite] {
            let number = |name: &str| whole.attribute(name).unwrap().parse::<usize>().unwrap();
            assert_eq!(number("tests"), cases.len());
            assert_eq!((number("failures"), number("errors")), (with("failure"), with("error")));
            assert_eq!(number("skipped"), 0);
            assert!(whole.attribute("time").unwrap().parse::<f64>().unwrap() >= 0.0);
            assert!(!whole.attribute("name").unwrap().is_empty());
        }
        let time = suite.attribute("timestamp").unwrap();
        assert_eq!((time.len(), &time[4..5], &time[10..11], &time[16..17]), (19, "-", "T", ":"));
        for case in cases {
            assert!(["name", "classname"].iter().all(|name| !case.attribute(*name).unwrap().is_empty()));
            assert!(case.attribute("time").unwrap().parse::<f64>().unwrap() >= 0.0);
            assert!(child(case, "system-out").unwrap().text().unwrap().contains("seed:   7\n"));
            for bad in ["failure", "error"].iter().filter_map(|tag| child(case, tag)) {
                assert!(bad.attribute("type").is_some());
                assert!(bad.attribute("message").unwrap().ends_with("(seed 7)"));
            }
        }
        suite
    }

    fn cases<'a>(suite: Node<'a, 'a>) -> impl Iterator<Item = Node<'a, 'a>> {
        suite.children().filter(|node| node.has_tag_name("testcase"))
    }

    fn child<'a>(node: Node<'a, 'a>, tag: &str) -> Option<Node<'a, 'a>> {
        node.children().find(|child| child.has_tag_name(tag))
    }

    fn property<'a>(suite: Node<'a, 'a>, name: &str) -> &'a str {
        let properties = child(suite, "properties").unwrap();
        let mut all = properties.children().filter(Node::is_element);
        all.find(|property| property.attribute("name") == Some(name)).unwrap().attribute("value").unwrap()
    }

    #[test]
    fn a_fault_that_never_fired_is_a_red_case_that_says_so() {
        let xml = write(&sample::bad());
        let document = Document::parse(&xml).unwrap();
        let suite = suite(&document);
        assert_eq!(suite.attribute("name"), Some("brownout"));
        assert_eq!(suite.attribute("timestamp"), Some("2024-12-31T23:59:59"));
        let cases: Vec<_> = cases(suite).collect();
        let names: Vec<_> = cases.iter().map(|case| case.attribute("name").unwrap()).collect();
        assert_eq!(names, ["steady state", "latency on db", "reset on db", "step at 12.5s: db: - slow"]);
        let failure = child(cases[2], "failure").unwrap();
        assert_eq!(
            failure.attribute("message"),
            Some("fired 0, expected >= 1: no connection was open between 30s and 35s (seed 7)")
        );
        assert_eq!(
            failure.text().unwrap(),
            "found:  fired 0\nwanted: fired >= 1\nwindow: 30s..35s\nroute:  db\n\
             why:    no connection was open between 30s and 35s\nplace:  tests/brownout.yaml:10\n\
             seed:   7\nagain:  chaos-proxy run --seed 7 --config routes.yaml -- pytest -q"
        );
        let error = child(cases[3], "error").unwrap();
        assert_eq!(error.attribute("message"), Some("route db has no fault `slow` (seed 7)"));
        let attributes = ["classname", "file", "line", "time"].map(|name| cases[2].attribute(name).unwrap());
        assert_eq!(attributes, ["chaos-proxy.brownout", "tests/brownout.yaml", "10", "5.000"]);
        assert_eq!(
            ["seed", "scenario", "command", "exitCode"].map(|name| property(suite, name)),
            ["7", "tests/brownout.yaml", "pytest -q", "0"]
        );
    }

    #[test]
    fn the_document_looks_like_this() {
        let report = Report { expectations: sample::good().expectations[1..].to_vec(), ..sample::good() };
        let expected = "\
<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<testsuites name=\"chaos-proxy\" tests=\"1\" failures=\"0\" errors=\"0\" skipped=\"0\" time=\"41.237\">
  <testsuite name=\"brownout\" tests=\"1\" failures=\"0\" errors=\"0\" skipped=\"0\" time=\"41.237\" timestamp=\"2024-12-31T23:59:59\">
    <properties>
      <property name=\"seed\" value=\"7\"/>
      <property name=\"again\" value=\"chaos-proxy run --seed 7 --config routes.yaml -- pytest -q\"/>
      <property name=\"version\" value=\"VERSION\"/>
      <property name=\"scenario\" value=\"tests/brownout.yaml\"/>
      <property name=\"command\" value=\"pytest -q\"/>
      <property name=\"exitCode\" value=\"0\"/>
    </properties>
    <testcase classname=\"chaos-proxy.brownout\" name=\"latency on db\" file=\"tests/brownout.yaml\" line=\"9\" time=\"20.000\">
      <system-out>fired 812
seed:   7
again:  chaos-proxy run --seed 7 --config routes.yaml -- pytest -q</system-out>
    </testcase>
  </testsuite>
</testsuites>
";
        assert_eq!(write(&report), expected.replace("VERSION", build::VERSION));
    }

    #[test]
    fn without_a_scenario_the_suite_is_empty() {
        let xml = write(&sample::plain());
        let document = Document::parse(&xml).unwrap();
        let suite = suite(&document);
        assert_eq!((suite.attribute("name"), suite.attribute("tests")), (Some("chaos-proxy run"), Some("0")));
        assert_eq!(property(suite, "exitCode"), "1");
    }

    #[test]
    fn any_text_is_well_formed_and_comes_back() {
        let mut report = sample::hostile();
        report.expectations[0].held = false;
        let xml = write(&report);
        let document = Document::parse(&xml).unwrap_or_else(|error| panic!("{error}\n{xml}"));
        let suite = suite(&document);
        let shown = shown(sample::HOSTILE).replace('\u{fffe}', "\\u{fffe}");
        assert_eq!(suite.attribute("name"), Some(shown.as_str()));
        assert!(cases(suite).take(3).all(|case| case.attribute("name") == Some(&shown)));
        // The command is to be typed again: its line breaks are kept.
        let again = property(suite, "again");
        assert!(again.ends_with("'\n'"), "{again:?}");
        for c in (0..=0x1f).chain([0x7f, 0x85, 0x2028, 0xfffe, 0xffff, 0x1_f600]).filter_map(char::from_u32) {
            report.expectations[0].name = format!("a{c}b");
            let xml = write(&report);
            Document::parse(&xml).unwrap_or_else(|error| panic!("{c:?}: {error}"));
        }
    }
}
