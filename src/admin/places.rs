//! Who may stay: a bound on connections, and what each is doing.
//!
//! When all places are taken the connection longest without a complete request makes room; one that is being answered
//! goes only when all are, unless that takes so long that it is a stream. Nothing here knows of HTTP or sockets.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::limits::Limits;

/// No answer takes this long, but for those that never end.
const AN_ANSWER: Duration = Duration::from_secs(1);

/// All places there are.
#[derive(Debug)]
pub(super) struct Places {
    limits: Limits,
    taken: Mutex<Vec<Arc<Place>>>,
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Between requests.
    Idle,
    /// The head of a request is arriving.
    Head,
    /// A head is complete and its body is not.
    Body,
    /// A complete request is being answered.
    Answering,
}

/// One connection's place.
#[derive(Debug)]
pub(super) struct Place {
    /// How long things may take.
    pub(super) limits: Limits,
    now: Mutex<Doing>,
    /// Told to leave: somebody else needs the place.
    pub(super) leave: CancellationToken,
}

#[derive(Clone, Copy, Debug)]
struct Doing {
    phase: Phase,
    since: Instant,
    /// When its last complete request was complete, or else when it came.
    asked: Instant,
    /// Whether there was one.
    has_asked: bool,
}

/// A place that is kept until this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    place: Arc<Place>,
    places: Arc<Places>,
}

impl Places {
    /// As many as there may be connections; at least one.
    pub(super) fn new(limits: Limits) -> Arc<Places> {
        Arc::new(Places { limits, taken: Mutex::default() })
    }

    /// A place for a connection that came now. There always is one: somebody else may have to leave.
    pub(super) fn take(self: &Arc<Self>) -> Seat {
        let now = Instant::now();
        let doing = Doing { phase: Phase::Idle, since: now, asked: now, has_asked: false };
        let leave = CancellationToken::new();
        let place = Arc::new(Place { limits: self.limits, now: Mutex::new(doing), leave });
        let mut taken = self.taken();
        while taken.len() >= self.limits.connections.max(1) {
            let first = taken.iter().enumerate().min_by_key(|(_, place)| {
                let doing = place.doing();
                // A stream of events is answered for ever: it has its turn like everybody else.
                let answering = doing.phase == Phase::Answering && now < doing.asked + AN_ANSWER;
                (answering, doing.asked)
            });
            let Some((first, _)) = first else { break };
            taken.swap_remove(first).leave.cancel();
        }
        taken.push(place.clone());
        drop(taken);
        Seat { place, places: self.clone() }
    }

    fn taken(&self) -> MutexGuard<'_, Vec<Arc<Place>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// What it is a seat at.
    pub(super) fn place(&self) -> &Arc<Place> {
        &self.place
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.places.taken().retain(|place| !Arc::ptr_eq(place, &self.place));
    }
}

impl Place {
    /// Bytes came. True: they begin a request.
    pub(super) fn heard(&self) -> bool {
        let mut doing = self.doing();
        if doing.phase != Phase::Idle {
            return false;
        }
        (doing.phase, doing.since) = (Phase::Head, Instant::now());
        true
    }

    /// A head is complete.
    pub(super) fn head_complete(&self) {
        let mut doing = self.doing();
        (doing.phase, doing.since) = (Phase::Body, Instant::now());
    }

    /// A whole request is there.
    pub(super) fn request_complete(&self) {
        let now = Instant::now();
        *self.doing() = Doing { phase: Phase::Answering, since: now, asked: now, has_asked: true };
    }

    /// The reply to a request is given.
    pub(super) fn answered(&self) {
        let mut doing = self.doing();
        (doing.phase, doing.since) = (Phase::Idle, Instant::now());
    }

    /// What it is doing.
    pub(super) fn phase(&self) -> Phase {
        self.doing().phase
    }

    /// Whether nothing has come of it yet.
    pub(super) fn has_said_nothing(&self) -> bool {
        let doing = self.doing();
        doing.phase == Phase::Idle && !doing.has_asked
    }

    /// When it will have taken too long. None: others see to that.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let doing = *self.doing();
        match doing.phase {
            Phase::Idle => Some(doing.since + self.limits.idle),
            Phase::Head => Some(doing.since + self.limits.head),
            Phase::Body | Phase::Answering => None,
        }
    }

    fn doing(&self) -> MutexGuard<'_, Doing> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(connections: usize) -> Arc<Places> {
        Places::new(Limits { connections, ..Limits::default() })
    }

    async fn later() {
        tokio::time::advance(Duration::from_secs(1)).await;
    }

    fn gone(seat: &Seat) -> bool {
        seat.place().leave.is_cancelled()
    }

    #[tokio::test(start_paused = true)]
    async fn the_one_longest_without_a_complete_request_goes_first() {
        let places = places(3);
        let first = places.take();
        later().await;
        let second = places.take();
        later().await;
        let third = places.take();
        later().await;
        // The oldest has just asked something, and half a request is none.
        first.place().request_complete();
        first.place().answered();
        second.place().heard();
        second.place().head_complete();
        later().await;
        let fourth = places.take();
        assert_eq!([gone(&first), gone(&second), gone(&third)], [false, true, false]);
        later().await;
        let fifth = places.take();
        assert_eq!([gone(&first), gone(&third), gone(&fourth), gone(&fifth)], [false, true, false, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn those_being_answered_go_last_and_the_oldest_of_them_first() {
        let places = places(2);
        let stream = places.take();
        stream.place().request_complete();
        later().await;
        let other = places.take();
        later().await;
        // It has been answered for two seconds: that is a stream, and the oldest goes first.
        let third = places.take();
        assert_eq!([gone(&stream), gone(&other)], [true, false]);
        other.place().request_complete();
        third.place().request_complete();
        let fourth = places.take();
        assert_eq!([gone(&other), gone(&third), gone(&fourth)], [true, false, false]);
        fourth.place().heard();
        let fifth = places.take();
        assert_eq!([gone(&third), gone(&fourth), gone(&fifth)], [false, true, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_given_back() {
        let places = places(1);
        for _ in 0..3 {
            let seat = places.take();
            assert_eq!(places.taken().len(), 1);
            drop(seat);
            assert_eq!(places.taken().len(), 0);
        }
        let seat = places.take();
        let next = places.take();
        assert!(gone(&seat));
        drop(seat);
        assert_eq!(places.taken().len(), 1, "who had to leave gives back nothing that is not his");
        drop(next);
    }
}
