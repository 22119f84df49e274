//! The relay in memory, under a paused clock: times are exact.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::fake::{Peer, fake};
use super::{Dismissal, Limits, Means, Orders, Outcome, Pipes, Stop, relay};
use crate::fault::{Active, Blackhole, Effect, Fault, Latency, Limit, Noop, Plan, Reset, Stall, Then};
use crate::observe::{Direction, Ending, Meter, Side};
use crate::spec::{Period, Size};

const SECOND: Duration = Duration::from_secs(1);
const QUIET: Limits = Limits { half_close: Duration::from_secs(30), idle: None, until: None, held: 1 << 20 };

struct Rig {
    client: Peer,
    server: Peer,
    stop: Stop,
    meter: Arc<Meter>,
    task: JoinHandle<Outcome>,
    started: Instant,
    orders: watch::Sender<Orders>,
    fired: Arc<Mutex<Vec<String>>>,
}

impl Rig {
    fn new(room: usize, limits: Limits) -> Self {
        Self::with_plan(room, limits, Plan::default())
    }

    fn with_plan(room: usize, limits: Limits, plan: Plan) -> Self {
        Self::with_pipes(room, limits, plan, 8)
    }

    /// Bytes in bulk can go through so many pipes.
    fn with_pipes(room: usize, limits: Limits, plan: Plan, pipes: usize) -> Self {
        let pipes = Pipes::new(pipes);
        let (client, client_peer) = fake(room);
        let (server, server_peer) = fake(room);
        let (client, server) = (client.splicing(), server.splicing());
        let stop = Stop::default();
        let meter = Arc::new(Meter::new(Arc::default()));
        let (their_stop, their_meter) = (stop.clone(), meter.clone());
        let (orders, their_orders) = watch::channel(Orders::of(Arc::new(plan)));
        let fired = Arc::new(Mutex::new(Vec::new()));
        let their_fired = fired.clone();
        let task = tokio::spawn(async move {
            let tell = |active: &Active| their_fired.lock().unwrap().push(active.fault.name.to_string());
            let means = Means { meter: &their_meter, pipes: &pipes, fired: &tell };
            relay(client, server, &limits, &their_stop, their_orders, means).await
        });
        let started = Instant::now();
        Rig { client: client_peer, server: server_peer, stop, meter, task, started, orders, fired }
    }

    /// The relay's end, the time it took, and that both sides were let go.
    async fn ended(self) -> (Ending, Side, Duration) {
        let outcome =
            tokio::time::timeout(1_000_000 * SECOND, self.task).await.expect("it never ended").unwrap();
        assert!(self.client.gone() && self.server.gone());
        (outcome.ending, outcome.side, self.started.elapsed())
    }
}

/// Lets the relay do all it can without time passing.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_and_both_half_closes_pass() {
    let rig = Rig::new(1 << 20, QUIET);
    rig.client.send(b"request");
    rig.client.finish();
    settle().await;
    rig.server.read(100);
    assert_eq!((rig.server.arrived(), rig.server.saw_fin()), (b"request".to_vec(), true));
    assert!(!rig.client.saw_fin(), "one side's end is not the other's");
    rig.server.send(b"answer");
    rig.server.finish();
    settle().await;
    rig.client.read(100);
    assert_eq!((rig.client.arrived(), rig.client.saw_fin()), (b"answer".to_vec(), true));
    assert_eq!((rig.meter.sent(Direction::Upstream), rig.meter.sent(Direction::Downstream)), (7, 6));
    let (client, server) = (rig.client.clone(), rig.server.clone());
    assert_eq!(rig.ended().await, (Ending::PeerFin, Side::Client, Duration::ZERO));
    assert!(!client.saw_reset() && !server.saw_reset());
}

#[tokio::test(start_paused = true)]
async fn a_reset_follows_after_the_last_byte_also_to_a_slow_reader() {
    let rig = Rig::new(10, QUIET);
    rig.server.send(&[7; 100]);
    rig.server.reset();
    while rig.client.arrived().len() < 100 {
        settle().await;
        assert!(!rig.client.saw_reset(), "the reset overtook {} bytes", 100 - rig.client.arrived().len());
        rig.client.read(6);
        sleep(SECOND).await;
    }
    let client = rig.client.clone();
    assert_eq!(rig.ended().await.0, Ending::PeerReset);
    assert_eq!(client.arrived().len(), 100);
    assert!(client.saw_reset());
}

