//! Who enters, who waits and who is refused, as the limits of a route say: plain calls, handed `now`.
//!
//! Who waits is let in strictly in the order of arrival, and nobody who comes later passes them, even when there is room
//! for one at that moment. Whoever arrives at a limit takes nothing from the bucket.

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

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: Excess = Excess::Queue { size: 2, timeout: Duration::from_secs(5) };

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn rate(times: u32, burst: u32, excess: Excess) -> Limits {
        Limits { rate: Frequency::per_second(times), burst: Some(burst), excess, ..Limits::default() }
    }

    fn connections(most: u32, excess: Excess) -> Limits {
        Limits { connections: Some(most), excess, ..Limits::default() }
    }

    fn waits(turnstile: &mut Turnstile<&'static str>, now: Instant, inside: usize, who: &'static str) -> u64 {
        assert_eq!(turnstile.arrive(now, inside), Answer::Wait, "{who}");
        turnstile.line_up(now, who)
    }

    #[test]
    fn without_limits_everybody_enters() {
        let mut turnstile = Turnstile::<()>::new(Limits::default(), Instant::now());
        for inside in 0..10_000 {
            assert_eq!(turnstile.arrive(Instant::now(), inside), Answer::Enter);
        }
    }

    #[test]
    fn a_flood_is_let_in_at_the_rate() {
        let start = Instant::now();
        let mut turnstile = Turnstile::<()>::new(rate(100, 10, Excess::Refuse), start);
        let entered = |millis| turnstile.arrive(start + ms(millis), 0) == Answer::Enter;
        assert_eq!(
            (0..=10_000).flat_map(|at| [at; 3]).map(entered).filter(|entered| *entered).count(),
            1_010
        );
    }

    #[test]
    fn a_flood_through_the_queue_is_let_in_at_the_same_rate() {
        let start = Instant::now();
        let mut turnstile = Turnstile::new(rate(100, 10, QUEUE), start);
        let mut entered = 0;
        for at in 0..=10_000 {
            let now = start + ms(at);
            while let Some((_, verdict)) = turnstile.call(now, 0) {
                entered += usize::from(verdict.is_ok());
            }
            match turnstile.arrive(now, 0) {
                Answer::Enter => entered += 1,
                Answer::Wait => assert!(turnstile.line_up(now, ()) > 0),
                Answer::Refuse(why) => assert_eq!(why, Why::QueueFull(2)),
            }
        }
        // Some arrive while the first ones of the burst are still to come: 1,010, less what waits at the end.
        assert_eq!(entered, 1_010);
    }

    #[test]
    fn a_late_look_makes_the_line_no_slower() {
        let start = Instant::now();
        let excess = Excess::Queue { size: 4_000, timeout: Duration::from_secs(100) };
        let mut turnstile = Turnstile::new(rate(300, 1, excess), start);
        assert_eq!(turnstile.arrive(start, 0), Answer::Enter);
        (0..4_000).for_each(|_| assert!(waits(&mut turnstile, start, 0, "one") > 0));
        let mut entered = 1;
        for at in (0..=10_000).step_by(8) {
            entered += std::iter::from_fn(|| turnstile.call(start + ms(at), 0)).count();
        }
        assert_eq!(entered, 3_001);
    }

    #[test]
    fn tokens_are_not_saved_up_by_those_who_wait_for_a_place() {
        let start = Instant::now();
        let excess = Excess::Queue { size: 9, timeout: Duration::from_secs(100) };
        let mut turnstile = Turnstile::new(Limits { connections: Some(3), ..rate(1, 1, excess) }, start);
        (0..9).for_each(|_| assert!(waits(&mut turnstile, start, 3, "one") > 0));
        assert_eq!(turnstile.call(start, 3), None);
        let now = start + ms(60_000);
        assert_eq!(turnstile.call(now, 2), Some(("one", Ok(()))));
        assert_eq!(turnstile.call(now, 2), None);
        assert_eq!(turnstile.call(now + ms(999), 2), None);
        assert_eq!(turnstile.call(now + ms(1_000), 2), Some(("one", Ok(()))));
    }

    #[test]
    fn the_reasons_are_told_in_words() {
        let start = Instant::now();
        let mut few = Turnstile::<()>::new(connections(1_000, Excess::Refuse), start);
        assert_eq!(few.arrive(start, 999), Answer::Enter);
        let Answer::Refuse(why) = few.arrive(start, 1_000) else { panic!("it is full") };
        assert_eq!(why.to_string(), "1000 connections are open already");
        let mut slow = Turnstile::<()>::new(rate(100, 1, Excess::Refuse), start);
        assert_eq!(slow.arrive(start, 0), Answer::Enter);
        let Answer::Refuse(why) = slow.arrive(start, 0) else { panic!("it is too often") };
        assert_eq!(why.to_string(), "more than 100/s new connections");
        assert_eq!(Why::QueueFull(100).to_string(), "the queue is full (100)");
        assert_eq!(Why::Waited(Duration::from_secs(5)).to_string(), "waited 5s for a turn");
        assert_eq!(Why::Connections(1).to_string(), "1 connection is open already");
    }

    #[test]
    fn nobody_passes_those_who_wait() {
        let start = Instant::now();
        let mut turnstile = Turnstile::new(connections(1, QUEUE), start);
        assert_eq!(turnstile.arrive(start, 0), Answer::Enter);
        waits(&mut turnstile, start, 1, "first");
        // There is room, but somebody was there before.
        waits(&mut turnstile, start, 0, "second");
        assert_eq!(turnstile.arrive(start, 0), Answer::Refuse(Why::QueueFull(2)));
        assert_eq!(turnstile.call(start, 1), None);
        assert_eq!(turnstile.call(start, 0), Some(("first", Ok(()))));
        assert_eq!((turnstile.call(start, 1), turnstile.waiting()), (None, 1));
        assert_eq!(turnstile.call(start, 0), Some(("second", Ok(()))));
        assert_eq!(turnstile.arrive(start, 0), Answer::Enter);
    }

    #[test]
    fn only_the_head_has_a_moment_to_wait_for() {
        let start = Instant::now();
        let mut turnstile = Turnstile::new(rate(4, 1, QUEUE), start);
        assert_eq!(turnstile.arrive(start, 0), Answer::Enter);
        let first = waits(&mut turnstile, start + ms(10), 1, "first");
        let second = waits(&mut turnstile, start + ms(20), 1, "second");
        let due = |turnstile: &mut Turnstile<_>, ticket| turnstile.due(ticket, start + ms(20), 1);
        assert_eq!(due(&mut turnstile, first), Some(start + ms(250)));
        assert_eq!(due(&mut turnstile, second), None);
        assert!(turnstile.give_up(first) && !turnstile.give_up(first));
        assert_eq!((due(&mut turnstile, second), turnstile.head()), (Some(start + ms(250)), Some(&"second")));
        assert_eq!(turnstile.call(start + ms(249), 1), None);
        assert_eq!(turnstile.call(start + ms(250), 1), Some(("second", Ok(()))));
    }

    #[test]
    fn waiting_ends_when_its_time_is_over() {
        let start = Instant::now();
        let mut turnstile = Turnstile::new(connections(1, QUEUE), start);
        assert_eq!(turnstile.arrive(start, 0), Answer::Enter);
        let first = waits(&mut turnstile, start, 1, "first");
        waits(&mut turnstile, start + ms(1), 1, "second");
        assert_eq!(turnstile.due(first, start, 1), Some(start + ms(5_000)));
        assert_eq!(turnstile.call(start + ms(4_999), 1), None);
        let waited = Err(Why::Waited(Duration::from_secs(5)));
        assert_eq!(turnstile.call(start + ms(5_000), 1), Some(("first", waited)));
        assert_eq!(turnstile.call(start + ms(5_000), 1), None);
        assert_eq!(turnstile.call(start + ms(5_001), 1), Some(("second", waited)));
    }

    #[test]
    fn new_limits_hold_for_those_who_wait() {
        let start = Instant::now();
        let full = || {
            let mut turnstile = Turnstile::new(connections(1, QUEUE), start);
            waits(&mut turnstile, start, 1, "first");
            waits(&mut turnstile, start, 1, "second");
            turnstile
        };
        let mut wider = full();
        wider.change(connections(2, QUEUE), start);
        assert_eq!(wider.call(start, 1), Some(("first", Ok(()))));
        assert_eq!(wider.call(start, 2), None);

        let mut shorter = full();
        shorter.change(connections(1, Excess::Queue { size: 1, timeout: Duration::from_secs(5) }), start);
        assert_eq!(shorter.call(start, 1), Some(("second", Err(Why::QueueFull(1)))));
        assert_eq!(shorter.call(start, 1), None);

        let mut none = full();
        none.change(connections(1, Excess::Refuse), start);
        assert_eq!(none.call(start, 1), Some(("first", Err(Why::Connections(1)))));
        assert_eq!(none.call(start, 1), Some(("second", Err(Why::Connections(1)))));

        let mut open = full();
        open.change(Limits::default(), start);
        assert_eq!(open.call(start, 9), Some(("first", Ok(()))));
        assert_eq!(open.call(start, 10), Some(("second", Ok(()))));

        let mut hasty = full();
        hasty.change(connections(1, Excess::Queue { size: 2, timeout: ms(100) }), start);
        assert_eq!(hasty.call(start + ms(100), 1), Some(("first", Err(Why::Waited(ms(100))))));
    }

    #[test]
    fn a_bucket_keeps_what_it_holds_when_other_things_change() {
        let start = Instant::now();
        let mut turnstile = Turnstile::<()>::new(rate(1, 2, Excess::Refuse), start);
        assert_eq!(turnstile.arrive(start, 0), Answer::Enter);
        turnstile.change(Limits { connections: Some(7), ..rate(1, 2, QUEUE) }, start);
        assert_eq!(turnstile.arrive(start, 1), Answer::Enter);
        assert_eq!(turnstile.arrive(start, 2), Answer::Wait);
        turnstile.never_entered();
        assert_eq!(turnstile.arrive(start, 2), Answer::Enter);
    }

    #[test]
    fn the_burst_is_a_second_of_the_rate_unless_said() {
        let of = |times, said| {
            let limits = Limits { burst: said, ..rate(times, 1, Excess::Refuse) };
            burst(&limits, limits.rate.unwrap())
        };
        assert_eq!((of(100, None), of(1, None), of(100, Some(7))), (100, 1, 7));
    }
}
