//! 32 writers at once: no deadlock, every reply fits some order of the changes, and no port is left behind.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use support::*;

const WRITERS: u64 = 32;
const CHANGES: u64 = 10_000;
const ROUTES: u64 = 8;

/// What a writer asked for, when, and what came of it.
#[derive(Clone, Copy, Debug)]
struct Call {
    route: u64,
    what: What,
    status: u16,
    from: Duration,
    to: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    Create,
    Remove,
    Patch,
    AddFault,
    RemoveFault,
    Close,
    Open,
    Look,
}

/// A small generator: the same for every run, whatever the other writers do.
struct Draws(u64);

impl Draws {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap()
}

fn call(api: Api, draws: &mut Draws) -> Call {
    use What::*;
    let route = draws.below(ROUTES);
    let path = format!("/v1/routes/r{route}");
    let what = [Create, Create, Remove, Patch, Patch, AddFault, RemoveFault, Close, Open, Look]
        [draws.below(10) as usize];
    let from = now();
    let answer = match what {
        Create => {
            let body = format!(
                "{{\"name\": \"r{route}\", \"localPort\": \"auto\", \"upstream\": \"builtin:echo\"}}"
            );
            api.post("/v1/routes", &body)
        }
        Remove => api.delete(&path),
        Patch => api.patch(&path, &format!("{{\"latencyMs\": {}}}", draws.below(1000))),
        AddFault => api.post(&format!("{path}/faults"), "{\"noop\": {\"name\": \"noop\"}}"),
        RemoveFault => api.delete(&format!("{path}/faults/noop")),
        Close => api.post(&format!("{path}/close"), "{\"connections\": \"reset\"}"),
        Open => api.post(&format!("{path}/open"), ""),
        Look => api.get(&path),
    };
    Call { route, what, status: answer.status, from, to: now() }
}

