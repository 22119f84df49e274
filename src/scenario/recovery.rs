//! How long it takes until bytes reach clients again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Scenario, Want};
use crate::daemon::Stats;

/// How often one looks while it is in time, and when it is late anyway and only the figure is wanted.
const PACE: Duration = Duration::from_millis(20);
const LATE: Duration = Duration::from_secs(1);

/// The recoveries that are waited for.
#[derive(Debug, Default)]
pub(super) struct Recoveries {
    /// By expectation.
    wanted: BTreeMap<usize, Wanted>,
    /// Those whose window is over, with the bytes that had been sent by then.
    open: BTreeMap<usize, u64>,
}

#[derive(Debug)]
struct Wanted {
    /// The end of the window.
    to: Duration,
    route: Option<Arc<str>>,
    /// When it would be too late.
    until: Duration,
}

impl Recoveries {
    pub(super) fn of(scenario: &Scenario) -> Recoveries {
        let all = scenario.expectations.iter().enumerate();
        let wanted = all.filter_map(|(nth, expectation)| {
            let mosts = expectation.wants.iter().filter_map(|want| match want {
                Want::Recovery(bound) => bound.most(),
                _ => None,
            });
            let (to, most) = (expectation.during?.to, mosts.max()?);
            let until = to.saturating_add(most.get());
            Some((nth, Wanted { to, route: expectation.route.clone(), until }))
        });
        Recoveries { wanted: wanted.collect(), open: BTreeMap::new() }
    }

    /// Windows end here, with so much counted.
    pub(super) fn begin(&mut self, at: Duration, stats: &Stats) {
        let ending = self.wanted.iter().filter(|(_, wanted)| wanted.to == at);
        self.open.extend(ending.map(|(nth, wanted)| (*nth, sent(stats, wanted.route.as_deref()))));
    }

    /// Whether there is anything to look for.
    pub(super) fn are_awaited(&self) -> bool {
        !self.open.is_empty()
    }

    /// When to look next; none: nothing is waited for.
    pub(super) fn next_look(&self, now: Duration) -> Option<Duration> {
        let in_time = |nth: &usize| self.wanted.get(nth).is_some_and(|wanted| now <= wanted.until);
        let pace = if self.open.keys().any(in_time) { PACE } else { LATE };
        self.are_awaited().then(|| now.saturating_add(pace))
    }

    /// So much is counted now. Gives the expectations whose route has recovered, with the time it took.
    pub(super) fn seen(&mut self, stats: &Stats, now: Duration) -> Vec<(usize, Duration)> {
        let mut found = Vec::new();
        for (nth, before) in &self.open {
            if let Some(wanted) = self.wanted.get(nth)
                && sent(stats, wanted.route.as_deref()) > *before
            {
                found.push((*nth, now.saturating_sub(wanted.to)));
            }
        }
        self.open.retain(|nth, _| found.iter().all(|(seen, _)| seen != nth));
        found
    }
}

/// The bytes that reached clients.
fn sent(stats: &Stats, route: Option<&str>) -> u64 {
    let of = stats.routes.iter().filter(|one| route.is_none_or(|route| one.name == route));
    of.map(|one| one.bytes_sent.downstream).sum()
}
