//! `limits` let in as many as they say, tell the others so, and leave everybody else alone.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::*;
use tokio::io::AsyncReadExt;

/// One byte there and back.
fn ping(mut client: &Client) -> Result<u8, End> {
    match client.write_all(b"x") {
        Ok(()) => read_byte(client),
        Err(_) => Err(End::Reset),
    }
}

/// A client that is inside: it has had an answer.
fn enter(daemon: &Daemon, route: &str) -> Client {
    let client = connect(daemon.address(route));
    assert_eq!(ping(&client), Ok(b'x'));
    client
}

/// So many clients that wait, in this order, the first one being the `first` of the route.
fn line_up(daemon: &Daemon, clients: usize, first: usize) -> Vec<Client> {
    let opened = |event: &Event| event.is("connection.opened", "it");
    (first..first + clients)
        .map(|number| {
            let client = connect(daemon.address("it"));
            daemon.events.wait_for_n(number, "it has come", secs(5), opened);
            client
        })
        .collect()
}

/// The numbers of the connections for which the upstream was reached, in order, as soon as there are `n`.
fn wait_served(daemon: &Daemon, n: usize) -> Vec<u64> {
    let connected = |event: &Event| event.is("upstream.connected", "it");
    let served = daemon.events.wait_for_n(n, "served", secs(5), connected);
    served.iter().map(|event| event.number("connection")).collect()
}

fn error_of(daemon: &Daemon, number: u64) -> String {
    let closed = daemon.wait_closed("it", number, secs(8));
    assert_eq!((closed.text("ending"), closed.text("side")), ("limits", "none"), "{}", closed.fields);
    closed.text("error").to_owned()
}

/// F6: ten of thirty are served, the others see FIN within 100 ms and are counted; when one ends the next is served.
#[test]
fn connections_beyond_the_limit_are_refused_at_once() {
    within(secs(60), || {
        best_of_three("the slowest refusal", ms(100), || {
            let upstream = Upstream::echo();
            let daemon = Setup::route("it", upstream.address, "limits: {connections: 10}").admin().start();
            let inside: Vec<Client> = (0..10).map(|_| enter(&daemon, "it")).collect();
            let refuse = || {
                let (client, begun) = connect_timed(daemon.address("it"));
                assert_eq!(read_byte(&client), Err(End::Fin));
                begun.elapsed()
            };
            let slowest = thread::scope(|scope| {
                let all: Vec<_> = (0..20).map(|_| scope.spawn(refuse)).collect();
                all.into_iter().map(|one| one.join().unwrap()).max().unwrap()
            });
            assert!(inside.iter().all(|client| ping(client) == Ok(b'x')));
            for number in 11..=30 {
                assert_eq!(error_of(&daemon, number), "10 connections are open already");
            }
            let metrics = daemon.api().get("/metrics").text();
            let counted = |line: &str| {
                line.starts_with("chaos_proxy_connections_closed_total")
                    && line.contains("ending=\"limits\"")
                    && line.contains("side=\"none\"")
                    && line.ends_with(" 20")
            };
            assert!(metrics.lines().any(counted), "{metrics}");
            drop(inside.into_iter().next());
            daemon.wait_closed("it", 1, secs(5));
            drop(enter(&daemon, "it"));
            assert_eq!(upstream.accepted(), 11);
            slowest
        });
    });
}

/// The connect-echo times of a route, until `over`.
fn times(daemon: &Daemon, route: &str, over: Instant) -> Vec<Duration> {
    let mut times = Vec::new();
    while Instant::now() < over {
        times.push(timed(|| drop(enter(daemon, route))));
        thread::sleep(ms(10));
    }
    times
}

