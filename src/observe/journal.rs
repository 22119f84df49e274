//! The journal: the last events, numbered, for everyone who wants to follow.
//!
//! It lies on the way of every connection, so writers share nothing but a counter: each event has a slot with a lock of its
//! own, and waking readers costs next to nothing while none waits. A reader that is too slow loses events and is told
//! how many; it never holds a writer up.

use std::fmt;
use std::num::ParseIntError;
use std::pin::pin;
use std::str::FromStr;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicU64, AtomicUsize, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use thiserror::Error;
use tokio::sync::Notify;

use super::event::Event;

/// So many events are kept.
pub const KEPT: u64 = 4096;

/// The memory of the event stream. Cheap to clone.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<Inner>,
}

struct Inner {
    start: u64,
    /// Numbers given out. The slot of the latest ones may not be written yet.
    given: AtomicU64,
    slots: Box<[Mutex<Slot>]>,
    pushed: Notify,
    /// Readers that wait, or are about to: `Notify` has a lock that writers take only for them.
    waiting: AtomicUsize,
}

#[derive(Default)]
struct Slot {
    /// The number of the event; zero while there is none.
    n: u64,
    event: Option<Arc<Event>>,
}

/// Which event: the journal's start, so that a number of another process is not taken for one of this, and the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventId {
    /// When the journal was begun, in microseconds since 1970.
    pub start: u64,
    /// The number of the event, from 1.
    pub n: u64,
}

/// A text is no [`EventId`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("is not the id of an event\nwrite it as it was told, such as 1790000000000000-42")]
pub struct EventIdError;

/// Follows a journal.
#[derive(Debug)]
pub struct Reader {
    journal: Journal,
    /// The number of the event that comes next.
    next: u64,
}

/// What a reader is told.
#[derive(Clone, Debug)]
pub struct Told {
    /// Where the reader is after it; asking for what comes after this id goes on from here.
    pub id: EventId,
    /// What it is.
    pub what: What,
}

/// An event, or that some are not kept any more.
#[derive(Clone, Debug)]
pub enum What {
    /// The next event.
    Event(Arc<Event>),
    /// So many came and went before they were read.
    Missed(u64),
}

impl Default for Journal {
    fn default() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let slots = (0..KEPT).map(|_| Mutex::default()).collect();
        let start = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
        Journal {
            inner: Arc::new(Inner {
                start,
                given: AtomicU64::new(0),
                slots,
                pushed: Notify::new(),
                waiting: AtomicUsize::new(0),
            }),
        }
    }
}

impl Journal {
    /// Numbers an event and keeps it.
    pub fn push(&self, event: Arc<Event>) {
        let n = self.inner.given.fetch_add(1, Relaxed) + 1;
        let replaced = {
            let mut slot = self.inner.slot(n);
            // A writer that was held up for a whole round comes too late: its readers have been told.
            if slot.n > n {
                return;
            }
            slot.n = n;
            slot.event.replace(event)
        };
        // Either this sees the reader that waits, or that reader's look, which comes behind a fence too, sees the event.
        fence(SeqCst);
        if self.inner.waiting.load(Relaxed) > 0 {
            self.inner.pushed.notify_waiters();
        }
        drop(replaced);
    }

    /// How many events there were.
    pub fn pushed(&self) -> u64 {
        self.inner.given.load(Relaxed)
    }

    /// Follows what comes after an event, as far as that is still kept; without one, what comes from now on. An id that is
    /// not of this journal gives all that is kept.
    pub fn reader(&self, after: Option<EventId>) -> Reader {
        let given = self.pushed();
        let next = match after {
            None => given + 1,
            Some(id) if id.start == self.inner.start && id.n <= given => id.n + 1,
            Some(_) => oldest(given),
        };
        Reader { journal: self.clone(), next }
    }
}

impl Inner {
    fn slot(&self, n: u64) -> MutexGuard<'_, Slot> {
        // KEPT is far below any machine's word.
        let index = (n % KEPT) as usize;
        self.slots[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number of the oldest event kept when so many numbers are given out.
fn oldest(given: u64) -> u64 {
    given.saturating_sub(KEPT) + 1
}

impl Reader {
    /// The next event, as soon as there is one. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Told {
        if let Some(told) = self.try_next() {
            return told;
        }
        let journal = self.journal.clone();
        let _waiting = Waiting::new(&journal.inner);
        loop {
            let mut pushed = pin!(journal.inner.pushed.notified());
            // Before the look: what is pushed right after it must wake this reader.
            pushed.as_mut().enable();
            if let Some(told) = self.try_next() {
                return told;
            }
            pushed.await;
        }
    }

    /// The next event, if there is one.
    pub fn try_next(&mut self) -> Option<Told> {
        let inner = &*self.journal.inner;
        let from = self.next;
        while self.next <= inner.given.load(Relaxed) {
            let slot = inner.slot(self.next);
            if slot.n > self.next {
                drop(slot);
                // More may be lost meanwhile: those are told of together.
                self.next = oldest(inner.given.load(Relaxed));
            } else if self.next > from {
                break;
            } else if slot.n < self.next {
                // Its writer has the number and is not done: what is behind it must wait.
                return None;
            } else {
                let event = slot.event.clone()?;
                self.next += 1;
                return Some(self.told(What::Event(event)));
            }
        }
        (self.next > from).then(|| self.told(What::Missed(self.next - from)))
    }

    fn told(&self, what: What) -> Told {
        Told { id: EventId { start: self.journal.inner.start, n: self.next - 1 }, what }
    }
}

/// A reader that must be woken, for as long as this lives.
struct Waiting<'a>(&'a Inner);

impl<'a> Waiting<'a> {
    fn new(inner: &'a Inner) -> Self {
        inner.waiting.fetch_add(1, Relaxed);
        fence(SeqCst);
        Waiting(inner)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("start", &self.inner.start)
            .field("pushed", &self.pushed())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.n)
    }
}

impl FromStr for EventId {
    type Err = EventIdError;

    fn from_str(text: &str) -> Result<EventId, EventIdError> {
        let (start, n) = text.split_once('-').ok_or(EventIdError)?;
        Ok(EventId { start: number(start)?, n: number(n)? })
    }
}

fn number(text: &str) -> Result<u64, EventIdError> {
    // The standard parser also takes a sign.
    if text.starts_with('+') {
        return Err(EventIdError);
    }
    text.parse().map_err(|_: ParseIntError| EventIdError)
}

#[cfg(test)]
mod tests;