#[tokio::test(start_paused = true)]
async fn what_a_broken_sink_had_sent_before_still_arrives() {
    let rig = Rig::new(1 << 20, QUIET);
    settle().await;
    // The server answers and resets; the relay meets the reset by writing, which must not cost the answer.
    rig.server.send(b"413 too large");
    rig.server.reset();
    rig.client.send(b"more of the request");
    settle().await;
    rig.client.read(100);
    let client = rig.client.clone();
    assert_eq!(rig.ended().await.0, Ending::PeerReset);
    assert_eq!(client.arrived(), b"413 too large");
    assert!(client.saw_reset());
}

#[tokio::test(start_paused = true)]
async fn a_reset_after_fin_is_seen_although_nobody_reads() {
    let rig = Rig::new(1 << 20, QUIET);
    rig.client.send(b"x");
    settle().await;
    rig.server.read(1);
    // Nothing but the FIN wakes the relay: it must begin to watch in that very poll.
    rig.client.finish();
    sleep(SECOND).await;
    rig.client.reset();
    // Noticed at once; the other side, which has had FIN already, is given a second to say goodbye.
    assert_eq!(rig.ended().await, (Ending::PeerReset, Side::Client, 2 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_reset_that_follows_a_fin_takes_no_byte_away() {
    let rig = Rig::new(100, QUIET);
    rig.server.send(&[7; 100]);
    rig.server.finish();
    settle().await;
    rig.server.reset();
    let client = rig.client.clone();
    assert_eq!(rig.ended().await.0, Ending::PeerReset);
    client.read(1000);
    assert_eq!((client.arrived().len(), client.saw_fin(), client.saw_reset()), (100, true, false));
}

#[tokio::test(start_paused = true)]
async fn half_closed_without_progress_ends_at_its_limit_and_progress_starts_it_anew() {
    let rig = Rig::new(1 << 20, Limits { half_close: 5 * SECOND, ..QUIET });
    sleep(100 * SECOND).await;
    rig.client.finish();
    for _ in 0..3 {
        sleep(4 * SECOND).await;
        rig.server.send(b".");
    }
    // 112 s: the last byte; 5 s of silence, and a second in which the server could have said goodbye.
    assert_eq!(rig.ended().await, (Ending::HalfClose, Side::None, 118 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn idle_and_lifetime_end_exactly_on_time() {
    let rig = Rig::new(1 << 20, Limits { idle: Some(10 * SECOND), ..QUIET });
    for _ in 0..5 {
        sleep(9 * SECOND).await;
        rig.client.send(b".");
    }
    assert_eq!(rig.ended().await, (Ending::Idle, Side::None, (45 + 10 + 1) * SECOND));

    let until = Some(Instant::now() + 20 * SECOND);
    let rig = Rig::new(1 << 20, Limits { idle: Some(15 * SECOND), until, ..QUIET });
    sleep(9 * SECOND).await;
    rig.client.send(b".");
    assert_eq!(rig.ended().await, (Ending::Lifetime, Side::None, 21 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn draining_ends_only_what_is_silent_and_holds_nothing() {
    let (silent, holding) = (Rig::new(10, QUIET), Rig::new(10, QUIET));
    holding.server.send(&[1; 50]);
    sleep(60 * SECOND).await;
    for rig in [&silent, &holding] {
        assert!(!rig.task.is_finished(), "nothing ends before the drain");
        // What is said when it begins is what counts.
        *rig.stop.idle.lock().unwrap() = Some(2 * SECOND);
        rig.stop.drain.cancel();
    }
    let ended = silent.ended().await;
    assert_eq!((ended.0, ended.2), (Ending::Drain, 61 * SECOND));
    sleep(60 * SECOND).await;
    assert!(!holding.task.is_finished());
    let client = holding.client.clone();
    holding.stop.cut.cancel();
    assert_eq!(holding.ended().await.0, Ending::Drain);
    assert!(client.saw_reset(), "at the deadline what is left is reset");
}

#[tokio::test(start_paused = true)]
async fn orders_end_a_connection_and_one_that_was_to_finish_may_stay() {
    let told = |end| Orders { end, ..Orders::default() };
    let stays = Rig::new(10, QUIET);
    *stays.stop.idle.lock().unwrap() = Some(2 * SECOND);
    sleep(SECOND).await;
    stays.orders.send(told(Some(Dismissal::Finish))).unwrap();
    sleep(SECOND / 2).await;
    stays.orders.send(told(None)).unwrap();
    sleep(60 * SECOND).await;
    assert!(!stays.task.is_finished());
    stays.orders.send(told(Some(Dismissal::Finish))).unwrap();
    assert_eq!(stays.ended().await.0, Ending::Drain);
    for (end, ending, reset) in [
        (Dismissal::Close, Ending::Control, false),
        (Dismissal::Reset, Ending::Control, true),
        (Dismissal::Cut, Ending::Drain, true),
    ] {
        let rig = Rig::new(10, QUIET);
        let client = rig.client.clone();
        rig.orders.send(told(Some(end))).unwrap();
        assert_eq!(rig.ended().await.0, ending);
        assert_eq!(client.saw_reset(), reset, "{end:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reset_to_a_reader_who_never_reads_is_given_up_at_the_half_close_limit() {
    let rig = Rig::new(10, Limits { half_close: 5 * SECOND, ..QUIET });
    rig.server.send(&[1; 5]);
    rig.server.reset();
    let client = rig.client.clone();
    assert_eq!(rig.ended().await, (Ending::PeerReset, Side::Upstream, 5 * SECOND));
    assert!(client.saw_reset());
}

/// A server that answers as it reads is stuck in its answer when the client is gone: somebody must take that answer, or
/// the client's last bytes never arrive, and the reset neither.
#[tokio::test(start_paused = true)]
async fn an_answer_to_nobody_keeps_neither_the_last_bytes_nor_the_reset_back() {
    let rig = Rig::new(10, QUIET);
    rig.client.send(&[1; 50]);
    rig.server.send(&[2; 50]);
    settle().await;
    rig.server.send(&[2; 50]);
    settle().await;
    assert_eq!(rig.server.unread(), 50, "nobody reads the first half of it");
    rig.client.reset();
    while !rig.task.is_finished() {
        settle().await;
        assert_eq!(rig.started.elapsed(), Duration::ZERO, "it is stuck");
        assert_eq!(rig.server.unread(), 0);
        rig.server.read(10);
        rig.server.send(&[2; 10]);
    }
    let server = rig.server.clone();
    assert_eq!(rig.ended().await, (Ending::PeerReset, Side::Client, Duration::ZERO));
    assert_eq!((server.arrived().len(), server.saw_reset()), (50, true));
}

/// Taking an answer to nobody is no progress: a server that talks on and never reads must not keep a connection for ever.
#[tokio::test(start_paused = true)]
async fn a_flood_to_nobody_does_not_outlast_half_close() {
    let rig = Rig::new(10, QUIET);
    rig.client.send(&[1; 50]);
    rig.server.send(&[2; 50]);
    settle().await;
    rig.client.reset();
    while !rig.task.is_finished() {
        assert!(rig.started.elapsed() < 60 * SECOND, "it goes on for ever");
        rig.server.send(&[2; 50]);
        sleep(SECOND).await;
    }
    let ended = rig.ended().await;
    assert_eq!((ended.0, ended.1), (Ending::PeerReset, Side::Client));
    assert!(ended.2 >= 30 * SECOND && ended.2 <= 31 * SECOND, "{:?}", ended.2);
}

#[tokio::test(start_paused = true)]
async fn an_ending_behind_bytes_that_cannot_be_delivered_is_found() {
    for reset in [false, true] {
        let rig = Rig::new(10, Limits { half_close: 5 * SECOND, ..QUIET });
        rig.client.send(&[1; 50]);
        sleep(12 * SECOND).await;
        assert!(!rig.task.is_finished(), "a slow reader alone ends nothing");
        if reset {
            rig.client.reset();
        } else {
            rig.client.finish();
        }
        let server = rig.server.clone();
        let ended = rig.ended().await;
        let expected =
            if reset { (Ending::PeerReset, Side::Client) } else { (Ending::HalfClose, Side::None) };
        assert_eq!((ended.0, ended.1), expected);
        // Looked for every 5 s; the ending by FIN may take a second more.
        assert!(ended.2 <= 16 * SECOND, "{:?}", ended.2);
        assert_eq!(server.saw_reset(), reset);
    }
}

/// A plan with one fault on what the server sends, as a configuration would write it.
fn plan(effect: impl Into<Option<Effect>>) -> Plan {
    let downstream = effect.into().map(|effect| Active::of(Fault::new(effect), Direction::Downstream, 1));
    Plan { downstream: downstream.into_iter().map(Arc::new).collect(), upstream: Vec::new() }
}

fn latency(delay: Duration) -> Effect {
    Effect::Latency(Latency { delay: Period::new(delay), ..Latency::default() })
}

#[tokio::test(start_paused = true)]
async fn latency_is_exact_and_bytes_follow_each_other() {
    let rig = Rig::with_plan(1 << 20, QUIET, plan(latency(SECOND)));
    for (i, byte) in (0..3u32).zip(*b"abc") {
        rig.server.send(&[byte]);
        assert_eq!(rig.started.elapsed(), i * SECOND / 100);
        sleep(SECOND / 100).await;
    }
    sleep(SECOND - 3 * SECOND / 100).await;
    settle().await;
    rig.client.read(100);
    assert_eq!((rig.client.arrived(), rig.started.elapsed()), (b"a".to_vec(), SECOND));
    sleep(SECOND / 100).await;
    settle().await;
    rig.client.read(100);
    assert_eq!(rig.client.arrived(), b"ab");
    assert_eq!(*rig.fired.lock().unwrap(), ["latency"], "told once");
}

#[tokio::test(start_paused = true)]
async fn a_changed_plan_reaches_an_idle_connection_and_frees_what_was_held_in_order() {
    let rig = Rig::with_plan(1 << 20, QUIET, plan(latency(10 * SECOND)));
    rig.server.send(b"one ");
    sleep(SECOND).await;
    rig.server.send(b"two");
    rig.server.finish();
    sleep(SECOND).await;
    rig.client.read(100);
    assert!(rig.client.arrived().is_empty());
    rig.orders.send(Orders::of(Arc::new(plan(None)))).unwrap();
    settle().await;
    rig.client.read(100);
    assert_eq!(
        (rig.client.arrived(), rig.client.saw_fin()),
        (b"one two".to_vec(), true),
        "the peer's FIN is kept"
    );
    assert_eq!(rig.started.elapsed(), 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_reset_on_time_unless_that_is_called_off() {
    let reset = || plan(Effect::Reset(Reset { after: "9s".parse().unwrap() }));
    let rig = Rig::with_plan(1 << 20, QUIET, reset());
    let (client, server) = (rig.client.clone(), rig.server.clone());
    assert_eq!(rig.ended().await, (Ending::Fault, Side::None, 9 * SECOND));
    assert!(client.saw_reset() && server.saw_reset(), "both sides are reset");

    let rig = Rig::with_plan(1 << 20, QUIET, reset());
    sleep(SECOND).await;
    rig.orders.send(Orders::of(Arc::new(plan(None)))).unwrap();
    sleep(60 * SECOND).await;
    assert!(!rig.task.is_finished() && rig.fired.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_reset_after_bytes_lets_exactly_these_through() {
    let rig = Rig::with_plan(1 << 20, QUIET, plan(Effect::Reset(Reset { after: "10KiB".parse().unwrap() })));
    rig.server.send(&[7; 30_000]);
    settle().await;
    assert!(!rig.client.saw_reset(), "the reset waits until its bytes have left");
    rig.client.read(100_000);
    settle().await;
    assert_eq!((rig.client.arrived().len(), rig.client.saw_reset()), (10_240, true));
    assert_eq!(*rig.fired.lock().unwrap(), ["reset"]);
}

#[tokio::test(start_paused = true)]
async fn a_peers_reset_is_held_back_with_the_bytes_before_it() {
    let rig = Rig::with_plan(1 << 20, QUIET, plan(latency(5 * SECOND)));
    rig.server.send(b"last words");
    rig.server.reset();
    let client = rig.client.clone();
    sleep(4 * SECOND).await;
    assert!(!client.saw_reset());
    sleep(SECOND).await;
    settle().await;
    client.read(100);
    assert_eq!(rig.ended().await, (Ending::PeerReset, Side::Upstream, 5 * SECOND));
    assert_eq!((client.arrived(), client.saw_reset()), (b"last words".to_vec(), true));
}

#[tokio::test(start_paused = true)]
async fn time_in_which_a_fault_holds_something_back_is_not_silence() {
    let limits = Limits { half_close: 5 * SECOND, idle: Some(5 * SECOND), ..QUIET };
    let rig = Rig::with_plan(1 << 20, limits, plan(latency(60 * SECOND)));
    rig.server.send(b"late");
    rig.server.finish();
    sleep(60 * SECOND).await;
    settle().await;
    rig.client.read(100);
    assert_eq!((rig.client.arrived(), rig.client.saw_fin()), (b"late".to_vec(), true));
    let ended = rig.ended().await;
    assert_eq!((ended.0, ended.2), (Ending::HalfClose, 66 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_removed_blackhole_that_has_swallowed_ends_its_connection() {
    let blackhole = plan(Effect::Blackhole(Blackhole::default()));
    let stats = blackhole.downstream[0].stats.clone();
    let rig = Rig::with_plan(1 << 20, QUIET, blackhole);
    rig.server.send(b"gone");
    sleep(SECOND).await;
    assert_eq!(stats.amount(), 4, "counted when it happens, not when the connection ends");
    rig.orders.send(Orders::of(Arc::new(plan(None)))).unwrap();
    let client = rig.client.clone();
    let ended = rig.ended().await;
    assert_eq!(ended.0, Ending::Fault);
    assert!(client.arrived().is_empty() && client.saw_fin());

    let rig = Rig::with_plan(1 << 20, QUIET, plan(Effect::Blackhole(Blackhole::default())));
    rig.orders.send(Orders::of(Arc::new(plan(None)))).unwrap();
    settle().await;
    rig.server.send(b"here");
    settle().await;
    rig.client.read(100);
    assert_eq!(rig.client.arrived(), b"here", "one that has swallowed nothing leaves no trace");
}

#[tokio::test(start_paused = true)]
async fn a_stall_moves_nothing_loses_nothing_and_notices_nothing_but_its_end() {
    let stall = Effect::Stall(Stall { hold: Some(Period::new(7 * SECOND)), ..Stall::default() });
    let rig = Rig::with_plan(1 << 20, QUIET, plan(stall));
    rig.server.send(&[3; 100_000]);
    rig.client.send(b"the other way is free");
    sleep(6 * SECOND).await;
    rig.client.read(100);
    rig.server.read(100);
    assert_eq!((rig.client.arrived().len(), rig.server.arrived().len()), (0, 21));
    assert_eq!(rig.meter.received(Direction::Downstream), 0, "the sender feels it");
    sleep(SECOND).await;
    settle().await;
    rig.client.read(1 << 20);
    assert_eq!(rig.client.arrived().len(), 100_000);
}

/// A plan of several, the same ones wherever they are asked for again.
fn plan_of(faults: &[&Arc<Active>]) -> Arc<Plan> {
    Arc::new(Plan {
        downstream: faults.iter().map(|fault| Arc::clone(fault)).collect(),
        upstream: Vec::new(),
    })
}

fn fault(effect: Effect) -> Arc<Active> {
    Arc::new(Active::of(Fault::new(effect), Direction::Downstream, 1))
}

#[tokio::test(start_paused = true)]
async fn a_reset_reaches_a_connection_that_was_stuck_before_it_came() {
    let rig = Rig::new(10, QUIET);
    rig.server.send(&[1; 100]);
    sleep(SECOND).await;
    rig.orders
        .send(Orders::of(Arc::new(plan(Effect::Reset(Reset { after: "5s".parse().unwrap() })))))
        .unwrap();
    let client = rig.client.clone();
    assert_eq!(rig.ended().await, (Ending::Fault, Side::None, 6 * SECOND));
    assert!(client.saw_reset());
}

#[tokio::test(start_paused = true)]
async fn an_injected_reset_waits_for_a_reader_no_longer_than_half_close() {
    let limits = Limits { half_close: 5 * SECOND, ..QUIET };
    let rig = Rig::with_plan(100, limits, plan(Effect::Reset(Reset { after: "50B".parse().unwrap() })));
    rig.server.send(&[1; 100]);
    assert_eq!(rig.ended().await, (Ending::Fault, Side::None, 5 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_stall_for_a_time_is_not_silence() {
    let limits = Limits { half_close: 5 * SECOND, idle: Some(5 * SECOND), ..QUIET };
    let stall = Effect::Stall(Stall { hold: Some(Period::new(60 * SECOND)), ..Stall::default() });
    let rig = Rig::with_plan(1 << 20, limits, plan(stall));
    rig.client.send(b"request");
    rig.client.finish();
    rig.server.send(b"answer");
    rig.server.finish();
    sleep(61 * SECOND).await;
    rig.client.read(100);
    assert_eq!((rig.client.arrived(), rig.client.saw_fin()), (b"answer".to_vec(), true));
}

#[tokio::test(start_paused = true)]
async fn silence_counts_again_when_what_was_held_has_gone() {
    let limits = Limits { idle: Some(5 * SECOND), ..QUIET };
    let rig = Rig::with_plan(1 << 20, limits, plan(latency(3600 * SECOND)));
    rig.server.send(b"x");
    sleep(SECOND).await;
    rig.orders.send(Orders::of(Arc::new(plan(None)))).unwrap();
    assert_eq!(rig.ended().await, (Ending::Idle, Side::None, (1 + 5 + 1) * SECOND));
}

#[tokio::test(start_paused = true)]
async fn an_ending_does_not_wait_for_a_delay_that_is_gone() {
    let limit = fault(Effect::Limit(Limit { bytes: Size::new(3), then: Then::Reset }));
    let latency = fault(latency(10 * SECOND));
    let rig = Rig::new(1 << 20, QUIET);
    rig.orders.send(Orders::of(plan_of(&[&limit, &latency]))).unwrap();
    settle().await;
    rig.server.send(b"abcdef");
    sleep(SECOND).await;
    rig.orders.send(Orders::of(plan_of(&[&limit]))).unwrap();
    settle().await;
    rig.client.read(100);
    let client = rig.client.clone();
    assert_eq!(rig.ended().await, (Ending::Fault, Side::None, SECOND));
    assert_eq!(client.arrived(), b"abc");
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_held_nothing_back_takes_nothing_along() {
    let (latency, noop) = (fault(latency(10 * SECOND)), fault(Effect::Noop(Noop::default())));
    let rig = Rig::new(1 << 20, QUIET);
    rig.orders.send(Orders::of(plan_of(&[&latency, &noop]))).unwrap();
    settle().await;
    rig.server.send(b"late");
    sleep(SECOND).await;
    rig.orders.send(Orders::of(plan_of(&[&latency]))).unwrap();
    sleep(8 * SECOND).await;
    rig.client.read(100);
    assert!(rig.client.arrived().is_empty(), "the latency is still there");
    sleep(SECOND).await;
    settle().await;
    rig.client.read(100);
    assert_eq!(rig.client.arrived(), b"late");
}

#[tokio::test(start_paused = true)]
async fn a_fault_fires_once_under_its_name_however_often_it_is_changed() {
    let rig = Rig::with_plan(1 << 20, QUIET, plan(latency(SECOND)));
    for seconds in 2..10 {
        rig.server.send(b"x");
        sleep(SECOND / 2).await;
        rig.orders.send(Orders::of(Arc::new(plan(latency(seconds * SECOND))))).unwrap();
    }
    settle().await;
    assert_eq!(*rig.fired.lock().unwrap(), ["latency"]);
}

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn bulk_goes_through_a_pipe_and_all_else_does_not() {
    let rig = Rig::new(1 << 24, QUIET);
    for _ in 0..10 {
        rig.server.send(&[1; 1000]);
        settle().await;
    }
    assert_eq!(rig.server.spliced(), 0, "messages are copied");
    rig.server.send(&[2; 1 << 20]);
    settle().await;
    assert!(rig.server.spliced() >= 4);
    rig.client.read(1 << 24);
    assert_eq!(rig.client.arrived().len(), (1 << 20) + 10_000);
    let spliced = rig.server.spliced();
    rig.orders.send(Orders::of(plan_of(&[&fault(Effect::Noop(Noop::default()))]))).unwrap();
    settle().await;
    rig.server.send(&[3; 1 << 20]);
    settle().await;
    assert_eq!(rig.server.spliced(), spliced, "a fault sees every byte");
    assert_eq!(*rig.fired.lock().unwrap(), ["noop"]);
    rig.client.read(1 << 24);
    assert_eq!(rig.client.arrived().len(), (2 << 20) + 10_000);
}

#[tokio::test(start_paused = true)]
async fn a_plan_finds_the_bytes_in_a_pipe_whose_sink_takes_nothing() {
    let rig = Rig::new(100_000, QUIET);
    let bytes: Vec<u8> = (0..400_000u32).map(|i| (i / 7) as u8).collect();
    rig.server.send(&bytes);
    settle().await;
    // The sink is full, and behind it a pipe.
    rig.orders.send(Orders::of(plan_of(&[&fault(latency(SECOND))]))).unwrap();
    settle().await;
    let mut arrived = 0;
    for _ in 0..100 {
        rig.client.read(30_000);
        sleep(SECOND / 10).await;
        let now = rig.client.arrived();
        assert!(bytes.starts_with(&now));
        arrived = now.len();
    }
    assert_eq!(arrived, bytes.len());
    let moved = (rig.meter.received(Direction::Downstream), rig.meter.sent(Direction::Downstream));
    assert_eq!(moved, (400_000, 400_000));
}

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn without_a_pipe_to_be_had_bulk_is_copied() {
    let rig = Rig::with_pipes(1 << 24, QUIET, Plan::default(), 0);
    rig.server.send(&[1; 1 << 20]);
    settle().await;
    rig.client.read(1 << 24);
    assert_eq!((rig.client.arrived().len(), rig.server.spliced()), (1 << 20, 0));
}

/// One thing a peer does.
#[derive(Clone, Copy, Debug)]
enum Act {
    Send(u16),
    /// So many KiB, the whole of which may fill a buffer or a pipe.
    Bulk(u16),
    Read(u16),
    Finish,
    Reset,
    Wait(u8),
}

fn act() -> impl Strategy<Value = (bool, Act)> {
    let act = prop_oneof![
        8 => (1..2000u16).prop_map(Act::Send),
        2 => (1..400u16).prop_map(Act::Bulk),
        8 => (1..3000u16).prop_map(Act::Read),
        1 => Just(Act::Finish),
        1 => Just(Act::Reset),
        2 => (0..20u8).prop_map(Act::Wait),
    ];
    (any::<bool>(), act)
}

/// What a side has said so far, so that a test knows what may arrive.
#[derive(Default)]
struct Sent {
    bytes: Vec<u8>,
    finished: bool,
    reset: bool,
}

impl Sent {
    /// The next bytes, which differ from those a buffer or a pipe before or behind them.
    fn send(&mut self, peer: &Peer, count: usize) {
        let from = self.bytes.len();
        self.bytes.extend((from..from + count).map(|i| (i ^ (i >> 8) ^ (i >> 15)) as u8));
        peer.send(&self.bytes[from..]);
    }
}

/// One thing that happens to a stream and to its plan.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Send(u16),
    Bulk(u16),
    Read(u32),
    Wait(u16),
    /// Which of the faults are on it from now on.
    Plan(u8),
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        4 => (1..2000u16).prop_map(Turn::Send),
        4 => (1..600u16).prop_map(Turn::Bulk),
        8 => (1..600_000u32).prop_map(Turn::Read),
        2 => (0..30u16).prop_map(Turn::Wait),
        4 => (0..8u8).prop_map(Turn::Plan),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// In whichever gear bytes move when a plan comes or goes, wherever they are at that moment: every one arrives once and
    /// in order, each is counted once, and a fault that was there when bytes came has fired.
    #[test]
    fn a_change_of_gear_at_any_byte_loses_nothing(
        turns in prop::collection::vec(turn(), 0..60),
        room in prop_oneof![50..5000usize, 50_000..500_000usize],
        pipes in 0..3usize,
        held in prop_oneof![Just(24usize << 10), Just(1 << 20)],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async move {
            let rig = Rig::with_pipes(room, Limits { held, ..QUIET }, Plan::default(), pipes);
            let faults = [
                fault(latency(SECOND / 50)),
                fault(Effect::Noop(Noop::default())),
                fault(Effect::Stall(Stall { hold: Some(Period::new(SECOND / 20)), ..Stall::default() })),
            ];
            let mut sent = Sent::default();
            let mut watched = false;
            for turn in turns {
                match turn {
                    Turn::Send(n) => sent.send(&rig.server, n.into()),
                    Turn::Bulk(n) => sent.send(&rig.server, usize::from(n) << 10),
                    Turn::Read(n) => rig.client.read(n as usize),
                    Turn::Wait(ms) => sleep(Duration::from_millis(ms.into())).await,
                    Turn::Plan(which) => {
                        let on = faults.iter().enumerate().filter(|(i, _)| which & (1 << i) != 0);
                        let on: Vec<_> = on.map(|(_, fault)| fault).collect();
                        rig.orders.send(Orders::of(plan_of(&on))).unwrap();
                        // The noop alone sees every byte that comes before the next change.
                        if which == 2 {
                            sent.send(&rig.server, 1);
                            drain(&rig, sent.bytes.len()).await;
                            watched = true;
                        }
                    }
                }
                assert!(sent.bytes.starts_with(&rig.client.arrived()));
            }
            rig.server.finish();
            drain(&rig, sent.bytes.len()).await;
            // A fault may hold the end back.
            sleep(SECOND).await;
            assert!(rig.client.arrived() == sent.bytes && rig.client.saw_fin());
            let moved = (rig.meter.received(Direction::Downstream), rig.meter.sent(Direction::Downstream));
            assert_eq!(moved, (sent.bytes.len() as u64, sent.bytes.len() as u64));
            assert!(!watched || rig.fired.lock().unwrap().iter().any(|name| name == "noop"), "bytes passed it by");
            rig.client.finish();
            rig.ended().await;
        });
    }
}

/// Reads until so many bytes have arrived.
async fn drain(rig: &Rig, bytes: usize) {
    let over = Instant::now() + 600 * SECOND;
    while rig.client.arrived().len() < bytes {
        assert!(Instant::now() < over, "{} of {bytes} bytes arrive", rig.client.arrived().len());
        rig.client.read(1 << 20);
        sleep(SECOND / 1000).await;
    }
    settle().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Whatever two peers do: what arrives is the beginning of what was sent, a FIN comes after all of it and only from
    /// a side that finished, a reset only after a reset, and everything ends.
    #[test]
    fn nothing_is_lost_invented_or_reordered(
        acts in prop::collection::vec(act(), 0..60),
        room in prop_oneof![50..5000usize, 50_000..500_000usize],
        pipes in 0..3usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async move {
            let rig = Rig::with_pipes(room, QUIET, Plan::default(), pipes);
            let mut sent = [Sent::default(), Sent::default()];
            let peers = [rig.client.clone(), rig.server.clone()];
            for (server, act) in acts {
                let (peer, said) = (&peers[usize::from(server)], &mut sent[usize::from(server)]);
                match act {
                    Act::Send(n) if !said.finished && !said.reset => said.send(peer, n.into()),
                    Act::Bulk(n) if !said.finished && !said.reset => said.send(peer, usize::from(n) << 10),
                    Act::Finish if !said.reset => (peer.finish(), said.finished = true).1,
                    Act::Reset => (peer.reset(), said.reset = true).1,
                    Act::Read(n) if !said.reset => peer.read(n.into()),
                    Act::Wait(ms) => sleep(Duration::from_millis(ms.into())).await,
                    _ => {}
                }
                if peers.iter().all(Peer::gone) { break }
            }
            settle().await;
            let unharmed = !sent[0].reset && !sent[1].reset;
            for peer in &peers {
                // A reader that goes on reading, until there is nothing more.
                let mut before = usize::MAX;
                while peer.arrived().len() != before {
                    before = peer.arrived().len();
                    peer.read(1 << 20);
                    tokio::task::yield_now().await;
                }
            }
            for (to, from) in [(0, 1), (1, 0)] {
                let arrived = peers[to].arrived();
                assert!(sent[from].bytes.starts_with(&arrived));
                if unharmed {
                    assert_eq!(arrived.len(), sent[from].bytes.len());
                    assert_eq!(peers[to].saw_fin(), sent[from].finished);
                    assert!(!peers[to].saw_reset());
                }
                assert!(!peers[to].saw_reset() || sent[from].reset);
                // A reset from one side only costs the other nothing that was sent before it.
                if sent[from].reset && !sent[to].reset {
                    assert_eq!(arrived.len(), sent[from].bytes.len());
                }
            }
            peers[0].finish();
            peers[1].finish();
            rig.ended().await;
        });
    }
}
