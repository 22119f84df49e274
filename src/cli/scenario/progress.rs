//! Where a scenario is: every step as it is made, and on a terminal a line that moves.

use std::cell::Cell;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::observe::text::span;
use crate::scenario::Scenario;
use crate::scenario::report::Made;
use crate::spec::text::shown;

/// How often the line moves.
const PACE: Duration = Duration::from_millis(200);

/// How wide the bar is.
const BAR: u32 = 24;

/// What is shown of a scenario under way.
pub(super) struct Progress {
    duration: Duration,
    /// When steps begin, in order.
    steps: Vec<Duration>,
    began: Instant,
    /// A line is shown that may be written over.
    moving: bool,
    shown: Cell<bool>,
    quiet: bool,
}

impl Progress {
    pub(super) fn of(scenario: &Scenario, quiet: bool) -> Progress {
        let mut steps: Vec<Duration> = scenario.steps.iter().map(|step| step.at).collect();
        steps.sort_unstable();
        let moving = !quiet && std::io::stderr().is_terminal();
        let (began, shown) = (Instant::now(), Cell::new(false));
        Progress { duration: scenario.duration, steps, began, moving, shown, quiet }
    }

    /// Moves the line until it is dropped.
    pub(super) async fn go_on(&self) -> Infallible {
        if !self.moving {
            return std::future::pending().await;
        }
        loop {
            self.write(&line(self.began.elapsed(), self.duration, &self.steps));
            self.shown.set(true);
            sleep(PACE).await;
        }
    }

    /// A step was made, undone or refused.
    pub(super) fn tell(&self, made: &Made) {
        if self.quiet {
            return;
        }
        let refused = made.refused.as_deref().map(|why| format!(" refused: {}", shown(why)));
        let text = format!("{:>7}  {}{}", span(made.at), shown(&made.text), refused.unwrap_or_default());
        self.write(&text);
        self.shown.set(false);
        self.write("\n");
    }

    /// Takes the line away.
    pub(super) fn clear(&self) {
        self.write("");
        self.shown.set(false);
    }

    /// Straight to the terminal: the line is of no use to anybody later.
    fn write(&self, text: &str) {
        let over = if self.shown.get() { "\r\x1b[K" } else { "" };
        let mut to = std::io::stderr().lock();
        // Nobody may be there to read it.
        let _ = to.write_all(format!("{over}{text}").as_bytes()).and_then(|()| to.flush());
    }
}

/// `   12s of 40s  [#######.................]  next at 20s`
fn line(now: Duration, duration: Duration, steps: &[Duration]) -> String {
    let now = now.min(duration);
    let part = now.as_secs_f64() / duration.as_secs_f64().max(f64::MIN_POSITIVE);
    let full = (part * f64::from(BAR)).floor() as usize;
    let bar = format!("{}{}", "#".repeat(full), ".".repeat((BAR as usize).saturating_sub(full)));
    let mut line = format!("{:>7} of {}  [{bar}]", span(Duration::from_secs(now.as_secs())), span(duration));
    if let Some(next) = steps.iter().find(|step| **step > now) {
        // Writing into a String cannot fail.
        let _ = write!(line, "  next at {}", span(*next));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_far_it_is_and_what_comes() {
        let at = |now: f64| {
            let steps = [Duration::from_secs(10), Duration::from_secs(20)];
            line(Duration::from_secs_f64(now), Duration::from_secs(40), &steps)
        };
        assert_eq!(at(0.0), "     0s of 40s  [........................]  next at 10s");
        assert_eq!(at(9.9), "     9s of 40s  [#####...................]  next at 10s");
        assert_eq!(at(10.9), "    10s of 40s  [######..................]  next at 20s");
        assert_eq!(at(40.5), "    40s of 40s  [########################]");
    }
}
