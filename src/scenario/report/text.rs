//! The account as it is printed when a run is over: what happened on each route, what was expected, and how to do it again.

use super::words::moment;
use super::{Made, Report, RouteSummary, Verdict};
use crate::observe::text::{aligned, grouped, size};
use crate::spec::text::shown;

/// As wide as a terminal is at least.
const WIDTH: usize = 80;

/// Lines for a person, safe to print; each ends with a line break.
pub fn write(report: &Report) -> String {
    let mut lines = Vec::new();
    if !report.routes.is_empty() {
        lines.extend(routes(&report.routes));
        lines.push(String::new());
    }
    lines.extend(checked(report));
    lines.extend(last(report));
    lines.into_iter().map(|line| line + "\n").collect()
}

/// A route has as many lines as it has faults or endings: side by side they would be too wide.
fn routes(routes: &[RouteSummary]) -> Vec<String> {
    let head = ["ROUTE", "CONNECTIONS", "UP", "DOWN", "FAULTS FIRED", "ENDINGS", "DELAY ADDED"];
    let mut lines = vec![head.map(str::to_owned)];
    for route in routes {
        let (fired, endings) = (counts(&route.fired), counts(&route.endings));
        for i in 0..fired.len().max(endings.len()) {
            let nth = |cells: &[String]| cells.get(i).cloned().unwrap_or_default();
            let once = |cell: String| if i == 0 { cell } else { String::new() };
            lines.push([
                once(shown(&route.name).into_owned()),
                once(grouped(route.connections)),
                once(size(route.bytes_upstream)),
                once(size(route.bytes_downstream)),
                nth(&fired),
                nth(&endings),
                once(route.delay()),
            ]);
        }
    }
    aligned(&lines, "  ")
}

fn counts(counts: &[(String, u64)]) -> Vec<String> {
    if counts.is_empty() {
        return vec!["none".to_owned()];
    }
    counts.iter().map(|(name, count)| format!("{} {}", shown(name), grouped(*count))).collect()
}

/// A line for each expectation and each refused step.
fn checked(report: &Report) -> Vec<String> {
    let expected = report.expectations.iter().map(told);
    let refused = report.refused().map(|(made, why)| refusal(report, made, why));
    let (before, said): (Vec<[String; 2]>, Vec<Said>) = expected.chain(refused).unzip();
    let before = aligned(&before, "  ");
    let width = before.iter().map(|line| line.chars().count()).max().unwrap_or(0);
    before.iter().zip(said).flat_map(|(line, said)| said.behind(format!("{line:width$}  "))).collect()
}

/// What is said of an expectation: what must be, and where there is more to say, that.
struct Said {
    what: String,
    more: Option<String>,
}

impl Said {
    /// Behind this, on one line if that is wide enough.
    fn behind(self, before: String) -> Vec<String> {
        let Some(more) = self.more else { return vec![before + &self.what] };
        let first = before.clone() + &self.what;
        if first.chars().count() + 1 + more.chars().count() <= WIDTH {
            return vec![format!("{first} {more}")];
        }
        // Not so far to the right that nothing fits there.
        let indent = before.chars().count().min(WIDTH / 2);
        vec![first, format!("{:indent$}{more}", "")]
    }
}

fn told(verdict: &Verdict) -> ([String; 2], Said) {
    let mark = if verdict.held { '✓' } else { '✗' };
    let before = [format!(" {mark} {}", verdict.window()), shown(&verdict.name).into_owned()];
    let said = match (&verdict.why, verdict.held) {
        (_, true) => Said { what: shown(&verdict.found).into_owned(), more: None },
        (None, false) => Said { what: shown(&verdict.missed()).into_owned(), more: None },
        (Some(why), false) => {
            Said { what: format!("{}:", shown(&verdict.missed())), more: Some(shown(why).into_owned()) }
        }
    };
    (before, said)
}

fn refusal(report: &Report, made: &Made, why: &str) -> ([String; 2], Said) {
    let place =
        report.scenario.as_ref().map(|scenario| format!("({}:{})", shown(&scenario.file), made.place.line));
    let before = [format!(" ✗ {}", moment(made.at)), shown(&made.text).into_owned()];
    (before, Said { what: format!("refused: {}", shown(why)), more: place })
}

/// How it came out, the seed, and the command; on a line of its own where it would not fit beside them.
fn last(report: &Report) -> Vec<String> {
    let seed = format!("seed {}", report.seed);
    let first = match report.scenario {
        Some(_) => format!("{}   {seed}", report.sum()),
        None => seed,
    };
    // Its own line breaks are part of it.
    let again: Vec<_> = report.again.split('\n').map(shown).collect();
    let again = format!("again: {}", again.join("\n"));
    let line = format!("{first}   {again}");
    if line.chars().count() <= WIDTH { vec![line] } else { vec![first, again] }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_bad_run_reads_like_this() {
        let expected = "\
ROUTE  CONNECTIONS  UP        DOWN     FAULTS FIRED  ENDINGS         DELAY ADDED
db     1,204        96.1 MiB  1.2 GiB  latency 812   peer-fin 1,201  4m02s
                                       reset 0       fault 3
cache  0            0 B       0 B      none          none            none

 ✓ 0s..10s   steady state   fired 0
 ✓ 10s..30s  latency on db  fired 812
 ✗ 30s..35s  reset on db    fired 0, expected >= 1:
                            no connection was open between 30s and 35s
 ✗ 12.5s     db: - slow     refused: route db has no fault `slow`
                            (tests/brownout.yaml:6)
1 of 3 expectations failed, 1 step refused   seed 7
again: chaos-proxy run --seed 7 --config routes.yaml -- pytest -q
";
        assert_eq!(write(&sample::bad()), expected);
        assert!(expected.lines().all(|line| line.chars().count() <= WIDTH));
    }

    #[test]
    fn what_fits_stays_on_one_line() {
        let mut report = Report { again: "chaos-proxy run --seed 7 -- pytest".to_owned(), ..sample::bad() };
        report.routes.clear();
        report.steps.clear();
        report.expectations.remove(0);
        report.expectations.remove(0);
        report.expectations[0].why = Some("the route was closed".to_owned());
        assert_eq!(
            write(&report),
            " ✗ 30s..35s  reset on db  fired 0, expected >= 1: the route was closed\n\
             1 of 1 expectation failed   seed 7   again: chaos-proxy run --seed 7 -- pytest\n"
        );
        report.expectations[0].why = None;
        assert!(write(&report).starts_with(" ✗ 30s..35s  reset on db  fired 0, expected >= 1\n"));
    }

    #[test]
    fn without_a_scenario_it_says_what_happened_and_judges_nothing() {
        let text = write(&Report { routes: Vec::new(), ..sample::plain() });
        assert_eq!(text, "seed 7   again: chaos-proxy run --seed 7 --config routes.yaml -- pytest -q\n");
    }

    #[test]
    fn a_hostile_text_moves_no_cursor_and_makes_no_line() {
        let report = sample::hostile();
        let text = write(&report);
        assert!(text.chars().all(|c| c == '\n' || !crate::spec::text::is_hostile(c)), "{text:?}");
        // Only the command has line breaks of its own.
        assert_eq!(text.lines().filter(|line| line.starts_with("::")).count(), 1);
        assert_eq!(text.lines().count(), write(&sample::bad()).lines().count() + 2);
    }
}
