//! The health of an endpoint: it is asked again and again, and the answers in a row decide. How they do is the
//! [`Verdict`]'s, what is asked is [`probe`]'s; here is when.
//!
//! It is asked at once and then every interval, counted from question to question. There is never more than one question
//! open: one that takes longer than the interval holds up the next. A question for which there is no descriptor is not asked.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::member::Surroundings;
use super::probe::probe;
use super::verdict::Verdict;
use super::{Address, HealthConfig};
use crate::observe::{Fact, Health};
use crate::relay::close;

/// The health checks of an endpoint.
#[derive(Debug)]
pub(super) struct Checks {
    config: HealthConfig,
    address: Address,
    /// What the endpoint is called in what is told.
    name: Arc<str>,
    around: Surroundings,
    /// Whether it is down, for those who only want to know that.
    down: AtomicBool,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    verdict: Verdict,
    seen: Seen,
    /// Which run it is: an answer to a question of an earlier one is not heard.
    run: u64,
    asking: bool,
    /// The task of this run, or of the last one.
    task: Option<JoinHandle<()>>,
}

/// What is known of an endpoint's health.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Whether it is well.
    pub(super) health: Health,
    /// What the last bad answer was, while it is down.
    pub(super) error: Option<Arc<str>>,
    /// Good answers so far.
    pub(super) good: u64,
    /// Bad answers so far.
    pub(super) bad: u64,
}

impl Checks {
    /// For an endpoint, which is called `name` in what is told; not asking yet.
    pub(super) fn new(
        config: HealthConfig,
        address: Address,
        name: Arc<str>,
        around: &Surroundings,
    ) -> Arc<Self> {
        let verdict = Verdict::new(&config);
        let known = Known { verdict, seen: Seen::default(), run: 0, asking: false, task: None };
        let (around, down, known) = (around.clone(), AtomicBool::default(), Mutex::new(known));
        Arc::new(Checks { config, address, name, around, down, known })
    }

    /// What it is built from.
    pub(super) fn config(&self) -> &HealthConfig {
        &self.config
    }

    /// Asks at once, and then regularly; what was known before is forgotten. Nothing happens if it does so already.
    pub(super) fn start(self: &Arc<Self>) {
        let mut known = self.known();
        if known.asking {
            return;
        }
        known.asking = true;
        known.run += 1;
        known.verdict = Verdict::new(&self.config);
        known.seen = Seen { good: known.seen.good, bad: known.seen.bad, ..Seen::default() };
        self.down.store(false, Ordering::Release);
        let before = known.task.take();
        let questions = ask_on(Arc::downgrade(self), known.run, before);
        known.task = Some(self.around.emitter.spawn(questions));
    }

    /// Asks no more, for now. What was known last stays, for those connections that have still to be made.
    pub(super) fn rest(&self) {
        let mut known = self.known();
        if !std::mem::take(&mut known.asking) {
            return;
        }
        known.run += 1;
        if let Some(task) = &known.task {
            task.abort();
        }
    }

    /// What is known.
    pub(super) fn seen(&self) -> Seen {
        self.known().seen.clone()
    }

    /// Whether it is down.
    pub(super) fn is_down(&self) -> bool {
        self.down.load(Ordering::Acquire)
    }

