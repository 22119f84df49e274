//! What was expected, held against what the daemon has counted.

use std::sync::Arc;
use std::time::Duration;

use super::bound::{Bound, Share};
use super::play::Played;
use super::report::Verdict;
use super::{Expectation, Scenario, Want};
use crate::daemon::Stats;
use crate::daemon::stats::{OfFault, OfRoute};
use crate::observe::Ending;
use crate::observe::text::{count, span};
use crate::spec::Period;
use crate::spec::suggest::nearest;
use crate::spec::text::shown;

/// Judges every expectation. `last` is what the daemon had counted in the end, after `took`, when all was over.
pub fn judge(scenario: &Scenario, played: &Played, last: &Stats, took: Duration) -> Vec<Verdict> {
    let all = scenario.expectations.iter().enumerate();
    all.map(|(nth, expectation)| verdict((nth, expectation), played, last, took)).collect()
}

/// The verdicts on a scenario that was never played: nothing has been shown.
pub fn unplayed(scenario: &Scenario, why: &str) -> Vec<Verdict> {
    let verdict = |one: &Expectation| {
        let span = one.during.map(|window| (window.from, window.to)).unwrap_or_default();
        one.verdict(span, false, "nothing".to_owned(), Some(why.to_owned()))
    };
    scenario.expectations.iter().map(verdict).collect()
}

impl Expectation {
    fn verdict(
        &self,
        (from, to): (Duration, Duration),
        held: bool,
        found: String,
        why: Option<String>,
    ) -> Verdict {
        Verdict {
            name: self.name.clone(),
            route: self.route.as_deref().map(str::to_owned),
            from,
            to,
            held,
            found,
            wanted: list(self.wants.iter().map(wanted)),
            why,
            place: self.place,
        }
    }
}

fn verdict(
    (nth, expectation): (usize, &Expectation),
    played: &Played,
    last: &Stats,
    took: Duration,
) -> Verdict {
    let (from, to) = match expectation.during {
        Some(window) if !played.looks.contains_key(&window.from) => (window.from, window.to),
        Some(window) => (window.from, window.to.min(played.ended.max(window.from))),
        None => (Duration::ZERO, took),
    };
    let verdict = |held, found, why| expectation.verdict((from, to), held, found, why);
    let never = format!("it was over after {}, before {} came", span(played.ended), span(from));
    let before = match expectation.during {
        Some(window) => match played.looks.get(&window.from) {
            Some(look) => look,
            None => return verdict(false, "nothing".to_owned(), Some(never)),
        },
        None => &played.start,
    };
    let after = expectation.during.and_then(|window| played.looks.get(&window.to)).unwrap_or(last);
    let seen = Seen {
        span: (from, to),
        cut: expectation.during.map_or(played.interrupted, |window| !played.looks.contains_key(&window.to)),
        before: of(before, expectation.route.as_ref()),
        between: between(before, after, expectation.route.as_ref()),
        recovered: played.recovered.get(&nth).copied(),
        ended: played.ended,
    };
    if let Some(why) = misnamed(expectation, &played.start, last) {
        return verdict(false, "nothing".to_owned(), Some(why));
    }
    let findings: Vec<Finding> = expectation.wants.iter().map(|want| seen.find(want)).collect();
    let held = findings.iter().all(|finding| finding.held);
    let why = findings.iter().find(|finding| !finding.held).and_then(|finding| finding.why.clone());
    verdict(held, list(findings.into_iter().map(|finding| finding.found)), why)
}

/// Why an expectation is of something that there never was: of that everything can be said, and nothing was shown.
fn misnamed(expectation: &Expectation, start: &Stats, last: &Stats) -> Option<String> {
    let route = expectation.route.as_deref();
    let known = || last.routes.iter().chain(&start.routes);
    let asked = |one: &&OfRoute| route.is_none_or(|route| one.name == *route);
    if let Some(name) = route.filter(|_| !known().any(|one| asked(&one))) {
        let meant = did_you_mean(name, known().map(|one| &*one.name));
        return Some(format!("there is no route `{}`{meant}", shown(name)));
    }
    let named = expectation.wants.iter().find_map(|want| match want {
        Want::Fired { fault, .. } => fault.as_deref(),
        _ => None,
    })?;
    let faults = || known().filter(asked).flat_map(|one| &one.faults).map(|fault| &*fault.fault);
    if faults().any(|fault| fault == named) {
        return None;
    }
    let whose = route.map_or_else(|| "no route ever".to_owned(), |route| format!("{} never", shown(route)));
    Some(format!("{whose} had a fault `{}`{}", shown(named), did_you_mean(named, faults())))
}

fn did_you_mean<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> String {
    nearest(typed, known).map(|near| format!(", did you mean `{}`?", shown(near))).unwrap_or_default()
}

/// What one want came to.
struct Finding {
    held: bool,
    found: String,
    why: Option<String>,
}

/// What was counted within a window.
struct Seen {
    span: (Duration, Duration),
    /// It was over before the window was.
    cut: bool,
    /// The routes as they were at its begin.
    before: Vec<OfRoute>,
    /// What happened on them.
    between: Vec<OfRoute>,
    recovered: Option<Duration>,
    ended: Duration,
}

impl Seen {
    fn find(&self, want: &Want) -> Finding {
        match want {
            Want::Fired { fault, bound } => {
                let fired = self.fired(fault.as_deref());
                let why = || self.why_not_fired();
                self.finding("fired", fired, *bound, why)
            }
            Want::Connections(bound) => {
                self.finding("connections", self.opened(), *bound, || self.why_so_few())
            }
            Want::Ended(ending, bound) => {
                self.finding(ending.word(), self.ended(*ending), *bound, || self.why_so_few())
            }
            Want::ErrorShare(bound) => self.error_share(*bound),
            Want::Recovery(bound) => self.recovery(*bound),
        }
    }

