//! Who enters, who waits and who is refused, as the limits of a route say: plain calls, handed `now`.
//!
//! Who waits is let in strictly in the order of arrival, and nobody who comes later passes them, even when there is room
//! for one at that moment. Whoever arrives at a limit takes nothing from the bucket.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::bucket::Bucket;
use super::{Excess, Limits};
use crate::spec::{Frequency, Period};

/// Counts those who come to a route and keeps those who wait, as `T`, in line.
#[derive(Debug)]
pub(super) struct Turnstile<T> {
    limits: Limits,
    bucket: Option<Bucket>,
    line: VecDeque<Waiting<T>>,
    /// Whether a token is all that the head of the line has been waiting for since it was last looked at.
    only_a_token: bool,
    /// Tickets so far.
    tickets: u64,
}

#[derive(Debug)]
struct Waiting<T> {
    ticket: u64,
    since: Instant,
    who: T,
}

/// What becomes of one who arrives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Answer {
    /// It enters.
    Enter,
    /// It may line up.
    Wait,
    /// It does neither.
    Refuse(Why),
}

/// Why a client was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// So many connections are open already.
    Connections(u32),
    /// More come than this rate lets in.
    Rate(Frequency),
    /// So many wait already.
    QueueFull(u32),
    /// It has waited for so long.
    Waited(Duration),
}

impl<T> Turnstile<T> {
    /// One that nobody has passed.
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        let bucket = limits.rate.map(|rate| Bucket::new(rate, burst(&limits, rate), now));
        Turnstile { limits, bucket, line: VecDeque::new(), only_a_token: false, tickets: 0 }
    }

    /// What becomes of one who arrives while so many are inside. All who could be called have been.
    pub(super) fn arrive(&mut self, now: Instant, inside: usize) -> Answer {
        let blocked = self.blocked(now, inside);
        if self.line.is_empty() {
            self.only_a_token = matches!(blocked, Some(Why::Rate(_)));
            if blocked.is_none() {
                self.enter();
                return Answer::Enter;
            }
        }
        match (self.limits.excess, blocked) {
            (Excess::Queue { size, .. }, _) if self.line.len() >= index(size) => {
                Answer::Refuse(Why::QueueFull(size))
            }
            (Excess::Refuse, Some(why)) => Answer::Refuse(why),
            _ => Answer::Wait,
        }
    }

    /// Puts one who may wait at the end of the line, and gives its ticket.
    pub(super) fn line_up(&mut self, now: Instant, who: T) -> u64 {
        self.tickets += 1;
        self.line.push_back(Waiting { ticket: self.tickets, since: now, who });
        self.tickets
    }

    /// Calls the next one of those who wait whose waiting is over, and says how. To be called until there is none.
    pub(super) fn call(&mut self, now: Instant, inside: usize) -> Option<(T, Result<(), Why>)> {
        let head = self.line.front()?.since;
        // A timer is a little late. The head takes its token when it was there, not when it is seen: a full bucket would
        // spill what comes in between, and the line would be slower than the rate.
        let token = self.bucket.as_ref().and_then(Bucket::next).filter(|_| self.only_a_token);
        let seen = self.blocked(token.map_or(now, |token| token.min(now)), inside);
        self.only_a_token = matches!(seen, None | Some(Why::Rate(_)));
        let Some(why) = seen else {
            self.enter();
            return self.line.pop_front().map(|next| (next.who, Ok(())));
        };
        match self.limits.excess {
            Excess::Refuse => self.line.pop_front().map(|next| (next.who, Err(why))),
            Excess::Queue { timeout, .. } if now.saturating_duration_since(head) >= timeout => {
                self.line.pop_front().map(|next| (next.who, Err(Why::Waited(timeout))))
            }
            // The queue has become shorter: who came last goes first.
            Excess::Queue { size, .. } if self.line.len() > index(size) => {
                self.line.pop_back().map(|last| (last.who, Err(Why::QueueFull(size))))
            }
            Excess::Queue { .. } => None,
        }
    }

    /// When something changes by itself for the one with this ticket, if it is the next in line: its token is there, or it
    /// has waited too long.
    pub(super) fn due(&mut self, ticket: u64, now: Instant, inside: usize) -> Option<Instant> {
        let since = self.line.front().filter(|head| head.ticket == ticket)?.since;
        let over = match self.limits.excess {
            Excess::Queue { timeout, .. } => since.checked_add(timeout),
            Excess::Refuse => Some(now),
        };
        match self.blocked(now, inside) {
            None => Some(now),
            Some(Why::Rate(_)) => {
                let token = self.bucket.as_ref().and_then(Bucket::next);
                over.into_iter().chain(token).min()
            }
            Some(_) => over,
        }
    }

    /// Takes one out of the line that gives up; false: it is not there any more.
    pub(super) fn give_up(&mut self, ticket: u64) -> bool {
        let place = self.line.binary_search_by_key(&ticket, |waiting| waiting.ticket);
        place.ok().and_then(|place| self.line.remove(place)).is_some()
    }

    /// One that was let in never made use of it.
    pub(super) fn never_entered(&mut self) {
        if let Some(bucket) = &mut self.bucket {
            bucket.give_back();
        }
    }

    /// Who is next.
    pub(super) fn head(&self) -> Option<&T> {
        self.line.front().map(|head| &head.who)
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.line.len()
    }

    /// Other limits hold from now on. What the bucket holds it keeps.
    pub(super) fn change(&mut self, limits: Limits, now: Instant) {
        self.bucket = match (self.bucket.take(), limits.rate) {
            (_, None) => None,
            (None, Some(rate)) => Some(Bucket::new(rate, burst(&limits, rate), now)),
            (Some(mut bucket), Some(rate)) => {
                if (self.limits.rate, self.limits.burst) != (limits.rate, limits.burst) {
                    bucket.change(rate, burst(&limits, rate), now);
                }
                Some(bucket)
            }
        };
        self.limits = limits;
    }

    /// What stands in the way of one more.
    fn blocked(&mut self, now: Instant, inside: usize) -> Option<Why> {
        if let Some(most) = self.limits.connections.filter(|most| inside >= index(*most)) {
            return Some(Why::Connections(most));
        }
        let bucket = self.bucket.as_mut()?;
        (!bucket.has_one(now)).then(|| Why::Rate(bucket.rate()))
    }

    fn enter(&mut self) {
        if let Some(bucket) = &mut self.bucket {
            bucket.take();
        }
    }
}

/// As many as may come together: where nothing is said, what the rate gives in a second, and at least one.
fn burst(limits: &Limits, rate: Frequency) -> u32 {
    limits.burst.unwrap_or_else(|| rate.in_a_second()).max(1)
}

fn index(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Connections(1) => f.write_str("1 connection is open already"),
            Why::Connections(most) => write!(f, "{most} connections are open already"),
            Why::Rate(rate) => write!(f, "more than {rate} new connections"),
            Why::QueueFull(size) => write!(f, "the queue is full ({size})"),
            Why::Waited(time) => write!(f, "waited {} for a turn", Period::new(*time)),
        }
    }
}
