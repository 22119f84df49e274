//! Both alarms: exact under a stopped clock, and the fine one never early and hardly late under a running one.

use std::future::poll_fn;
use std::time::Duration;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn rings_at_its_time_wherever_it_was_moved() {
    let start = Instant::now();
    let (mut alarm, mut fine) = (Alarm::default(), FineAlarm::default());
    for (asked, expected) in [(5, 5), (7, 7), (20, 20)] {
        poll_fn(|cx| alarm.poll(cx, start + asked * SECOND)).await;
        assert_eq!(start.elapsed(), expected * SECOND);
        poll_fn(|cx| fine.poll(cx, start + (asked + 1) * SECOND)).await;
        assert_eq!(start.elapsed(), (expected + 1) * SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_pushed_back_or_brought_forward_is_kept() {
    let start = Instant::now();
    let mut alarm = Alarm::default();
    let mut asked = [start + 10 * SECOND, start + 30 * SECOND, start + 2 * SECOND].into_iter();
    let mut at = asked.next().unwrap();
    poll_fn(|cx| {
        for next in asked.by_ref() {
            assert!(alarm.poll(cx, at).is_pending());
            at = next;
        }
        alarm.poll(cx, at)
    })
    .await;
    assert_eq!(start.elapsed(), 2 * SECOND);
}

/// A clock may be stopped at any time: from then on its time counts, to the millisecond in which it was stopped.
#[tokio::test]
async fn a_fine_alarm_follows_a_clock_that_is_stopped() {
    let mut alarm = FineAlarm::default();
    let at = Instant::now() + MS;
    poll_fn(|cx| alarm.poll(cx, at)).await;
    tokio::time::pause();
    let start = Instant::now();
    poll_fn(|cx| alarm.poll(cx, start + 3600 * SECOND)).await;
    let late = start.elapsed() - 3600 * SECOND;
    assert!(late <= MS, "{late:?}");
}

/// Waits with a fine alarm that was set for other times before, and says how late it rang.
async fn lateness(alarm: &mut FineAlarm, first: [Duration; 2], after: Duration) -> Duration {
    let start = Instant::now();
    let mut at = start + after;
    for other in first {
        assert!(poll_fn(|cx| Poll::Ready(alarm.poll(cx, start + other))).await.is_pending());
    }
    // What keeps this thread from running so long is not the alarm's doing.
    if Instant::now() >= at {
        at = Instant::now() + after;
    }
    poll_fn(|cx| alarm.poll(cx, at)).await;
    let rang = Instant::now();
    assert!(rang >= at, "{:?} too early", at - rang);
    rang - at
}

/// Such a test sleeps, and a machine that does something else meanwhile lets it sleep too long: one good try in ten will do.
async fn is_met(what: &str, most: Duration, mut late: impl AsyncFnMut() -> Duration) {
    let mut tries = Vec::new();
    for _ in 0..10 {
        tries.push(late().await);
        if tries.last().is_some_and(|late| *late <= most) {
            return;
        }
    }
    panic!("{what}: not once within {most:?}: {tries:?}");
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Half of them ring within half a millisecond, which the runtime's own timer cannot do: it rounds up to the next
/// whole one.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fine_alarm_is_never_early_and_hardly_late_however_it_was_moved() {
    // Left alone, pushed back, brought forward, and both.
    let orders = [[3 * MS, 3 * MS], [MS, 2 * MS], [SECOND, 10 * SECOND], [2 * SECOND, 2 * MS]];
    for first in orders {
        is_met("the median of thirty", MS / 2, async || {
            let mut alarm = FineAlarm::default();
            let mut times = Vec::new();
            for n in 0..30 {
                times.push(lateness(&mut alarm, first, 3 * MS + Duration::from_micros(37 * n)).await);
            }
            median(times)
        })
        .await;
    }
}

/// Ten thousand at once, at times that have nothing to do with their order: every single one rings, and none too early.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_at_once_all_ring_and_none_too_early() {
    let start = Instant::now() + 20 * MS;
    let waits = (0..10_000_u64).map(|n| {
        tokio::spawn(async move {
            let at = start + Duration::from_micros(n * 7919 % 200_000);
            until(at).await;
            assert!(Instant::now() >= at);
        })
    });
    let waits: Vec<_> = waits.collect();
    for wait in waits {
        tokio::time::timeout(60 * SECOND, wait).await.expect("one never rang").unwrap();
    }
}

#[cfg(target_os = "linux")]
mod of_a_runtime {
    use tokio::runtime::{Builder, Runtime};

    use super::super::timer::watched::Watched;
    use super::*;

    fn runtime(threads: usize) -> Runtime {
        match threads {
            0 => Builder::new_current_thread().enable_all().build(),
            threads => Builder::new_multi_thread().worker_threads(threads).enable_all().build(),
        }
        .unwrap()
    }

    /// Sets an alarm and lets go of it in the end, as a task does that is called off.
    async fn set(after: Duration) -> FineAlarm {
        let mut alarm = FineAlarm::default();
        let at = Instant::now() + after;
        assert!(poll_fn(|cx| Poll::Ready(alarm.poll(cx, at))).await.is_pending());
        alarm
    }

    #[test]
    fn an_alarm_that_is_dropped_leaves_nothing_behind_and_rings_for_nobody() {
        runtime(0).block_on(async {
            let kept = set(SECOND).await;
            let timer = Watched::here().expect("an alarm was set");
            let others: Vec<_> = vec![set(MS).await, set(SECOND / 2).await, set(2 * SECOND).await];
            assert_eq!(timer.waiting(), 4);
            drop(others);
            assert_eq!(timer.waiting(), 1);
            drop(kept);
            is_gone(&timer).await;
        });
    }

    /// Nobody has an alarm of this timer: its descriptor is closed in a moment.
    async fn is_gone(timer: &Watched) {
        tokio::time::timeout(10 * SECOND, async {
            while !timer.is_gone() {
                tokio::time::sleep(MS).await;
            }
        })
        .await
        .expect("its descriptor is still open");
    }

    /// Once nobody waits, the system is not asked to ring any more: the one time that it was set for comes, and no other.
    #[test]
    fn who_does_not_wait_costs_nothing() {
        runtime(0).block_on(async {
            assert!(Watched::here().is_none(), "there is no timer before it is needed");
            let mut alarm = set(MS).await;
            let timer = Watched::here().expect("it is needed");
            let at = Instant::now() + MS;
            poll_fn(|cx| alarm.poll(cx, at)).await;
            drop(set(5 * MS).await);
            tokio::time::timeout(10 * SECOND, async {
                while timer.is_set() {
                    tokio::time::sleep(MS).await;
                }
            })
            .await
            .expect("it goes on ringing");
            assert!(!timer.is_gone());
            drop(alarm);
            is_gone(&timer).await;
            assert!(Watched::here().is_none());
            until(Instant::now() + MS).await;
        });
    }

    /// Each runtime has a timer of its own, and one that ends takes nothing from the others and keeps nothing open.
    #[test]
    fn a_runtime_that_ends_while_alarms_wait_takes_its_timer_along_and_no_other() {
        let staying = runtime(1);
        for threads in 0..3 {
            let ending = runtime(threads);
            let alarm = staying.block_on(set(SECOND));
            let stays = staying.block_on(async { Watched::here() }).unwrap();
            for _ in 0..100 {
                ending.spawn(until(Instant::now() + 3600 * SECOND));
            }
            let ends = ending.block_on(async {
                loop {
                    match Watched::here() {
                        Some(timer) if timer.waiting() == 100 => break timer,
                        _ => tokio::task::yield_now().await,
                    }
                }
            });
            assert!(!ends.is_same(&stays));
            drop(ending);
            assert!(ends.is_gone(), "its descriptor is still open");
            assert!(!stays.is_gone());
            staying.block_on(until(Instant::now() + MS));
            assert_eq!(stays.waiting(), 1);
            drop(alarm);
            staying.block_on(is_gone(&stays));
        }
    }

    /// What is awaited in one runtime and dropped in another, or after its own has ended, is dropped quietly.
    #[test]
    fn an_alarm_may_outlive_its_runtime() {
        let first = runtime(1);
        let alarm = first.block_on(set(SECOND));
        let timer = first.block_on(async { Watched::here() }).unwrap();
        drop(first);
        assert!(!timer.is_gone(), "the alarm still has it");
        drop(alarm);
        assert!(timer.is_gone());
    }
}
