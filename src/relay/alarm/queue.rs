//! Who waits for which moment, the next one first. It knows nothing of clocks, descriptors or tasks.

use std::task::Waker;

use tokio::time::Instant;

/// A heap of moments in which each one can be found again, to be moved or taken out.
///
/// Whoever waits has a place of its own, so that setting it again and again needs no memory.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Each is no later than the two at twice its place and one or two more.
    heap: Vec<Moment>,
    places: Vec<Place>,
    free: Vec<usize>,
}

/// Whose place it is, until it is given back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ticket(usize);

#[derive(Clone, Copy, Debug)]
struct Moment {
    at: Instant,
    /// Whose it is.
    place: usize,
}

#[derive(Debug, Default)]
struct Place {
    /// Where in the heap its moment stands, and whom to wake then.
    waits: Option<(usize, Waker)>,
}

/// How many places an empty queue keeps for what comes next.
const SPARE: usize = 64;

impl Queue {
    /// A place for one who will wait.
    pub(super) fn enter(&mut self) -> Ticket {
        Ticket(self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            self.places.len() - 1
        }))
    }

    /// Gives a place back; nobody is woken any more.
    pub(super) fn leave(&mut self, ticket: Ticket) {
        if let Some((at, _)) = self.places[ticket.0].waits.take() {
            self.take_out(at);
        }
        self.free.push(ticket.0);
        if self.free.len() == self.places.len() && self.places.len() > SPARE {
            *self = Queue::default();
        }
    }

    /// At this moment, and no other, this one is woken.
    pub(super) fn set(&mut self, ticket: &Ticket, at: Instant, waker: &Waker) {
        let place = ticket.0;
        match &mut self.places[place].waits {
            Some((stands, known)) => {
                known.clone_from(waker);
                let stands = *stands;
                self.heap[stands].at = at;
                self.settle(stands);
            }
            waits => {
                *waits = Some((self.heap.len(), waker.clone()));
                self.heap.push(Moment { at, place });
                self.settle(self.heap.len() - 1);
            }
        }
    }

    /// The next moment.
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.first().map(|first| first.at)
    }

    /// Takes one whose moment has come.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Waker> {
        let first = self.heap.first().filter(|first| first.at <= now)?;
        let (at, waker) = self.places[first.place].waits.take()?;
        self.take_out(at);
        Some(waker)
    }

    fn take_out(&mut self, at: usize) {
        self.heap.swap_remove(at);
        if at < self.heap.len() {
            self.settle(at);
        }
    }

    /// Moves what stands here to where it belongs.
    fn settle(&mut self, at: usize) {
        let mut at = at;
        while at > 0 && self.heap[at].at < self.heap[(at - 1) / 2].at {
            self.heap.swap(at, (at - 1) / 2);
            self.note(at);
            at = (at - 1) / 2;
        }
        loop {
            let below = [2 * at + 1, 2 * at + 2].into_iter().filter(|below| *below < self.heap.len());
            let Some(next) = below.min_by_key(|below| self.heap[*below].at) else { break };
            if self.heap[at].at <= self.heap[next].at {
                break;
            }
            self.heap.swap(at, next);
            self.note(at);
            at = next;
        }
        self.note(at);
    }

    /// Whoever stands here is to be found here.
    fn note(&mut self, at: usize) {
        if let Some((stands, _)) = &mut self.places[self.heap[at].place].waits {
            *stands = at;
        }
    }

    /// How many wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.heap.len()
    }

    /// Whether nobody has a place.
    pub(super) fn is_empty(&self) -> bool {
        self.free.len() == self.places.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    /// Counts how often it was woken.
    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[derive(Clone, Debug)]
    enum Act {
        Enter,
        Leave(usize),
        Set(usize, u64),
        Pass(u64),
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![
            2 => Just(Act::Enter),
            1 => any::<usize>().prop_map(Act::Leave),
            6 => (any::<usize>(), 0..50_u64).prop_map(|(who, after)| Act::Set(who, after)),
            2 => (0..20_u64).prop_map(Act::Pass),
        ];
        prop::collection::vec(act, 0..300)
    }

    proptest! {
        /// Everybody is woken once at the moment that was set last, in time and never before, and who has left never.
        #[test]
        fn each_is_woken_at_its_moment_and_who_has_left_never(acts in acts()) {
            let start = Instant::now();
            let millis = |n| start + Duration::from_millis(n);
            let (mut queue, mut now) = (Queue::default(), 0);
            let mut here: Vec<(Ticket, Arc<Count>)> = Vec::new();
            // By what it counts in: when it should be woken, and how often it has been.
            let mut expected: BTreeMap<*const Count, (Option<u64>, usize)> = BTreeMap::new();
            for act in acts {
                match act {
                    Act::Enter => {
                        let count = Arc::new(Count::default());
                        expected.insert(Arc::as_ptr(&count), (None, 0));
                        here.push((queue.enter(), count));
                    }
                    Act::Leave(who) if !here.is_empty() => {
                        let (ticket, count) = here.swap_remove(who % here.len());
                        queue.leave(ticket);
                        expected.remove(&Arc::as_ptr(&count));
                        prop_assert_eq!(Arc::strong_count(&count), 1, "nothing of it is left");
                    }
                    Act::Set(who, after) if !here.is_empty() => {
                        let (ticket, count) = &here[who % here.len()];
                        queue.set(ticket, millis(now + after), &Waker::from(count.clone()));
                        expected.get_mut(&Arc::as_ptr(count)).unwrap().0 = Some(now + after);
                    }
                    Act::Pass(time) => {
                        now += time;
                        while let Some(waker) = queue.take_due(millis(now)) {
                            waker.wake();
                        }
                        for (at, times) in expected.values_mut() {
                            *times += usize::from(at.take_if(|at| *at <= now).is_some());
                        }
                    }
                    _ => {}
                }
                let next = expected.values().filter_map(|(at, _)| *at).min();
                prop_assert_eq!(queue.next(), next.map(millis));
                for (_, count) in &here {
                    let (_, times) = expected[&Arc::as_ptr(count)];
                    prop_assert_eq!(count.0.load(Ordering::Relaxed), times);
                }
            }
            here.into_iter().for_each(|(ticket, _)| queue.leave(ticket));
            prop_assert!(queue.is_empty() && queue.next().is_none());
        }
    }

    #[test]
    fn a_crowd_that_has_left_keeps_no_memory() {
        let (mut queue, start) = (Queue::default(), Instant::now());
        let tickets: Vec<Ticket> = (0..10_000).map(|_| queue.enter()).collect();
        for (ticket, n) in tickets.iter().zip(0..) {
            queue.set(ticket, start + Duration::from_micros(n * 7919 % 10_000), Waker::noop());
        }
        tickets.into_iter().for_each(|ticket| queue.leave(ticket));
        assert!(queue.heap.capacity() <= SPARE && queue.places.capacity() <= SPARE);
    }
}
