//! The resolver with a source that answers as it is told, under the paused clock.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{advance, sleep};

use super::*;

/// What the source does when it is asked.
#[derive(Clone, Debug)]
enum Reply {
    Found(Vec<IpAddr>),
    Fails,
    Panics,
}

/// A source. Names that begin with `hang` are never answered.
#[derive(Debug)]
struct Source {
    reply: Mutex<(Duration, Reply)>,
    asked: Mutex<Vec<String>>,
    under_way: AtomicUsize,
    most: AtomicUsize,
}

impl Source {
    fn new(reply: Reply) -> (Arc<Self>, Arc<Resolver>) {
        let source = Arc::new(Source {
            reply: Mutex::new((Duration::ZERO, reply)),
            asked: Mutex::default(),
            under_way: AtomicUsize::default(),
            most: AtomicUsize::default(),
        });
        let resolver = Resolver::new(source.clone());
        (source, resolver)
    }

    fn now(&self, reply: Reply) {
        self.after(0, reply);
    }

    fn after(&self, millis: u64, reply: Reply) {
        *self.reply.lock().unwrap() = (Duration::from_millis(millis), reply);
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl Resolve for Source {
    fn lookup<'a>(
        &'a self,
        name: &'a str,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>> {
        self.asked.lock().unwrap().push(name.to_owned());
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        Box::pin(async move {
            if name.starts_with("hang") {
                std::future::pending::<()>().await;
            }
            let (after, reply) = self.reply.lock().unwrap().clone();
            sleep(after).await;
            self.under_way.fetch_sub(1, Ordering::SeqCst);
            match reply {
                Reply::Found(found) => Ok(found),
                Reply::Fails => Err(io::Error::other("SERVFAIL")),
                Reply::Panics => panic!("a resolver that panics"),
            }
        })
    }
}

fn v4(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, last).into()
}

fn found(last: u8) -> Reply {
    Reply::Found(vec![v4(last)])
}

async fn ask(resolver: &Arc<Resolver>, name: &str) -> Result<Vec<IpAddr>, String> {
    let answer = resolver.addresses(&Arc::from(name)).await;
    answer.map(|found| found.to_vec()).map_err(|error| error.to_string())
}

