//! A pool and its upstream, over the loopback.

use socket2::SockRef;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::super::lab::{Leaves, around, eventually, listener};
use super::*;

const LONG: Duration = Duration::from_secs(600);

struct Bench {
    pool: Arc<Pool>,
    listener: TcpListener,
    leaves: Arc<Leaves>,
    stopping: tokio_util::sync::CancellationToken,
}

fn bench(size: u32, max_age: Duration) -> Bench {
    let (listener, address) = listener();
    let leaves = Leaves::new(100);
    let around = around(leaves.clone());
    let stopping = around.stopping.clone();
    Bench { pool: Pool::new(PoolConfig { size, max_age }, address, &around), listener, leaves, stopping }
}

impl Bench {
    /// The upstream's ends of the next connections.
    async fn accept(&self, n: usize) -> Vec<TcpStream> {
        let mut accepted = Vec::new();
        for _ in 0..n {
            accepted.push(in_time(self.listener.accept()).await.unwrap().0);
        }
        accepted
    }

    async fn filled(&self, n: usize) {
        eventually("it is filled", || self.pool.len() == n).await;
    }
}

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work).await.expect("in time")
}

fn port(stream: &TcpStream) -> u16 {
    stream.local_addr().unwrap().port()
}

fn peer(stream: &TcpStream) -> u16 {
    stream.peer_addr().unwrap().port()
}

fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}

#[tokio::test]
async fn it_is_filled_and_gives_the_youngest_and_is_filled_again() {
    let bench = bench(3, LONG);
    assert!(bench.pool.take().is_none());
    bench.pool.start(|| true);
    let first = bench.accept(3).await;
    bench.filled(3).await;
    assert_eq!(bench.leaves.left(), 97);
    let taken = bench.pool.take().unwrap();
    assert!(first.iter().any(|stream| peer(stream) == port(&taken)));
    // Its leave is given back, and another connection has it.
    let next = bench.accept(1).await;
    bench.filled(3).await;
    assert_eq!(bench.leaves.left(), 97);
    assert_eq!(bench.pool.take().map(|stream| port(&stream)), Some(peer(&next[0])));
}

#[tokio::test]
async fn it_does_not_begin_before_it_is_told_and_ends_when_it_is() {
    let bench = bench(2, LONG);
    for _ in 0..3 {
        bench.pool.start(|| true);
        bench.pool.start(|| true);
        let mut accepted = bench.accept(2).await;
        bench.filled(2).await;
        bench.pool.rest();
        assert!(bench.pool.take().is_none());
        for stream in &mut accepted {
            assert_eq!(in_time(stream.read(&mut [0])).await.unwrap(), 0);
        }
        drop(accepted);
        eventually("the leave is given back", || bench.leaves.left() == 100).await;
    }
}

#[tokio::test]
async fn a_pool_that_is_let_go_and_a_program_that_stops_close_what_waits() {
    for stop in [false, true] {
        let Bench { pool, listener, leaves, stopping } = bench(2, LONG);
        pool.start(|| true);
        let mut accepted = Vec::new();
        while accepted.len() < 2 {
            accepted.push(in_time(listener.accept()).await.unwrap().0);
        }
        eventually("it is filled", || pool.len() == 2).await;
        let _kept = stop.then(|| {
            stopping.cancel();
            pool
        });
        for stream in &mut accepted {
            assert_eq!(in_time(stream.read(&mut [0])).await.unwrap(), 0);
        }
        eventually("the leave is given back", || leaves.left() == 100).await;
    }
}

#[tokio::test]
async fn one_that_has_died_is_not_handed_out() {
    let bench = bench(1, LONG);
    bench.pool.start(|| true);
    let mut deaths: Vec<fn(TcpStream) -> Option<TcpStream>> = vec![
        |stream| {
            reset(stream);
            None
        },
        |stream| {
            drop(stream);
            None
        },
        |stream| {
            SockRef::from(&stream).shutdown(std::net::Shutdown::Write).unwrap();
            Some(stream)
        },
        |stream| {
            stream.try_write(b"good bye").unwrap();
            SockRef::from(&stream).shutdown(std::net::Shutdown::Write).unwrap();
            Some(stream)
        },
        |stream| {
            stream.try_write(b"good bye").unwrap();
            reset(stream);
            None
        },
    ];
    for die in deaths.drain(..) {
        let accepted = bench.accept(1).await.swap_remove(0);
        bench.filled(1).await;
        accepted.writable().await.unwrap();
        let dead = peer(&accepted);
        let _end = die(accepted);
        // On the loopback an end is there when the call that sent it returns.
        let taken = bench.pool.take().map(|stream| port(&stream));
        assert_ne!(taken, Some(dead));
    }
}