/// 100/s with a burst of 10, flooded for ten seconds: 1,010 are served, give or take 2 %. Another route does not notice.
#[test]
fn a_flood_is_served_at_the_rate_and_another_route_as_ever() {
    within(secs(90), || {
        let _alone = heavy();
        let upstream = Upstream::banner("in");
        let routes = [
            route("it", upstream.address, "limits: {rate: 100/s, burst: 10}"),
            route("other", "builtin:echo", ""),
        ];
        let daemon = Setup::routes(routes).start();
        let begun = Instant::now();
        let over = begun + secs(10);
        let flood = || {
            let mut served = 0u64;
            while Instant::now() < over {
                let (bytes, end) = read_all(&connect(daemon.address("it")));
                assert_eq!(end, End::Fin, "whoever is refused sees FIN");
                served += u64::from(!bytes.is_empty());
                thread::sleep(ms(2));
            }
            served
        };
        let (served, other) = thread::scope(|scope| {
            let floods: Vec<_> = (0..4).map(|_| scope.spawn(flood)).collect();
            let other = times(&daemon, "other", over);
            (floods.into_iter().map(|flood| flood.join().unwrap()).sum::<u64>(), other)
        });
        assert_served(served, begun.elapsed());
        assert!(median(other.clone()) < ms(30), "{other:?}");
        let refused = daemon.events.all(|event| event.is("connection.closed", "it"));
        let mut refused = refused.iter().filter(|event| event.text("ending") == "limits").peekable();
        assert!(refused.peek().is_some());
        assert!(refused.all(|event| event.text("error") == "more than 100/s new connections"));
    });
}

fn assert_served(served: u64, time: Duration) {
    let right = 10.0 + 100.0 * time.as_secs_f64();
    assert!((served as f64 / right - 1.0).abs() <= 0.02, "{served} were served in {time:?}, not {right}");
}

/// The same with a queue: as many are served in the same time, and only whom the queue does not hold is refused.
#[test]
fn a_flood_through_the_queue_is_served_at_the_same_rate() {
    within(secs(90), || {
        let _alone = heavy();
        let limits = "limits: {rate: 100/s, burst: 10, excess: queue, queue: {size: 50, timeout: 20s}}";
        let upstream = Upstream::banner("in");
        let daemon =
            Setup::routes([route("it", upstream.address, limits), route("other", "builtin:echo", "")])
                .start();
        let address = daemon.address("it");
        let begun = Instant::now();
        let over = begun + secs(10);
        let client = move || async move {
            let mut served = 0u64;
            while Instant::now() < over {
                let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
                let mut bytes = Vec::new();
                stream.read_to_end(&mut bytes).await.unwrap();
                match (bytes.is_empty(), Instant::now() < over) {
                    (true, _) => tokio::time::sleep(ms(20)).await,
                    (false, in_time) => served += u64::from(in_time),
                }
            }
            served
        };
        let (served, other) = thread::scope(|scope| {
            let other = scope.spawn(|| times(&daemon, "other", over));
            let served = many(async {
                let all: Vec<_> = (0..80).map(|_| tokio::spawn(client())).collect();
                let mut served = 0;
                for one in all {
                    served += one.await.unwrap();
                }
                served
            });
            (served, other.join().unwrap())
        });
        assert_served(served, secs(10));
        assert!(median(other.clone()) < ms(30), "{other:?}");
        let refused = daemon.events.all(|event| {
            event.is("connection.closed", "it")
                && event.text("ending") == "limits"
                && event.text("error") != "the queue is full (50)"
        });
        assert!(refused.is_empty(), "{:?}", refused.first());
    });
}

const QUEUE_5: &str = "limits: {connections: 1, excess: queue, queue: {size: 5, timeout: 20s}}";

/// Whoever came first is served first, and whom the queue does not hold is refused.
#[test]
fn a_queue_serves_in_the_order_of_arrival_and_holds_no_more_than_its_size() {
    within(secs(30), || {
        let daemon = Setup::route("it", "builtin:echo", QUEUE_5).start();
        let mut inside = enter(&daemon, "it");
        let waiting = line_up(&daemon, 5, 2);
        assert_eq!(read_all(&connect(daemon.address("it"))), (Vec::new(), End::Fin));
        assert_eq!(error_of(&daemon, 7), "the queue is full (5)");
        for (n, client) in waiting.into_iter().enumerate() {
            assert_eq!(wait_served(&daemon, n + 1), (1..=n as u64 + 1).collect::<Vec<_>>());
            drop(inside);
            assert_eq!(ping(&client), Ok(b'x'));
            inside = client;
        }
    });
}

