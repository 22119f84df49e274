//! The timer of a runtime: all fine alarms that are set in it, and the one descriptor that the system rings for them.
//!
//! It is there as long as there are such alarms, at most until its runtime ends. While nobody waits it is set for nothing,
//! and nothing runs for it. Whoever sets an alarm that is the next of all sets the descriptor; when that rings, one task
//! wakes all whose time has come and sets it for the next.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Handle, Id};
use tokio::time::Instant;

use super::queue::{Queue, Ticket};

/// The timers of all runtimes of this process.
static TIMERS: Mutex<Vec<Arc<Timer>>> = Mutex::new(Vec::new());

/// No moment is so far away that the descriptor could not be set for it; it then rings for nobody, and is set anew.
const FARTHEST: Duration = Duration::from_secs(365 * 86_400);

#[derive(Debug)]
struct Timer {
    runtime: Id,
    fd: OwnedFd,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    queue: Queue,
    /// When the descriptor will ring.
    rings: Option<Instant>,
    /// Nobody has an alarm any more, and nobody will: the task ends.
    over: bool,
}

/// One who waits, or will.
#[derive(Debug)]
pub(super) struct Bell {
    timer: Arc<Timer>,
    /// Its place in the queue, until it is dropped.
    ticket: Option<Ticket>,
    /// For when it was set last, and who is woken then.
    set: Option<(Instant, Waker)>,
}

impl Bell {
    /// A bell of the runtime in which this is called; none where the system has no descriptor left.
    pub(super) fn here() -> Option<Self> {
        let runtime = Handle::try_current().ok()?;
        let mut timers = timers();
        let known = timers.iter().find(|timer| timer.runtime == runtime.id()).cloned();
        let (timer, started) = match known {
            Some(timer) => (timer, None),
            None => {
                let started = Timer::start(&runtime).ok()?;
                let timer = started.get_ref().clone();
                timers.push(timer.clone());
                (timer, Some(started))
            }
        };
        // Before the list is let go: a timer that nobody has an alarm of may be taken from it.
        let ticket = Some(timer.state().queue.enter());
        drop(timers);
        if let Some(rings) = started {
            // A runtime that is ending drops the task at once, and that takes the timer from the list.
            runtime.spawn(run(rings, Listed(timer.clone())));
        }
        Some(Bell { timer, ticket, set: None })
    }

    /// Whether it is certain to ring no later than `at`, and has not rung yet.
    pub(super) fn rings_by(&self, at: Instant, now: Instant, waker: &Waker) -> bool {
        self.set.as_ref().is_some_and(|(set, who)| now < *set && *set <= at && who.will_wake(waker))
    }

    /// Wakes the task when this moment has come, and not before.
    pub(super) fn set(&mut self, at: Instant, waker: &Waker) {
        let Some(ticket) = &self.ticket else { return };
        match &mut self.set {
            Some((set, who)) => {
                *set = at;
                who.clone_from(waker);
            }
            none => *none = Some((at, waker.clone())),
        }
        let mut state = self.timer.state();
        state.queue.set(ticket, at, waker);
        if state.rings.is_none_or(|rings| at < rings) {
            self.timer.wind(&mut state, at);
        }
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket.take() else { return };
        let mut timers = timers();
        let mut state = self.timer.state();
        state.queue.leave(ticket);
        if state.queue.is_empty() {
            timers.retain(|timer| !Arc::ptr_eq(timer, &self.timer));
            state.over = true;
            self.timer.wind(&mut state, Instant::now());
        }
    }
}

impl Timer {
    /// A timer for this runtime, and what tells that it rings.
    fn start(runtime: &Handle) -> io::Result<AsyncFd<Arc<Timer>>> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let timer = Timer { runtime: runtime.id(), fd, state: Mutex::default() };
        #[allow(
            deprecated,
            reason = "its heir is unsafe: the descriptor must stay open and the same, as this one does"
        )]
        AsyncFd::with_interest(Arc::new(timer), Interest::READABLE)
    }

    /// Sets the descriptor.
    fn wind(&self, state: &mut State, at: Instant) {
        state.rings = Some(at);
        // Zero would stop it.
        let after = at.saturating_duration_since(Instant::now()).clamp(Duration::from_nanos(1), FARTHEST);
        let it_value = Timespec { tv_sec: after.as_secs() as _, tv_nsec: after.subsec_nanos() as _ };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
        // It refuses only what is no descriptor of its kind, and times that there are not.
        let set = rustix::time::timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &once);
        debug_assert!(set.is_ok(), "{set:?}");
    }

    /// The descriptor has rung: takes out all whose moment has come, and sets it for the next one. False when there will
    /// be none.
    fn rung(&self, due: &mut Vec<Waker>) -> bool {
        let mut state = self.state();
        if state.over {
            return false;
        }
        let now = Instant::now();
        due.extend(std::iter::from_fn(|| state.queue.take_due(now)));
        state.rings = None;
        if let Some(next) = state.queue.next() {
            self.wind(&mut state, next);
        }
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn timers() -> MutexGuard<'static, Vec<Arc<Timer>>> {
    TIMERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Wakes whose time has come, as long as there are alarms and the runtime lives.
async fn run(rings: AsyncFd<Arc<Timer>>, _listed: Listed) {
    let mut due = Vec::new();
    while let Ok(mut ready) = rings.readable().await {
        // It is not read: the runtime is told of each ring, and setting it takes the last one back.
        ready.clear_ready();
        if !rings.get_ref().rung(&mut due) {
            break;
        }
        // Outside the lock: who is woken may set an alarm at once.
        due.drain(..).for_each(Waker::wake);
        if due.capacity() > SPARE {
            due = Vec::new();
        }
    }
}

/// How many may be woken at once without giving the memory for it back.
const SPARE: usize = 1024;

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// With its runtime the task goes, and with the task the timer is no longer one of those there are.
struct Listed(Arc<Timer>);

impl Drop for Listed {
    fn drop(&mut self) {
        timers().retain(|timer| !Arc::ptr_eq(timer, &self.0));
    }
}

/// A look at a timer from a test.
#[cfg(test)]
pub(super) mod watched {
    use std::sync::Weak;

    use super::*;

    /// The timer of a runtime; it is not kept alive by this.
    pub(in super::super) struct Watched(Weak<Timer>);

    impl Watched {
        /// Of the runtime in which this is called, if there is one by now.
        pub(in super::super) fn here() -> Option<Self> {
            let id = Handle::current().id();
            let timers = timers();
            timers.iter().find(|timer| timer.runtime == id).map(|timer| Watched(Arc::downgrade(timer)))
        }

        pub(in super::super) fn is_same(&self, other: &Watched) -> bool {
            self.0.ptr_eq(&other.0)
        }

        /// Whether its descriptor is closed.
        pub(in super::super) fn is_gone(&self) -> bool {
            self.0.strong_count() == 0
        }

        /// How many alarms are set.
        pub(in super::super) fn waiting(&self) -> usize {
            self.0.upgrade().map_or(0, |timer| timer.state().queue.waiting())
        }

        /// Whether the system is going to ring.
        pub(in super::super) fn is_set(&self) -> bool {
            self.0.upgrade().is_some_and(|timer| {
                let left = rustix::time::timerfd_gettime(&timer.fd).unwrap().it_value;
                (left.tv_sec, left.tv_nsec) != (0, 0)
            })
        }
    }
}
