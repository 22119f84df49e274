//! The program's log as events: one JSON object a line, gathered by a thread and waited for.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// One line of the log.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// The whole object.
    pub(crate) fields: Value,
    /// When the harness read it.
    pub(crate) seen: Instant,
}

impl Event {
    /// A text field, or nothing.
    pub(crate) fn text(&self, field: &str) -> &str {
        self.fields[field].as_str().unwrap_or_default()
    }

    /// A number; a fraction is cut off.
    pub(crate) fn number(&self, field: &str) -> u64 {
        let value = &self.fields[field];
        let number = value.as_u64().or_else(|| value.as_f64().map(|fraction| fraction as u64));
        number.unwrap_or_else(|| panic!("no number {field} in {}", self.fields))
    }

    /// `bytes.upstream` and `bytes.downstream`.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        let of = |direction: &str| self.fields["bytes"][direction].as_u64();
        match (of("upstream"), of("downstream")) {
            (Some(upstream), Some(downstream)) => (upstream, downstream),
            _ => panic!("no bytes in {}", self.fields),
        }
    }

    /// Whether this is an event of that name on that route.
    pub(crate) fn is(&self, name: &str, route: &str) -> bool {
        self.text("event") == name && self.text("route") == route
    }

    /// Warnings and errors.
    pub(crate) fn is_complaint(&self) -> bool {
        ["warn", "error"].contains(&self.text("level").to_ascii_lowercase().as_str())
    }
}

/// All lines so far, shared with the thread that reads them.
#[derive(Clone, Default)]
pub(crate) struct Events(Arc<Shared>);

#[derive(Default)]
struct Shared {
    lines: Mutex<Lines>,
    more: Condvar,
}

#[derive(Default)]
struct Lines {
    events: Vec<Event>,
    /// Lines that are no JSON object.
    other: Vec<String>,
    ended: bool,
}

impl Events {
    /// Reads `log` to its end on a thread of its own.
    pub(crate) fn gather(log: impl Read + Send + 'static) -> Self {
        let events = Events::default();
        let to = events.clone();
        thread::spawn(move || {
            for line in BufReader::new(log).split(b'\n') {
                let Ok(line) = line else { break };
                let seen = Instant::now();
                let mut lines = to.lock();
                match serde_json::from_slice::<Value>(&line) {
                    Ok(fields) if fields.is_object() => lines.events.push(Event { fields, seen }),
                    _ => lines.other.push(String::from_utf8_lossy(&line).into_owned()),
                }
                to.0.more.notify_all();
            }
            to.lock().ended = true;
            to.0.more.notify_all();
        });
        events
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All events that `wanted` picks.
    pub(crate) fn all(&self, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
        self.lock().events.iter().filter(|event| wanted(event)).cloned().collect()
    }

    /// How many there are that `wanted` picks.
    pub(crate) fn count(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.lock().events.iter().filter(|event| wanted(event)).count()
    }

    /// Waits until there are `n` events that `wanted` picks, and gives them.
    pub(crate) fn wait_for_n(
        &self,
        n: usize,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&Event) -> bool,
    ) -> Vec<Event> {
        let until = Instant::now() + limit;
        let mut lines = self.lock();
        loop {
            let found: Vec<&Event> = lines.events.iter().filter(|event| wanted(event)).collect();
            if found.len() >= n {
                return found.into_iter().cloned().collect();
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero() && !lines.ended,
                "{} of {n} within {limit:?}: {what}\n{}",
                found.len(),
                lines.tail()
            );
            lines = self.0.more.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until the log has ended, and gives the lines that are no events.
    pub(crate) fn wait_for_end(&self, limit: Duration) -> Vec<String> {
        let lines = self.lock();
        let (lines, timeout) = self
            .0
            .more
            .wait_timeout_while(lines, limit, |lines| !lines.ended)
            .unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "the log has not ended within {limit:?}");
        lines.other.clone()
    }

    /// What panics have left in the log of a program that has ended. Somebody else may hold the log open, so there is a limit.
    pub(crate) fn bugs(&self) -> Vec<String> {
        let lines = self.lock();
        let is_read = |lines: &mut Lines| !lines.ended && Arc::strong_count(&self.0) > 1;
        let read = self.0.more.wait_timeout_while(lines, Duration::from_secs(1), is_read);
        let (lines, _) = read.unwrap_or_else(PoisonError::into_inner);
        lines.other.iter().filter(|line| line.contains("panicked at")).cloned().collect()
    }

    /// The last lines, for a failure's message.
    pub(crate) fn tail(&self) -> String {
        self.lock().tail()
    }
}

impl Lines {
    fn tail(&self) -> String {
        let events = self.events.iter().rev().take(30).map(|event| event.fields.to_string());
        let other = self.other.iter().rev().take(10).cloned();
        let mut lines: Vec<String> = events.chain(other).collect();
        lines.reverse();
        format!("the log's end (ended: {}):\n{}", self.ended, lines.join("\n"))
    }
}