/// Nobody waits longer than `queue.timeout`, or shorter.
#[test]
fn waiting_ends_after_its_time() {
    within(secs(30), || {
        let limits = "limits: {connections: 1, excess: queue, queue: {size: 5, timeout: 500ms}}";
        let daemon = Setup::route("it", "builtin:echo", limits).start();
        let inside = enter(&daemon, "it");
        let waits = || {
            let (client, begun) = connect_timed(daemon.address("it"));
            assert_eq!(read_byte(&client), Err(End::Fin));
            assert!(begun.elapsed() >= ms(500), "ended after {:?}", begun.elapsed());
        };
        thread::scope(|scope| {
            for _ in 0..5 {
                scope.spawn(waits);
            }
        });
        for number in 2..=6 {
            assert_eq!(error_of(&daemon, number), "waited 500ms for a turn");
        }
        assert_eq!(ping(&inside), Ok(b'x'));
        drop(inside);
        daemon.wait_closed("it", 1, secs(5));
        drop(enter(&daemon, "it"));
    });
}

/// Who resets while waiting is out of the queue and the next one moves up; who has only sent all it has to say still waits.
#[test]
fn a_client_may_leave_the_queue_and_may_finish_in_it() {
    within(secs(30), || {
        let daemon = Setup::route("it", "builtin:echo", QUEUE_5).start();
        let inside = enter(&daemon, "it");
        let mut waiting = line_up(&daemon, 3, 2);
        let (last, mut finished, leaving) =
            (waiting.pop().unwrap(), waiting.pop().unwrap(), waiting.pop().unwrap());
        reset(leaving);
        let closed = daemon.wait_closed("it", 2, secs(5));
        assert_eq!((closed.text("ending"), closed.text("side")), ("peer-reset", "client"));
        finished.write_all(b"all I have to say").unwrap();
        shut(&finished);
        drop(inside);
        assert_eq!(read_all(&finished), (b"all I have to say".to_vec(), End::Fin));
        drop(finished);
        assert_eq!(ping(&last), Ok(b'x'));
        assert_eq!(wait_served(&daemon, 3), [1, 3, 4]);
    });
}

/// The limits of a route are its own.
#[test]
fn a_limit_is_never_shared_between_routes() {
    within(secs(30), || {
        let limits = "limits: {connections: 1, rate: 1/h, burst: 1}";
        let daemon = Setup::routes([
            route("it", "builtin:echo", limits),
            route("twin", "builtin:echo", limits),
            route("free", "builtin:echo", ""),
        ])
        .start();
        let _inside = enter(&daemon, "it");
        assert_eq!(read_byte(&connect(daemon.address("it"))), Err(End::Fin));
        let _first = enter(&daemon, "twin");
        assert_eq!(read_byte(&connect(daemon.address("twin"))), Err(End::Fin));
        for _ in 0..10 {
            drop(enter(&daemon, "free"));
        }
    });
}

