//! What the forms of a report have in common: the sentences.

use std::time::Duration;

use super::{Made, Report, RouteSummary, Verdict};
use crate::observe::text::{count, span};
use crate::spec::Period;

impl Report {
    /// What it is called: the scenario, or what there was without one.
    pub(super) fn title(&self) -> &str {
        self.scenario.as_ref().map_or("chaos-proxy run", |scenario| &scenario.name)
    }

    /// The steps that were refused.
    pub(super) fn refused(&self) -> impl Iterator<Item = (&Made, &str)> {
        self.steps.iter().filter_map(|made| Some((made, made.refused.as_deref()?)))
    }

    /// How many expectations did not hold.
    pub(super) fn failed(&self) -> usize {
        self.expectations.iter().filter(|verdict| !verdict.held).count()
    }

    /// `3 of 3 expectations held`, `1 of 3 expectations failed, 1 step refused`.
    pub(super) fn sum(&self) -> String {
        match self.failed() {
            0 => self.score(),
            failed => self.share(failed, "failed"),
        }
    }

    /// `2 of 3 expectations held, 1 step refused`: for a heading.
    pub(super) fn score(&self) -> String {
        self.share(self.expectations.len().saturating_sub(self.failed()), "held")
    }

    fn share(&self, part: usize, did: &str) -> String {
        let expected = match self.expectations.len() {
            0 => "nothing was expected".to_owned(),
            all => format!("{part} of {} {did}", count(all as u64, "expectation")),
        };
        let steps = |n: usize, did: &str| match n {
            0 => String::new(),
            n => format!(", {} {did}", count(n as u64, "step")),
        };
        expected + &steps(self.refused().count(), "refused") + &steps(self.unplayed, "never came")
    }
}

impl Verdict {
    /// `10s..30s`
    pub(super) fn window(&self) -> String {
        format!("{}..{}", moment(self.from), moment(self.to))
    }

    /// `fired 0, expected >= 1`: what was found, and what would have been enough.
    pub(super) fn missed(&self) -> String {
        let alone = !self.wanted.contains(", ");
        let wanted = match (self.found.split_once(' '), self.wanted.split_once(' ')) {
            (Some((found, _)), Some((wanted, bound))) if alone && found == wanted => bound,
            _ => &self.wanted,
        };
        format!("{}, expected {wanted}", self.found)
    }

    /// The same, and why.
    pub(super) fn missed_because(&self) -> String {
        match &self.why {
            Some(why) => format!("{}: {why}", self.missed()),
            None => self.missed(),
        }
    }
}

impl Made {
    /// `step at 10s: db: + latency (300ms)`
    pub(super) fn title(&self) -> String {
        format!("step at {}: {}", moment(self.at), self.text)
    }
}

impl RouteSummary {
    /// How much faults delayed.
    pub(super) fn delay(&self) -> String {
        if self.delayed.is_zero() { "none".to_owned() } else { span(self.delayed) }
    }
}

/// A moment: exactly, if it is one that a person would write; the end of a run falls where it will.
pub(super) fn moment(at: Duration) -> String {
    let whole = at.subsec_nanos().is_multiple_of(10_000_000);
    if whole || at < Duration::from_secs(1) && at.subsec_nanos().is_multiple_of(1_000_000) {
        return Period::new(at).to_string();
    }
    span(at)
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_verdict_says_what_was_found_and_what_would_have_been_enough() {
        let verdict = |found: &str, wanted: &str| Verdict {
            found: found.to_owned(),
            wanted: wanted.to_owned(),
            ..sample::verdict("it")
        };
        assert_eq!(verdict("fired 0", "fired >= 1").missed(), "fired 0, expected >= 1");
        assert_eq!(
            verdict("connections 2, fired 0", "connections >= 3, fired 1..2").missed(),
            "connections 2, fired 0, expected connections >= 3, fired 1..2"
        );
        assert_eq!(
            verdict("not recovered", "recovery <= 2s").missed(),
            "not recovered, expected recovery <= 2s"
        );
        assert_eq!(verdict("", "").missed(), ", expected ");
    }

    #[test]
    fn the_sum_counts_what_failed_and_what_was_refused() {
        assert_eq!(sample::good().sum(), "2 of 2 expectations held");
        assert_eq!(sample::bad().sum(), "1 of 3 expectations failed, 1 step refused");
        assert_eq!(sample::bad().score(), "2 of 3 expectations held, 1 step refused");
        assert_eq!(sample::plain().sum(), "nothing was expected");
    }

    #[test]
    fn moments_are_written_as_people_write_them() {
        let told = [0, 300, 10_000, 12_500, 90_000, 41_237].map(|ms| moment(Duration::from_millis(ms)));
        assert_eq!(told, ["0s", "300ms", "10s", "12.5s", "1m30s", "41.2s"]);
        assert_eq!(moment(Duration::from_nanos(41_237_812_345)), "41.2s");
    }
}