    /// Takes an answer in, if it is still wanted.
    fn heard(&self, run: u64, asked: Instant, answer: Result<(), String>) {
        let mut known = self.known();
        if known.run != run {
            return;
        }
        let changed = known.verdict.answer(answer.is_ok(), asked);
        let error = answer.err().map(Arc::from);
        let health = known.verdict.health();
        let seen = &mut known.seen;
        seen.health = health;
        match &error {
            None => seen.good = seen.good.saturating_add(1),
            Some(_) => seen.bad = seen.bad.saturating_add(1),
        }
        match health {
            // A good answer on the way up does not yet outdate what took it down.
            Health::Down => seen.error = error.clone().or_else(|| seen.error.take()),
            Health::Up | Health::Unknown => seen.error = None,
        }
        if changed.is_some() {
            self.down.store(health == Health::Down, Ordering::Release);
            let (route, upstream) = (self.around.route.clone(), self.name.clone());
            // Under the lock, so that it is told before anything that comes of it.
            self.around.tell(Fact::HealthChanged { route, upstream, health, error });
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Checks {
    fn drop(&mut self) {
        if let Some(task) = &self.known().task {
            task.abort();
        }
    }
}

/// Asks until nobody wants to know any more.
async fn ask_on(checks: Weak<Checks>, run: u64, before: Option<JoinHandle<()>>) {
    // The question of the run before may be open for a moment still.
    if let Some(before) = before {
        before.abort();
        let _ = before.await;
    }
    let Some((around, address, config)) =
        checks.upgrade().map(|checks| (checks.around.clone(), checks.address.clone(), checks.config.clone()))
    else {
        return;
    };
    let questions = async {
        loop {
            let asked = Instant::now();
            if let Some(leave) = around.descriptors.take_for_check() {
                let http = config.http.as_ref();
                let until = asked + config.timeout;
                let (answer, open) = probe(&around.dialer, &address, http, around.header, until).await;
                match checks.upgrade() {
                    Some(checks) => checks.heard(run, asked, answer),
                    None => return,
                }
                // By FIN, so that the endpoint has no reset to complain of; the next question does not wait for that.
                if let Some(open) = open {
                    let _ = timeout_at(until.min(asked + config.interval), close(open)).await;
                }
                drop(leave);
            }
            sleep_until(asked + config.interval).await;
        }
    };
    tokio::select! {
        biased;
        () = around.stopping.cancelled() => {}
        () = questions => {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncReadExt;

    use super::super::lab::{Leaves, around, eventually, listener};
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(20);

    fn checks(address: Address, timeout: Duration, around: &Surroundings) -> Arc<Checks> {
        let config = HealthConfig { interval: INTERVAL, timeout, rise: 2, fall: 3, http: None };
        Checks::new(config, address, "it:1".into(), around)
    }

    #[tokio::test]
    async fn an_endpoint_that_goes_and_comes_is_seen_to() {
        let (up, address) = listener();
        let at = up.local_addr().unwrap();
        let around = around(Leaves::new(10));
        let checks = checks(address, Duration::from_secs(5), &around);
        assert_eq!((checks.seen().health, checks.is_down()), (Health::Unknown, false));
        checks.start();
        eventually("it is up", || checks.seen().health == Health::Up).await;
        drop(up);
        eventually("it is down", || checks.is_down()).await;
        let seen = checks.seen();
        assert_eq!((seen.health, seen.error.as_deref()), (Health::Down, Some("connection refused")));
        assert!(seen.good >= 1 && seen.bad >= 3, "{seen:?}");
        let _up = tokio::net::TcpListener::bind(at).await.unwrap();
        eventually("it is up again", || !checks.is_down()).await;
        assert_eq!(checks.seen().error, None);
    }

    #[tokio::test]
    async fn at_rest_nobody_asks_and_a_new_start_knows_nothing_yet() {
        let (listener, address) = listener();
        let around = around(Leaves::new(10));
        let checks = checks(address, Duration::from_secs(5), &around);
        for _ in 0..3 {
            checks.start();
            checks.start();
            eventually("it is up", || checks.seen().health == Health::Up).await;
            checks.rest();
            assert_eq!(checks.seen().health, Health::Up);
            falls_silent(&listener).await;
        }
        checks.start();
        assert_eq!(checks.seen().health, Health::Unknown);
        let is_asked = tokio::time::timeout(Duration::from_secs(20), listener.accept()).await;
        assert!(is_asked.is_ok());
        drop(checks);
        falls_silent(&listener).await;
    }

    /// What was asked before is still to be accepted, and no more comes.
    async fn falls_silent(listener: &tokio::net::TcpListener) {
        for _ in 0..100 {
            if tokio::time::timeout(INTERVAL * 5, listener.accept()).await.is_err() {
                return;
            }
        }
        panic!("it is asked on and on");
    }

    #[tokio::test]
    async fn one_question_at_a_time_and_none_while_the_program_stops() {
        let (listener, address) = listener();
        let (leaves, check) =
            (Leaves::new(10), super::super::HttpCheck { path: "/".to_owned(), status: 200, host: None });
        let around = around(leaves.clone());
        let config =
            HealthConfig { interval: INTERVAL, timeout: INTERVAL * 5, rise: 1, fall: 1, http: Some(check) };
        let checks = Checks::new(config, address, "it:1".into(), &around);
        checks.start();
        let mut open = None;
        for _ in 0..4 {
            let (mut next, _) = listener.accept().await.unwrap();
            assert!(leaves.left() >= 9, "one at a time");
            // It takes the question and never answers. The one before was given up before this one was asked.
            let before: Option<tokio::net::TcpStream> = open.take();
            if let Some(mut before) = before {
                let mut question = Vec::new();
                let ended = before.read_to_end(&mut question);
                let ended = tokio::time::timeout(Duration::from_secs(5), ended).await;
                assert!(ended.is_ok(), "the last question is over");
            }
            next.read_exact(&mut [0]).await.unwrap();
            open = Some(next);
        }
        assert_eq!(checks.seen().error.as_deref(), Some("no answer in time"));
        around.stopping.cancel();
        let ended = open.as_mut().unwrap().read_to_end(&mut Vec::new()).await;
        assert!(ended.is_ok());
        eventually("the leave is given back", || leaves.left() == 10).await;
        assert!(tokio::time::timeout(INTERVAL * 10, listener.accept()).await.is_err());
    }

    #[tokio::test]
    async fn a_question_without_a_descriptor_is_not_asked_and_changes_nothing() {
        let (listener, address) = listener();
        let leaves = Leaves::new(1);
        let taken = leaves.0.clone().try_acquire_owned().unwrap();
        let checks = checks(address, Duration::from_secs(5), &around(leaves));
        checks.start();
        assert!(tokio::time::timeout(INTERVAL * 5, listener.accept()).await.is_err());
        assert_eq!((checks.seen().health, checks.seen().bad), (Health::Unknown, 0));
        drop(taken);
        eventually("it is up", || checks.seen().health == Health::Up).await;
    }
}
