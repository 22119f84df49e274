use std::future::Future;
use std::task::{Context, Waker};
use std::thread;

use super::*;
use crate::observe::{Emitter, Fact};

fn event(n: u64) -> Arc<Event> {
    let fact = Fact::BudgetSpent { route: "r".into(), connections: n as usize };
    Arc::new(Event { time: SystemTime::now(), fact, suppressed: 0 })
}

fn push(journal: &Journal, numbers: std::ops::RangeInclusive<u64>) {
    numbers.for_each(|n| journal.push(event(n)));
}

/// What the event made by `event` was made from.
fn payload(event: &Event) -> u64 {
    match event.fact {
        Fact::BudgetSpent { connections, .. } => connections as u64,
        _ => panic!("{event:?} is none of ours"),
    }
}

/// All that can be read now: event numbers, or `-count` for what was missed.
fn all(reader: &mut Reader) -> Vec<i64> {
    std::iter::from_fn(|| reader.try_next())
        .map(|told| match told.what {
            What::Event(event) => {
                assert_eq!(payload(&event), told.id.n);
                told.id.n as i64
            }
            What::Missed(count) => -(count as i64),
        })
        .collect()
}

#[test]
fn a_new_reader_hears_what_comes_from_now_on() {
    let journal = Journal::default();
    push(&journal, 1..=3);
    let mut reader = journal.reader(None);
    assert!(all(&mut reader).is_empty());
    push(&journal, 4..=6);
    assert_eq!(all(&mut reader), [4, 5, 6]);
}

#[test]
fn a_reader_that_comes_back_goes_on_where_it_was() {
    let journal = Journal::default();
    push(&journal, 1..=5);
    let id = EventId { start: journal.inner.start, n: 2 };
    let mut reader = journal.reader(Some(id));
    assert_eq!(all(&mut reader), [3, 4, 5]);
    let from_the_start = EventId { n: 0, ..id };
    assert_eq!(all(&mut journal.reader(Some(from_the_start))), [1, 2, 3, 4, 5]);
    let newest = EventId { n: 5, ..id };
    assert!(all(&mut journal.reader(Some(newest))).is_empty());
}

/// Of another process nobody knows how much was missed: all that is kept, and no count.
#[test]
fn an_id_that_is_not_of_this_journal_gives_all_that_is_kept() {
    let journal = Journal::default();
    push(&journal, 1..=KEPT + 10);
    let start = journal.inner.start;
    let strange = [
        EventId { start: start - 1, n: 7 },
        EventId { start, n: KEPT + 11 },
        EventId { start, n: u64::MAX },
        EventId { start: u64::MAX, n: u64::MAX },
    ];
    for id in strange {
        let heard = all(&mut journal.reader(Some(id)));
        assert_eq!((heard.len() as u64, heard[0], heard[heard.len() - 1]), (KEPT, 11, KEPT as i64 + 10));
    }
}

#[test]
fn a_reader_that_fell_behind_is_told_once_how_much_it_missed() {
    let journal = Journal::default();
    let mut reader = journal.reader(None);
    push(&journal, 1..=KEPT);
    // The very last moment at which nothing is lost.
    assert!(matches!(reader.try_next().unwrap().what, What::Event(event) if payload(&event) == 1));
    push(&journal, KEPT + 1..=KEPT + 101);
    let missed = reader.try_next().unwrap();
    assert!(matches!(missed.what, What::Missed(100)), "{missed:?}");
    assert_eq!(missed.id.n, 101);
    let rest = all(&mut reader);
    assert_eq!((rest[0], rest.len() as u64), (102, KEPT));
    // Whoever comes back with the id of the gap hears the same.
    assert_eq!(all(&mut journal.reader(Some(missed.id))), rest);
    let text = missed.to_json();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((missed.name(), &json["event"]), ("missed", &"missed".into()));
    assert_eq!((&json["level"], &json["count"]), (&"warn".into(), &100.into()));
    assert!(json["time"].as_str().unwrap().ends_with('Z') && json.as_object().unwrap().len() == 4);
}