/// Limits that are changed hold at once for those who come and for those who wait; who is inside stays.
#[test]
fn changed_limits_act_at_once() {
    within(secs(30), || {
        let daemon = Setup::route("it", "builtin:echo", QUEUE_5).admin().start();
        let api = daemon.api();
        let change = |limits: &str| {
            let body = format!("{{\"limits\": {limits}}}");
            api.patch("/v1/routes/it", &body).expect(200);
        };
        let inside = enter(&daemon, "it");
        let waiting = line_up(&daemon, 4, 2);
        change(r#"{"connections": 3}"#);
        // Both come in at once, and which of them is told of first is open.
        let mut served = wait_served(&daemon, 3);
        served.sort_unstable();
        assert_eq!(served, [1, 2, 3]);
        assert!(waiting[..2].iter().all(|client| ping(client) == Ok(b'x')));
        change(r#"{"connections": 1, "excess": null, "queue": null}"#);
        for (client, number) in waiting[2..].iter().zip(4..) {
            assert_eq!(read_byte(client), Err(End::Fin));
            assert_eq!(error_of(&daemon, number), "1 connection is open already");
        }
        assert_eq!(read_byte(&connect(daemon.address("it"))), Err(End::Fin));
        // There are more inside than there may be now, and they stay.
        assert!(waiting[..2].iter().chain([&inside]).all(|client| ping(client) == Ok(b'x')));
        change("null");
        let free: Vec<Client> = (0..5).map(|_| enter(&daemon, "it")).collect();
        change(r#"{"connections": 8}"#);
        assert_eq!(read_byte(&connect(daemon.address("it"))), Err(End::Fin));
        drop((free, inside));
    });
}

/// A client that is refused sees FIN also when it was sending, and what an admitted one was sent arrives to the last byte.
#[test]
fn a_refusal_destroys_nothing() {
    within(secs(30), || {
        const REPLY: u64 = 4 << 20;
        let upstream = Upstream::serve(|stream, _| {
            let _ = read_byte(&stream);
            send(&stream, DOWN, 0, REPLY);
        });
        let daemon = Setup::route("it", upstream.address, "limits: {connections: 1}").start();
        let mut admitted = connect(daemon.address("it"));
        wait_served(&daemon, 1);
        for _ in 0..20 {
            let client = connect(daemon.address("it"));
            send(&client, UP, 0, 100_000);
            shut(&client);
            assert_eq!(read_all(&client), (Vec::new(), End::Fin));
        }
        admitted.write_all(b"x").unwrap();
        assert_eq!(read_end(&admitted, DOWN, 0, ms(0)), (REPLY, End::Fin));
    });
}

/// Refused clients that do not go take few descriptors, and each of them is told at once.
#[test]
fn a_crowd_of_refused_clients_holds_few_descriptors() {
    within(secs(30), || {
        let daemon = Setup::route("it", "builtin:echo", "limits: {connections: 1}").start();
        let _inside = enter(&daemon, "it");
        let before = descriptors(daemon.pid());
        let crowd: Vec<Client> = (0..300).map(|_| connect(daemon.address("it"))).collect();
        assert!(crowd.iter().all(|client| read_byte(client) == Err(End::Fin)));
        eventually(ms(700), "most are gone", || descriptors(daemon.pid()) <= before + 64);
        eventually(secs(5), "all are gone", || descriptors(daemon.pid()) <= before);
    });
}

/// Whom a fault takes hangs on the number of the client, whether those before it came in or were refused.
#[test]
fn refused_clients_count_for_faults_and_feel_none() {
    within(secs(30), || {
        let rest = "limits: {connections: 1}, faults: [{drop: {skip: 4}}]";
        let daemon = Setup::route("it", "builtin:echo", rest).start();
        let inside = enter(&daemon, "it");
        for number in 2..=4 {
            assert_eq!(read_byte(&connect(daemon.address("it"))), Err(End::Fin));
            error_of(&daemon, number);
        }
        drop(inside);
        daemon.wait_closed("it", 1, secs(5));
        assert_eq!(read_all(&connect(daemon.address("it"))), (Vec::new(), End::Fin));
        assert_eq!(daemon.wait_closed("it", 5, secs(5)).text("ending"), "fault");
    });
}

/// Who waits can be told to end, and a stopping program still lets in whose turn comes.
#[test]
fn who_waits_can_be_ended_and_outlasts_the_begin_of_a_drain() {
    within(secs(30), || {
        let mut daemon = Setup::route("it", "builtin:echo", QUEUE_5).admin().start();
        let inside = enter(&daemon, "it");
        let waiting = line_up(&daemon, 2, 2);
        let listed = daemon.api().get("/v1/connections").expect(200);
        let id = listed["connections"][1]["id"].as_u64().unwrap();
        daemon.api().delete(&format!("/v1/connections/{id}?how=reset")).expect(204);
        assert_eq!(read_byte(&waiting[0]), Err(End::Reset));
        assert_eq!(daemon.wait_closed("it", 2, secs(5)).text("ending"), "control");
        daemon.signal(Signal::TERM);
        daemon.wait_for("it drains", secs(5), |event| event.text("event") == "drain.begun");
        drop(inside);
        assert_eq!(ping(&waiting[1]), Ok(b'x'));
        drop(waiting);
        assert_eq!(daemon.exit_code(secs(10)).0, Some(0));
    });
}

/// Time spent in the queue counts for the lifetime.
#[test]
fn a_lifetime_ends_the_waiting_too() {
    within(secs(30), || {
        let daemon =
            Setup::route("it", "builtin:echo", &format!("{QUEUE_5}, timeouts: {{lifetime: 700ms}}")).start();
        let _inside = enter(&daemon, "it");
        let _waiting = line_up(&daemon, 1, 2);
        // The first one's life ends first, and then it is the other's turn, for what is left of its own.
        assert_eq!(daemon.wait_closed("it", 1, secs(5)).text("ending"), "lifetime");
        assert_eq!(daemon.wait_closed("it", 2, secs(5)).text("ending"), "lifetime");
    });
}