#[tokio::test]
async fn an_upstream_that_speaks_first_is_alive_and_its_bytes_wait() {
    let bench = bench(1, LONG);
    bench.pool.start(|| true);
    let mut accepted = bench.accept(1).await.swap_remove(0);
    bench.filled(1).await;
    accepted.write_all(b"hello").await.unwrap();
    let mut taken = bench.pool.take().expect("it is alive");
    let mut said = [0; 5];
    in_time(taken.read_exact(&mut said)).await.unwrap();
    assert_eq!((&said, port(&taken)), (b"hello", peer(&accepted)));
}

#[tokio::test]
async fn the_dead_are_replaced_while_nobody_asks() {
    let bench = bench(2, LONG);
    bench.pool.start(|| true);
    for _ in 0..2 {
        bench.accept(2).await.into_iter().for_each(drop);
    }
    bench.accept(2).await;
}

#[tokio::test]
async fn what_is_too_old_is_closed_and_replaced() {
    let bench = bench(2, Duration::from_millis(300));
    bench.pool.start(|| true);
    for _ in 0..3 {
        let begun = Instant::now();
        for mut stream in bench.accept(2).await {
            assert_eq!(in_time(stream.read(&mut [0])).await.unwrap(), 0);
            assert!(begun.elapsed() >= Duration::from_millis(250), "{:?}", begun.elapsed());
        }
    }
}

#[tokio::test]
async fn one_whose_endpoint_is_down_opens_nothing_and_drops_nothing() {
    let bench = bench(2, LONG);
    let (up, asked) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let (is_up, count) = (up.clone(), asked.clone());
    bench.pool.start(move || {
        count.fetch_add(1, Ordering::SeqCst);
        is_up.load(Ordering::SeqCst)
    });
    let _accepted = bench.accept(2).await;
    bench.filled(2).await;
    up.store(false, Ordering::SeqCst);
    assert!(bench.pool.take().is_some());
    let before = asked.load(Ordering::SeqCst);
    eventually("it looks twice", || asked.load(Ordering::SeqCst) >= before + 2).await;
    assert_eq!(bench.pool.len(), 1);
    assert!(bench.pool.take().is_some());
    // Whoever is asked from now on finds it well again.
    bench.pool.start(|| true);
    bench.accept(2).await;
}

#[tokio::test]
async fn without_leave_nothing_is_opened() {
    let bench = bench(3, LONG);
    let taken = bench.leaves.0.clone().try_acquire_many_owned(98).unwrap();
    bench.pool.start(|| true);
    let _accepted = bench.accept(2).await;
    bench.filled(2).await;
    assert_eq!(bench.leaves.left(), 0);
    drop(taken);
    bench.accept(1).await;
    bench.filled(3).await;
}

#[tokio::test]
async fn an_upstream_that_ends_what_it_takes_is_not_dialled_without_pause() {
    let bench = bench(4, LONG);
    let count = Arc::new(AtomicUsize::new(0));
    let (counter, begun) = (count.clone(), Instant::now());
    bench.pool.start(|| true);
    let accept = async {
        loop {
            let (stream, _) = bench.listener.accept().await.unwrap();
            counter.fetch_add(1, Ordering::SeqCst);
            drop(stream);
        }
    };
    let _ = tokio::time::timeout(Duration::from_millis(1500), accept).await;
    // Four at first, and then one after 0.1 s, 0.2 s, 0.4 s and so on, each found dead at once or at the next look.
    let (dials, took) = (count.load(Ordering::SeqCst), begun.elapsed());
    assert!((4..20).contains(&dials), "{dials} in {took:?}");
}

#[test]
fn the_wait_after_failures_doubles_up_to_five_seconds() {
    let (mut pause, mut now) = (Pause::default(), Instant::now());
    let mut waits = Vec::new();
    for _ in 0..8 {
        pause.fail(now);
        // One that began with it and fails with it changes nothing.
        pause.fail(now + Duration::from_millis(1));
        let until = pause.until.unwrap();
        waits.push((until - now).as_millis());
        // Opened, and ended at once: as bad as not opened.
        now = until;
        assert!(!pause.lasts(now));
        pause.failing = false;
    }
    assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
    pause.fail(now + LONGEST_WAIT * 2);
    assert_eq!(pause.wait, FIRST_WAIT);
}