/// Two writers may finish in any order; readers hear them in the order of their numbers.
#[test]
fn a_number_that_is_not_written_yet_is_waited_for() {
    let journal = Journal::default();
    let mut reader = journal.reader(None);
    journal.inner.given.fetch_add(1, Relaxed);
    push(&journal, 2..=3);
    assert!(reader.try_next().is_none());
    let mut waiting = Box::pin(reader.next());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(waiting.as_mut().poll(&mut cx).is_pending());
    *journal.inner.slot(1) = Slot { n: 1, event: Some(event(1)) };
    journal.inner.pushed.notify_waiters();
    assert!(waiting.as_mut().poll(&mut cx).is_ready());
    drop(waiting);
    assert_eq!(all(&mut reader), [2, 3]);
}

/// A writer that sleeps between taking its number and writing does not put something old over something new.
#[test]
fn a_writer_that_comes_a_round_too_late_changes_nothing() {
    let journal = Journal::default();
    let mut reader = journal.reader(None);
    journal.inner.given.fetch_add(1, Relaxed);
    push(&journal, 2..=KEPT + 1);
    journal.inner.given.store(0, Relaxed);
    journal.push(event(1));
    journal.inner.given.store(KEPT + 1, Relaxed);
    let heard = all(&mut reader);
    assert_eq!((heard[0], heard[1], heard.len() as u64), (-1, 2, KEPT + 1));
}

#[test]
fn ids_are_read_as_they_are_written() {
    let id = EventId { start: 1_790_000_000_000_000, n: 42 };
    assert_eq!(id.to_string(), "1790000000000000-42");
    assert_eq!(id.to_string().parse(), Ok(id));
    for text in ["", "-", "1", "1-", "-1", "1-2-3", "a-1", "1 -2", "+1-2", "1-+2", "1-99999999999999999999"] {
        assert_eq!(text.parse::<EventId>(), Err(EventIdError), "{text:?}");
    }
}

/// The log folds warnings that come in masses, the journal has each.
#[test]
fn every_fact_that_is_told_is_in_the_journal() {
    let emitter = Emitter::default();
    let mut reader = emitter.journal().reader(None);
    for n in 1..=50 {
        emitter.emit(Fact::BudgetSpent { route: "r".into(), connections: n });
    }
    emitter.emit(Fact::Notice { route: None, message: "it".into() });
    let events: Vec<_> = std::iter::from_fn(|| reader.try_next()).collect();
    assert_eq!(events.len(), 51);
    let What::Event(first) = &events[0].what else { panic!("nothing was missed") };
    assert_eq!((first.route(), events[0].name(), first.suppressed), (Some("r"), "accept.waiting", 0));
    let What::Event(last) = &events[50].what else { panic!("nothing was missed") };
    assert_eq!((last.route(), events[50].name()), (None, "notice"));
}

/// Eight writers in a hurry, one reader that keeps up if it can and one that sleeps between: each hears every number once,
/// in order, or is told that it missed it.
#[test]
fn received_and_missed_add_up_to_what_was_pushed() {
    const WRITERS: u64 = 8;
    const EACH: u64 = 20_000;
    let journal = Journal::default();
    let follow = |lazy: bool| {
        let mut reader = journal.reader(None);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let (mut received, mut missed, mut last) = (0, 0, 0);
            while last < WRITERS * EACH {
                let told = runtime.block_on(reader.next());
                match told.what {
                    What::Event(event) => {
                        assert_eq!(told.id.n, last + 1);
                        assert!(payload(&event) < WRITERS * EACH);
                        received += 1;
                    }
                    What::Missed(count) => {
                        assert_eq!(told.id.n, last + count);
                        missed += count;
                    }
                }
                last = told.id.n;
                if lazy && received % 64 == 0 {
                    thread::yield_now();
                }
            }
            (received, missed)
        })
    };
    let readers = [follow(false), follow(true)];
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let journal = journal.clone();
            thread::spawn(move || (0..EACH).for_each(|n| journal.push(event(writer * EACH + n))))
        })
        .collect();
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    for reader in readers {
        let (received, missed) = reader.join().unwrap();
        assert_eq!(received + missed, WRITERS * EACH);
    }
    assert_eq!(journal.pushed(), WRITERS * EACH);
    assert_eq!(journal.inner.waiting.load(Relaxed), 0, "nobody waits any more");
}