async fn pass(millis: u64) {
    advance(Duration::from_millis(millis)).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_changes_is_seen_after_five_seconds_and_not_before() {
    let (source, resolver) = Source::new(found(1));
    assert_eq!(ask(&resolver, "db").await, Ok(vec![v4(1)]));
    source.now(found(2));
    pass(4_999).await;
    assert_eq!(ask(&resolver, "db").await, Ok(vec![v4(1)]));
    assert_eq!(source.asked(), 1);
    pass(1).await;
    assert_eq!(ask(&resolver, "db").await, Ok(vec![v4(2)]));
    assert_eq!(source.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failure_keeps_the_last_good_answer() {
    for failure in [Reply::Fails, Reply::Found(Vec::new()), Reply::Panics] {
        let (source, resolver) = Source::new(found(1));
        assert_eq!(ask(&resolver, "db").await, Ok(vec![v4(1)]));
        source.now(failure);
        pass(5_000).await;
        for _ in 0..100 {
            assert_eq!(ask(&resolver, "db").await, Ok(vec![v4(1)]));
        }
        assert_eq!(source.asked(), 2, "a flood of clients is one lookup");
        // However long it lasts.
        pass(24 * 3_600_000).await;
        assert_eq!(ask(&resolver, "db").await, Ok(vec![v4(1)]));
        source.now(found(2));
        pass(500).await;
        assert_eq!(ask(&resolver, "db").await, Ok(vec![v4(2)]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_without_an_answer_is_remembered_for_half_a_second() {
    let (source, resolver) = Source::new(Reply::Fails);
    assert_eq!(ask(&resolver, "db").await, Err("name not resolved: SERVFAIL".to_owned()));
    source.now(found(1));
    pass(499).await;
    assert_eq!(ask(&resolver, "db").await, Err("name not resolved: SERVFAIL".to_owned()));
    assert_eq!(source.asked(), 1);
    pass(1).await;
    assert_eq!(ask(&resolver, "db").await, Ok(vec![v4(1)]));
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_not_there_may_come() {
    let (source, resolver) = Source::new(Reply::Found(Vec::new()));
    assert_eq!(ask(&resolver, "db").await, Err("name not found".to_owned()));
    source.now(found(1));
    pass(500).await;
    assert_eq!(ask(&resolver, "db").await, Ok(vec![v4(1)]));
}

#[tokio::test(start_paused = true)]
async fn the_old_answer_stands_in_for_one_that_takes_longer_than_a_second() {
    let (source, resolver) = Source::new(found(1));
    assert_eq!(ask(&resolver, "db").await, Ok(vec![v4(1)]));
    source.after(10_000, found(2));
    pass(5_000).await;
    let begun = Instant::now();
    let early = tokio::spawn({
        let resolver = resolver.clone();
        async move { ask(&resolver, "db").await }
    });
    sleep(Duration::from_millis(700)).await;
    // The second is the lookup's, not each caller's.
    assert_eq!(ask(&resolver, "db").await, Ok(vec![v4(1)]));
    assert_eq!(begun.elapsed(), Duration::from_secs(1));
    assert_eq!(early.await.unwrap(), Ok(vec![v4(1)]));
    assert_eq!(ask(&resolver, "db").await, Ok(vec![v4(1)]));
    assert_eq!(begun.elapsed(), Duration::from_secs(1));
    // The lookup has gone on behind.
    sleep(Duration::from_millis(9_001)).await;
    assert_eq!(ask(&resolver, "db").await, Ok(vec![v4(2)]));
    assert_eq!((begun.elapsed(), source.asked()), (Duration::from_millis(10_001), 2));
}

#[tokio::test(start_paused = true)]
async fn a_new_answer_within_the_second_is_waited_for() {
    let (source, resolver) = Source::new(found(1));
    assert_eq!(ask(&resolver, "db").await, Ok(vec![v4(1)]));
    source.after(900, found(2));
    pass(5_000).await;
    let begun = Instant::now();
    assert_eq!(ask(&resolver, "db").await, Ok(vec![v4(2)]));
    assert_eq!(begun.elapsed(), Duration::from_millis(900));
}

#[tokio::test(start_paused = true)]
async fn whoever_has_no_old_answer_waits_on() {
    let (source, resolver) = Source::new(found(1));
    source.after(30_000, found(1));
    let begun = Instant::now();
    assert_eq!(ask(&resolver, "db").await, Ok(vec![v4(1)]));
    assert_eq!(begun.elapsed(), Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_hundred_callers_are_one_lookup() {
    let (source, resolver) = Source::new(found(1));
    source.after(200, found(1));
    let mut callers = JoinSet::new();
    for i in 0..100 {
        let resolver = resolver.clone();
        // Names are the same whatever their case.
        let name = if i % 2 == 0 { "db.internal" } else { "DB.Internal" };
        callers.spawn(async move { ask(&resolver, name).await });
    }
    assert!(callers.join_all().await.into_iter().all(|answer| answer == Ok(vec![v4(1)])));
    assert_eq!(*source.asked.lock().unwrap(), ["db.internal"]);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_cancels_nothing() {
    let (source, resolver) = Source::new(found(1));
    source.after(3_000, found(1));
    assert!(tokio::time::timeout(Duration::from_secs(1), ask(&resolver, "db")).await.is_err());
    source.now(found(2));
    sleep(Duration::from_secs(2)).await;
    assert_eq!(ask(&resolver, "db").await, Ok(vec![v4(1)]));
    assert_eq!(source.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lookup_that_hangs_holds_up_no_other_name() {
    let (_, resolver) = Source::new(found(1));
    let hanging = tokio::spawn({
        let resolver = resolver.clone();
        async move { ask(&resolver, "hanging").await }
    });
    let begun = Instant::now();
    for name in ["db", "cache", "web"] {
        assert_eq!(ask(&resolver, name).await, Ok(vec![v4(1)]));
    }
    assert!(begun.elapsed().is_zero() && !hanging.is_finished());
}

#[tokio::test(start_paused = true)]
async fn lookups_under_way_are_bounded() {
    let (source, resolver) = Source::new(found(1));
    source.after(100, found(1));
    let begun = Instant::now();
    let mut callers = JoinSet::new();
    for i in 0..100 {
        let resolver = resolver.clone();
        callers.spawn(async move { ask(&resolver, &format!("name-{i}")).await });
    }
    assert!(callers.join_all().await.into_iter().all(|answer| answer.is_ok()));
    assert_eq!((source.most.load(Ordering::SeqCst), source.asked()), (32, 100));
    assert_eq!(begun.elapsed(), Duration::from_millis(400));
}

#[tokio::test(start_paused = true)]
async fn known_names_are_served_while_all_lookups_hang() {
    let (source, resolver) = Source::new(found(1));
    assert_eq!(ask(&resolver, "db").await, Ok(vec![v4(1)]));
    let mut callers = JoinSet::new();
    for i in 0..32 {
        let resolver = resolver.clone();
        callers.spawn(async move { ask(&resolver, &format!("hang-{i}")).await });
    }
    sleep(Duration::from_secs(5)).await;
    assert_eq!(source.asked(), 33);
    let begun = Instant::now();
    assert_eq!(ask(&resolver, "db").await, Ok(vec![v4(1)]));
    assert_eq!((begun.elapsed(), source.asked()), (Duration::from_secs(1), 33));
}

#[tokio::test(start_paused = true)]
async fn a_lookup_that_panics_or_vanishes_leaves_nobody_waiting() {
    let (source, resolver) = Source::new(Reply::Panics);
    assert_eq!(ask(&resolver, "db").await, Err("name not resolved: the lookup broke off".to_owned()));
    source.now(found(1));
    pass(500).await;
    assert_eq!(ask(&resolver, "db").await, Ok(vec![v4(1)]));

    let name: Arc<str> = "cache".into();
    let Found::Wanted { lands, .. } = resolver.known().find(&name, Instant::now()) else {
        panic!("nobody has asked for it");
    };
    let lookup = Lookup { resolver: resolver.clone(), name, lands, answer: None };
    let waiting = tokio::spawn({
        let resolver = resolver.clone();
        async move { ask(&resolver, "cache").await }
    });
    tokio::task::yield_now().await;
    drop(lookup.run());
    assert!(waiting.await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn sixty_four_addresses_are_kept_each_once() {
    let sixes = |n: u16| (1..=n).map(|i| Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, i).into());
    let fours = |n: u8| (1..=n).map(v4);

    let all: Vec<IpAddr> = fours(64).collect();
    let (source, resolver) = Source::new(Reply::Found(all.clone()));
    assert_eq!(ask(&resolver, "sixty-four").await, Ok(all.clone()));
    source.now(Reply::Found(all.iter().flat_map(|ip| [*ip, *ip]).collect()));
    assert_eq!(ask(&resolver, "twice").await, Ok(all));

    source.now(Reply::Found(fours(200).collect()));
    assert_eq!(ask(&resolver, "many").await, Ok(fours(64).collect()));
    source.now(Reply::Found(sixes(100).chain(fours(100)).collect()));
    let both = ask(&resolver, "of-both").await.unwrap();
    assert_eq!((both.len(), both.iter().filter(|ip| ip.is_ipv4()).count()), (64, 32));
    assert!(both[0].is_ipv6());
}
