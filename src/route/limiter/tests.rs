use std::time::Duration;

use tokio::task::JoinHandle;

use super::*;
use crate::route::Excess;
use crate::spec::Frequency;

const QUEUE: Excess = Excess::Queue { size: 1_000, timeout: Duration::from_secs(5) };

fn connections(most: u32) -> Limits {
    Limits { connections: Some(most), excess: QUEUE, ..Limits::default() }
}

fn rate(times: u32, burst: u32) -> Limits {
    let rate = Frequency::per_second(times);
    Limits { rate, burst: Some(burst), excess: QUEUE, ..Limits::default() }
}

fn enter(limiter: &Arc<Limiter>) -> Place {
    match limiter.arrive(Instant::now()) {
        Arrival::Enter(place) => place,
        other => panic!("{other:?}"),
    }
}

fn line_up(limiter: &Arc<Limiter>) -> Turn {
    match limiter.arrive(Instant::now()) {
        Arrival::Wait(turn) => turn,
        other => panic!("{other:?}"),
    }
}

/// How many are inside, and how many wait.
fn counts(limiter: &Limiter) -> (usize, usize) {
    (limiter.inside.load(SeqCst), limiter.waiting())
}

type Waiting = JoinHandle<(Result<Place, Why>, Duration)>;

/// Waits in a task of its own, and says for how long.
fn waiting(limiter: &Arc<Limiter>) -> Waiting {
    let (turn, since) = (line_up(limiter), Instant::now());
    tokio::spawn(async move {
        let got = turn.wait().await;
        (got, since.elapsed())
    })
}

/// Lets the other tasks do what they can.
async fn settled() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_that_is_given_back_goes_to_who_waits_longest() {
    let limiter = Limiter::new(connections(1));
    let place = enter(&limiter);
    let (first, second) = (waiting(&limiter), waiting(&limiter));
    settled().await;
    assert_eq!(counts(&limiter), (1, 2));
    assert!(!first.is_finished());
    drop(place);
    let (place, _) = first.await.unwrap();
    settled().await;
    assert!(!second.is_finished(), "there is one place");
    drop(place);
    assert!(second.await.unwrap().0.is_ok());
    assert_eq!(counts(&limiter), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_does_not_overtake_one_who_has_not_run_yet() {
    let limiter = Limiter::new(connections(1));
    let place = enter(&limiter);
    let turn = line_up(&limiter);
    drop(place);
    // The one who waits has not been polled since, and yet the place is its own.
    let behind = line_up(&limiter);
    assert!(turn.wait().await.is_ok());
    assert!(behind.wait().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn one_who_gives_up_lets_the_next_move_up() {
    let limiter = Limiter::new(rate(1, 1));
    let _place = enter(&limiter);
    let (first, second, third) = (waiting(&limiter), waiting(&limiter), waiting(&limiter));
    settled().await;
    first.abort();
    second.abort();
    let (got, after) = third.await.unwrap();
    assert!(got.is_ok());
    assert_eq!(after, Duration::from_secs(1), "the first token is for the one who is left");
}

#[tokio::test(start_paused = true)]
async fn one_who_was_let_in_and_is_gone_leaves_place_and_token_to_the_next() {
    let limiter = Limiter::new(Limits { connections: Some(1), ..rate(1, 2) });
    let place = enter(&limiter);
    let (gone, next) = (line_up(&limiter), line_up(&limiter));
    drop(place);
    drop(gone);
    let started = Instant::now();
    let place = next.wait().await;
    assert!(place.is_ok() && started.elapsed().is_zero());
    drop(place);
    assert_eq!(counts(&limiter), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn tokens_come_in_their_time_and_in_order() {
    let limiter = Limiter::new(rate(10, 1));
    let _place = enter(&limiter);
    let all: Vec<Waiting> = (0..20).map(|_| waiting(&limiter)).collect();
    for (n, one) in all.into_iter().enumerate() {
        let (place, after) = one.await.unwrap();
        assert!(place.is_ok());
        assert_eq!(after, Duration::from_millis(100) * (n as u32 + 1));
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_exactly_in_time_for_everyone() {
    let limiter = Limiter::new(connections(1));
    let _place = enter(&limiter);
    let mut all = Vec::new();
    for _ in 0..50 {
        all.push(waiting(&limiter));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for one in all {
        let (refused, after) = one.await.unwrap();
        assert_eq!(refused.unwrap_err().to_string(), "waited 5s for a turn");
        assert_eq!(after, Duration::from_secs(5));
    }
    assert_eq!(limiter.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn new_limits_reach_those_who_wait_at_once() {
    let limiter = Limiter::new(connections(1));
    let _place = enter(&limiter);
    let all: Vec<Waiting> = (0..10).map(|_| waiting(&limiter)).collect();
    settled().await;
    limiter.change(connections(4));
    settled().await;
    assert_eq!(all.iter().filter(|one| one.is_finished()).count(), 3);
    limiter.change(Limits { excess: Excess::Refuse, ..connections(2) });
    settled().await;
    let mut entered = Vec::new();
    for one in all {
        let (got, after) = one.await.unwrap();
        assert!(after.is_zero());
        entered.extend(got);
    }
    assert_eq!((entered.len(), limiter.waiting()), (3, 0));
    assert!(matches!(limiter.arrive(Instant::now()), Arrival::Refuse(Why::Connections(2))));
    drop(entered);
    assert!(matches!(limiter.arrive(Instant::now()), Arrival::Enter(_)));
}

#[tokio::test(start_paused = true)]
async fn who_came_before_there_was_a_limit_counts() {
    let limiter = Limiter::new(Limits::default());
    let before: Vec<Place> = (0..5).map(|_| enter(&limiter)).collect();
    limiter.change(connections(3));
    let next = waiting(&limiter);
    for place in before.into_iter().take(3) {
        settled().await;
        assert!(!next.is_finished());
        drop(place);
    }
    assert!(next.await.unwrap().0.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_faster_rate_is_felt_by_one_who_waits_for_a_slow_one() {
    let limiter = Limiter::new(Limits {
        excess: Excess::Queue { size: 9, timeout: Duration::from_secs(100) },
        ..rate(1, 1)
    });
    let _place = enter(&limiter);
    let next = waiting(&limiter);
    settled().await;
    limiter.change(rate(1_000, 1));
    let (place, after) = next.await.unwrap();
    assert!(place.is_ok());
    assert_eq!(after, Duration::from_millis(1));
}

/// Many who come, wait, give up and go at once, on several threads: nobody is forgotten and no place is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_is_forgotten_in_a_crowd() {
    let limiter = Limiter::new(connections(3));
    let crowd: Vec<JoinHandle<()>> = (0..8u64)
        .map(|task| {
            let limiter = limiter.clone();
            tokio::spawn(async move {
                for round in 0..500 {
                    let inside = match limiter.arrive(Instant::now()) {
                        Arrival::Enter(place) => Some(place),
                        Arrival::Refuse(why) => panic!("{why}"),
                        // Some give up, before and after they first look.
                        Arrival::Wait(turn) if (round + task) % 5 == 0 => {
                            let _ = tokio::time::timeout(Duration::ZERO, turn.wait()).await;
                            None
                        }
                        Arrival::Wait(turn) => Some(turn.wait().await.expect("a turn")),
                    };
                    assert!(limiter.inside.load(SeqCst) <= 3);
                    tokio::task::yield_now().await;
                    drop(inside);
                }
            })
        })
        .collect();
    for one in crowd {
        one.await.unwrap();
    }
    assert_eq!(counts(&limiter), (0, 0));
}