#[test]
fn thirty_two_writers_and_every_reply_fits_one_order() {
    within(secs(120), || {
        let _alone = heavy();
        let mut daemon = Setup::route("base", "builtin:echo", "").top("drainTimeout: 1s").admin().start();
        let api = daemon.api();
        let before = descriptors(daemon.pid());
        let (left, calls) = (Arc::new(AtomicU64::new(CHANGES)), Arc::new(Mutex::new(Vec::new())));
        let writers: Vec<_> = (1..=WRITERS)
            .map(|writer| {
                let (left, calls) = (left.clone(), calls.clone());
                std::thread::spawn(move || {
                    let mut draws = Draws(writer.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                    while left
                        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
                        .is_ok()
                    {
                        let call = call(api, &mut draws);
                        calls.lock().unwrap().push(call);
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        let calls = calls.lock().unwrap().clone();
        let last = api.get("/v1/status").expect(200)["generation"].as_u64().unwrap();
        let applied = daemon.events.wait_for_n(last as usize, "all changes are told", secs(20), |event| {
            event.text("event") == "config.applied"
        });
        check_order(&applied, &calls, api);

        for route in api.get("/v1/routes").expect(200)["routes"].as_array().unwrap() {
            api.delete(&format!("/v1/routes/{}?connections=reset", route["name"].as_str().unwrap()))
                .expect(204);
        }
        eventually(secs(10), "only the control API listens", || {
            listening_ports(daemon.pid()).into_iter().collect::<Vec<_>>() == [api.0.port()]
        });
        eventually(secs(10), "descriptors are as before", || descriptors(daemon.pid()) <= before + 2);
        daemon.signal(rustix::process::Signal::TERM);
        assert_eq!(daemon.exit_code(secs(5)).0, Some(0));
    });
}

/// Plays the changes in the order of their generations and holds every reply against what was the case meanwhile.
fn check_order(applied: &[Event], calls: &[Call], api: Api) {
    /// From the change itself to the time in its event.
    const SLACK: Duration = Duration::from_millis(5);
    // For each route since when it has been there or not.
    let mut there: BTreeMap<u64, Vec<(Duration, bool)>> =
        (0..ROUTES).map(|route| (route, vec![(Duration::ZERO, false)])).collect();
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for (n, event) in applied.iter().enumerate() {
        assert_eq!(event.number("generation"), n as u64 + 1, "generations follow each other");
        let at = timestamp(event.text("time"));
        for change in
            event.fields["changes"].as_array().into_iter().flatten().filter_map(|change| change.as_str())
        {
            let route = |text: &str| text.trim_start_matches('r').parse::<u64>().unwrap();
            if let Some(name) = change.strip_prefix("+ route ") {
                let line = there.get_mut(&route(name)).unwrap();
                assert!(!line.last().unwrap().1, "{change} when it was there: {event:?}");
                line.push((at, true));
                *count.entry("created").or_default() += 1;
            } else if let Some(name) = change.strip_prefix("- route ") {
                let line = there.get_mut(&route(name)).unwrap();
                assert!(line.last().unwrap().1, "{change} when it was not there: {event:?}");
                line.push((at, false));
                *count.entry("removed").or_default() += 1;
            }
        }
    }
    // Faults: one can be taken away only where one was added before, on a route that has not gone since.
    let mut has_fault = [false; ROUTES as usize];
    for event in applied {
        for change in
            event.fields["changes"].as_array().into_iter().flatten().filter_map(|change| change.as_str())
        {
            let mut words = change.split(' ');
            let (first, second, third) =
                (words.next().unwrap(), words.next().unwrap(), words.next().unwrap_or_default());
            let index = |name: &str| name.trim_start_matches('r').parse::<usize>().unwrap();
            match (first, second, third) {
                ("-", "route", name) => has_fault[index(name)] = false,
                (name, "+", "noop") => {
                    assert!(!std::mem::replace(&mut has_fault[index(name)], true), "{event:?}");
                    *count.entry("added").or_default() += 1;
                }
                (name, "-", "noop") => {
                    assert!(std::mem::replace(&mut has_fault[index(name)], false), "{event:?}");
                    *count.entry("taken").or_default() += 1;
                }
                _ => {}
            }
        }
    }
    let told = |what: What, status: u16| {
        calls.iter().filter(|call| call.what == what && call.status == status).count()
    };
    assert_eq!(count.get("created").copied().unwrap_or(0), told(What::Create, 201));
    assert_eq!(count.get("removed").copied().unwrap_or(0), told(What::Remove, 204));
    assert_eq!(count.get("added").copied().unwrap_or(0), told(What::AddFault, 201));
    assert_eq!(count.get("taken").copied().unwrap_or(0), told(What::RemoveFault, 204));
    assert!(told(What::RemoveFault, 204) > 50 && told(What::AddFault, 409) > 10, "and their faults too");
    assert!(told(What::Create, 201) > 100 && told(What::Create, 409) > 100, "the writers met each other");

    for call in calls {
        let was = |wanted: bool| {
            let line = &there[&call.route];
            let next = line.iter().skip(1).map(|(at, _)| *at).chain([Duration::MAX]);
            line.iter().zip(next).any(|((since, is), until)| {
                *is == wanted
                    && since.saturating_sub(SLACK) <= call.to
                    && until >= call.from.saturating_sub(SLACK)
            })
        };
        let fits = match (call.what, call.status) {
            (What::Create, 201) | (_, 404) if call.what != What::RemoveFault => was(false),
            (What::RemoveFault, 404) => true,
            (What::Create, 409) => was(true),
            (What::Look | What::Patch | What::Close | What::Open, 200)
            | (What::Remove | What::RemoveFault, 204) => was(true),
            (What::AddFault, 201 | 409) => was(true),
            _ => false,
        };
        assert!(fits, "{call:?} fits no order: {:?}", there[&call.route]);
    }
    let listed = api.get("/v1/routes").expect(200);
    let names: Vec<&str> =
        listed["routes"].as_array().unwrap().iter().map(|route| route["name"].as_str().unwrap()).collect();
    for (route, line) in &there {
        assert_eq!(names.contains(&format!("r{route}").as_str()), line.last().unwrap().1);
    }
}

/// `2026-11-20T12:00:00.123456Z`, since the epoch, good enough within one run: days are counted, leap years kept.
fn timestamp(text: &str) -> Duration {
    let number = |range: std::ops::Range<usize>| text[range].parse::<u64>().unwrap();
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    // Days by the civil calendar, counted from March, so that the leap day is a year's last.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 719_468;
    let seconds = days * 86_400 + number(11..13) * 3600 + number(14..16) * 60 + number(17..19);
    Duration::from_secs(seconds) + Duration::from_micros(number(20..26))
}
