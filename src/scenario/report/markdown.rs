//! The account for the summary of a pull request, in the Markdown that GitHub and GitLab understand.
//!
//! Every text from outside stands in a code span, where nothing is a link, a mention or HTML.

use super::{Report, RouteSummary};
use crate::observe::text::{grouped, size};
use crate::spec::text::shown;

/// A heading, what was expected, what was refused, what happened on each route, and how to do it again.
pub fn write(report: &Report) -> String {
    let mut out = heading(report);
    if !report.expectations.is_empty() {
        let rows = report.expectations.iter().map(|verdict| {
            let mark = if verdict.held { "✅" } else { "❌" };
            let why = verdict.why.iter().filter(|_| !verdict.held).map(|why| format!(": {}", code(why)));
            [
                format!("{mark} {}", code(&verdict.name)),
                verdict.window(),
                verdict.route.as_deref().map_or_else(|| "all".to_owned(), code),
                code(&verdict.found) + &why.collect::<String>(),
                code(&verdict.wanted),
            ]
        });
        out += &table(["expectation", "when", "route", "found", "wanted"], rows);
    }
    let refused: Vec<String> = report
        .refused()
        .map(|(made, why)| format!("- ❌ {} was refused: {}\n", code(&made.title()), code(why)))
        .collect();
    if !refused.is_empty() {
        out += &format!("{}\n", refused.concat());
    }
    if !report.routes.is_empty() {
        let head = ["route", "connections", "up", "down", "faults fired", "endings", "delay added"];
        out += &table(head, report.routes.iter().map(route));
    }
    out + &again(report)
}

fn heading(report: &Report) -> String {
    let succeeded = report.command.as_ref().is_none_or(|command| command.code == 0);
    let mark = if report.held() && succeeded { "✅" } else { "❌" };
    let ended = match &report.command {
        Some(command) => format!(", command exit {}", command.code),
        None => String::new(),
    };
    match &report.scenario {
        Some(scenario) => format!("### {mark} {}: {}{ended}\n\n", code(&scenario.name), report.score()),
        // Whether a command did well is not ours to judge.
        None => format!("### chaos-proxy run{ended}\n\n"),
    }
}

fn route(route: &RouteSummary) -> [String; 7] {
    [
        code(&route.name),
        grouped(route.connections),
        size(route.bytes_upstream),
        size(route.bytes_downstream),
        counts(&route.fired),
        counts(&route.endings),
        route.delay(),
    ]
}

fn counts(counts: &[(String, u64)]) -> String {
    let counts: Vec<String> =
        counts.iter().map(|(name, count)| format!("{} {}", code(name), grouped(*count))).collect();
    if counts.is_empty() { "none".to_owned() } else { counts.join(", ") }
}

fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut out = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(N));
    out.extend(rows.map(|row| line(&row)));
    out.push('\n');
    out
}

/// The seed, and the command in a block whose fence is longer than any in it.
fn again(report: &Report) -> String {
    let lines: Vec<_> = report.again.split('\n').map(shown).collect();
    let command = lines.join("\n");
    let fence = "`".repeat(longest_run(&command).max(2) + 1);
    format!("Seed {}. The same again:\n\n{fence}sh\n{command}\n{fence}\n", report.seed)
}

/// A text as it is: in a code span, or, where a cell or the span would end too early, in entities.
fn code(text: &str) -> String {
    let text = shown(text);
    if text.is_empty() {
        return String::new();
    }
    if !text.contains(['|', '`']) && text.trim() == text {
        return format!("`{text}`");
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || c == ' ' || !c.is_ascii();
    let entities =
        text.chars().map(|c| if plain(c) { c.to_string() } else { format!("&#{};", u32::from(c)) });
    format!("<code>{}</code>", entities.collect::<String>())
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_bad_run_reads_like_this() {
        assert_eq!(
            write(&sample::bad()),
            "\
### ❌ `brownout`: 2 of 3 expectations held, 1 step refused, command exit 0

| expectation | when | route | found | wanted |
|---|---|---|---|---|
| ✅ `steady state` | 0s..10s | all | `fired 0` | `fired == 0` |
| ✅ `latency on db` | 10s..30s | `db` | `fired 812` | `fired >= 100` |
| ❌ `reset on db` | 30s..35s | `db` | `fired 0`: `no connection was open between 30s and 35s` | `fired >= 1` |

- ❌ `step at 12.5s: db: - slow` was refused: `route db has no fault `slow``

| route | connections | up | down | faults fired | endings | delay added |
|---|---|---|---|---|---|---|
| `db` | 1,204 | 96.1 MiB | 1.2 GiB | `latency` 812, `reset` 0 | `peer-fin` 1,201, `fault` 3 | 4m02s |
| `cache` | 0 | 0 B | 0 B | none | none | none |

Seed 7. The same again:

```sh
chaos-proxy run --seed 7 --config routes.yaml -- pytest -q
```
"
            .replace("`route db has no fault `slow``", "<code>route db has no fault &#96;slow&#96;</code>")
        );
    }

    #[test]
    fn without_a_scenario_nothing_is_judged() {
        let text = write(&sample::plain());
        assert!(text.starts_with("### chaos-proxy run, command exit 1\n\n| route |"), "{text}");
        assert!(
            write(&sample::good())
                .starts_with("### ✅ `brownout`: 2 of 2 expectations held, command exit 0\n")
        );
    }

    #[test]
    fn a_hostile_text_keeps_its_cell() {
        let text = write(&sample::hostile());
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
        // As many cells as the head has, whether or not a backslash keeps a bar.
        assert_eq!(
            rows.iter().map(|row| row.matches('|').count()).collect::<Vec<_>>(),
            [6, 6, 6, 6, 6, 8, 8, 8, 8]
        );
        let before = text.split("The same again").next().unwrap();
        for raw in ["<script", "@all", "http:", "[l]", "\u{1b}", "\u{202e}", "\n::error"] {
            assert!(!before.contains(raw), "{raw}");
        }
        // The block ends where it should: its fence comes at its begin and at its end.
        assert_eq!(text.lines().filter(|line| line.starts_with("```")).count(), 2);
        let fenced = Report { again: "x '```\n````\n'".to_owned(), ..sample::plain() };
        assert!(write(&fenced).ends_with("\n\n`````sh\nx '```\n````\n'\n`````\n"));
    }

    #[test]
    fn a_span_of_code_is_a_span_of_code() {
        assert_eq!(code("*a* <b> [c](d) $x$ \\"), "`*a* <b> [c](d) $x$ \\`");
        assert_eq!(code("a|`\\|"), "<code>a&#124;&#96;&#92;&#124;</code>");
        assert_eq!(
            (code(""), code(" a"), code("a\nb")),
            (String::new(), "<code> a</code>".into(), "`a\\nb`".into())
        );
    }
}