    fn finding(
        &self,
        what: &str,
        found: u64,
        bound: Bound<u64>,
        why: impl FnOnce() -> Option<String>,
    ) -> Finding {
        let holds = bound.holds(&found);
        // What has been reached stays reached; that no more would have come nobody has seen.
        let settled = !self.cut || matches!(bound, Bound::AtLeast(_) | Bound::More(_));
        let too_few = match bound {
            Bound::AtLeast(n) | Bound::More(n) | Bound::Exactly(n) | Bound::Between(n, _) => found <= n,
            Bound::Less(_) | Bound::AtMost(_) | Bound::Not(_) => false,
        };
        let why = match (holds, settled) {
            (true, true) => None,
            (true, false) => Some(self.too_short()),
            // That too much happened needs no reason.
            (false, _) => too_few.then(why).flatten(),
        };
        Finding { held: holds && settled, found: format!("{what} {found}"), why }
    }

    fn too_short(&self) -> String {
        format!("it was over after {}, before its time was", span(self.ended))
    }

    fn fired(&self, fault: Option<&str>) -> u64 {
        match fault {
            Some(name) => self.faults(name).map(|fault| fault.fired).sum(),
            None => self.between.iter().map(|route| route.fired).sum(),
        }
    }

    fn faults<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a OfFault> {
        self.between.iter().flat_map(|route| &route.faults).filter(move |fault| fault.fault == name)
    }

    fn opened(&self) -> u64 {
        self.between.iter().map(|route| route.opened).sum()
    }

    fn ended(&self, ending: Ending) -> u64 {
        let closed = self.between.iter().flat_map(|route| &route.closed);
        closed.filter(|closed| closed.ending == ending).map(|closed| closed.count).sum()
    }

    /// Of the connections that ended by themselves: those that did not end well.
    fn error_share(&self, bound: Bound<Share>) -> Finding {
        let neutral = [Ending::Drain, Ending::Control];
        let counted = Ending::ALL.into_iter().filter(|ending| !neutral.contains(ending));
        let all: u64 = counted.map(|ending| self.ended(ending)).sum();
        if all == 0 {
            let why = Some(format!("no connection ended {}", self.during()));
            return Finding { held: false, found: "errorShare unknown".to_owned(), why };
        }
        let bad = all - self.ended(Ending::PeerFin);
        let share = Share(bad as f64 / all as f64);
        let holds = bound.holds(&share);
        let why = match holds {
            true => self.cut.then(|| self.too_short()),
            false => Some(format!("{bad} of {} ended badly", count(all, "connection"))),
        };
        Finding { held: holds && !self.cut, found: format!("errorShare {share}"), why }
    }

    fn recovery(&self, bound: Bound<Period>) -> Finding {
        match self.recovered {
            Some(took) => {
                let took =
                    Period::new(Duration::from_millis(u64::try_from(took.as_millis()).unwrap_or(u64::MAX)));
                Finding { held: bound.holds(&took), found: format!("recovery {took}"), why: None }
            }
            None if self.cut => {
                Finding { held: false, found: "recovery unknown".to_owned(), why: Some(self.too_short()) }
            }
            None => {
                let why =
                    format!("no byte reached a client from {} until {}", span(self.span.1), span(self.ended));
                Finding { held: false, found: "recovery none".to_owned(), why: Some(why) }
            }
        }
    }

    /// Why a fault fired less often than somebody thought.
    fn why_not_fired(&self) -> Option<String> {
        if let Some(why) = self.why_so_few() {
            return Some(why);
        }
        let open: u64 = self.before.iter().map(|route| route.active).sum();
        let whom = match (self.opened(), open) {
            (came, open) if open > 0 => {
                let came = if came == 0 { "none".to_owned() } else { came.to_string() };
                format!("{} open {}, {came} came in", count(open, "connection"), self.at())
            }
            (came, _) => format!("{} came in", count(came, "connection")),
        };
        Some(whom)
    }

    /// Whether there was anybody whom it could have happened to.
    fn why_so_few(&self) -> Option<String> {
        let nobody = self.opened() == 0 && self.before.iter().all(|route| route.active == 0);
        nobody.then(|| format!("no connection was open {}", self.during()))
    }

    fn during(&self) -> String {
        format!("between {} and {}", span(self.span.0), span(self.span.1))
    }

    fn at(&self) -> String {
        format!("at {}", span(self.span.0))
    }
}

fn wanted(want: &Want) -> String {
    match want {
        Want::Fired { bound, .. } => format!("fired {bound}"),
        Want::Connections(bound) => format!("connections {bound}"),
        Want::Ended(ending, bound) => format!("{} {bound}", ending.word()),
        Want::ErrorShare(bound) => format!("errorShare {bound}"),
        Want::Recovery(bound) => format!("recovery {bound}"),
    }
}

fn list(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<String>>().join(", ")
}

fn of(stats: &Stats, route: Option<&Arc<str>>) -> Vec<OfRoute> {
    let asked = |one: &&OfRoute| route.is_none_or(|route| one.name == **route);
    stats.routes.iter().filter(asked).cloned().collect()
}

fn between(before: &Stats, after: &Stats, route: Option<&Arc<str>>) -> Vec<OfRoute> {
    of(after, route).iter().map(|route| route.since(before.route(&route.name))).collect()
}

#[cfg(test)]
mod tests;
