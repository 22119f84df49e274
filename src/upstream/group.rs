//! An upstream while it runs: which endpoint a connection goes to, and which one next when that fails.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::time::{Instant, timeout_at};

use super::balance::Balancer;
use super::builtin::BuiltinStream;
use super::member::{Member, Seat, Surroundings};
use super::{DialError, Endpoint, EndpointView, Link, UpstreamConfig, WhenAllDown};
use crate::fault::dice::Dice;
use crate::observe::ConnectResult;
use crate::relay::{self, send_all};

/// An endpoint has at least so much time to answer, where there is so much: a handshake whose first packet is lost takes a second.
const LEAST_SHARE: Duration = Duration::from_secs(1);

/// An upstream while it runs.
#[derive(Debug)]
pub struct Upstream {
    config: UpstreamConfig,
    /// Its endpoints in words.
    name: Arc<str>,
    members: Vec<Arc<Member>>,
    balancer: Balancer,
    around: Surroundings,
}

/// Who is there when an endpoint is dialled: says what goes wrong with it, and hears what came of it.
pub trait Witness: Send + Sync {
    /// An endpoint is about to be dialled. What is to go wrong, in order.
    fn dialling(&self, endpoint: &Endpoint) -> Vec<Mishap>;

    /// It was not reached; perhaps there is another.
    fn failed(&self, endpoint: &Arc<str>, after: Duration, error: &DialError);
}

/// What goes wrong with a dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// It takes so much longer.
    Wait(Duration),
    /// It is refused, and the endpoint not contacted.
    Refuse,
}

/// An endpoint that was reached.
pub struct Reached {
    /// The way to it.
    pub link: Link,
    /// Which one.
    pub endpoint: Endpoint,
    /// The same in words.
    pub name: Arc<str>,
    /// How long it took to reach this one.
    pub after: Duration,
    /// Its place there, to be kept as long as the connection is.
    pub seat: Seat,
}

/// Why no endpoint was reached.
#[derive(Debug, Error)]
pub enum Unreached {
    /// The last one that was dialled failed so.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// None was dialled: health calls all of them down.
    #[error("no endpoint is up")]
    AllDown,
    /// None was dialled: their breakers are open.
    #[error("breaker open")]
    LeftAlone,
}

impl Unreached {
    /// Whether time ran out.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Unreached::Dial(error) if error.result() == ConnectResult::Timeout)
    }
}

impl Upstream {
    /// An upstream that keeps what it can of the one that was before. It does not ask after anybody's health yet.
    pub fn new(config: &UpstreamConfig, around: Surroundings, before: Option<&Upstream>) -> Arc<Self> {
        let known = |endpoint: &Endpoint| {
            before.and_then(|before| before.members.iter().find(|member| member.endpoint == *endpoint))
        };
        let members = config
            .endpoints
            .iter()
            .map(|target| {
                Member::new(&target.endpoint, config, &around, known(&target.endpoint).map(|known| &**known))
            })
            .collect();
        let weights = config.endpoints.iter().map(|target| target.weight).collect();
        Arc::new(Upstream {
            config: config.clone(),
            name: config.to_string().into(),
            members,
            balancer: Balancer::new(config.balance, weights),
            around,
        })
    }

    /// Its endpoints in words.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Asks after the health of its endpoints and fills their pools from now on, where that is wanted.
    pub fn start(&self) {
        self.members.iter().for_each(|member| member.start());
    }

    /// Does neither, for now.
    pub fn rest(&self) {
        self.members.iter().for_each(|member| member.rest());
    }

    /// Ends what `next`, which takes its place, has not taken over.
    pub fn give_way(&self, next: &Upstream) {
        for member in &self.members {
            let next = next.members.iter().find(|next| next.endpoint == member.endpoint);
            member.give_way(next.map(|next| &**next));
        }
    }

    /// Its endpoints as they are.
    pub fn endpoints(&self) -> Vec<EndpointView> {
        self.members.iter().map(|member| member.view()).collect()
    }

    /// Reaches an endpoint before `until`: the first that can be reached, in the order that the balance gives. `dice` are the
    /// connection's; `header` is sent ahead of everything.
    pub async fn reach(
        &self,
        dice: &Dice,
        until: Instant,
        header: &[u8],
        witness: &impl Witness,
    ) -> Result<Reached, Unreached> {
        let Candidates { order, forced } = self.candidates(dice)?;
        let may_be_tried = |member: &Member| forced || !member.is_down();
        let mut failure = None;
        for (i, member) in order.iter().enumerate() {
            // Health may have changed while those before it were dialled.
            if !may_be_tried(member) {
                failure.get_or_insert(Unreached::AllDown);
                continue;
            }
            let Some(pass) = member.pass() else {
                failure.get_or_insert(Unreached::LeftAlone);
                continue;
            };
            let behind = order.iter().skip(i + 1);
            let left = behind.filter(|next| may_be_tried(next) && !next.is_left_alone()).count();
            let started = Instant::now();
            let seat = member.seat();
            match attempt(&self.around, member, share(until, started, left), header, witness).await {
                Ok(Attempt { link, pooled, held }) => {
                    // One that was opened long ago says nothing about the endpoint now.
                    if let Some(pass) = pass.filter(|_| !pooled) {
                        pass.succeeded();
                    }
                    let (endpoint, name) = (member.endpoint.clone(), member.name.clone());
                    let after = if endpoint.is_builtin() { held } else { started.elapsed() };
                    return Ok(Reached { link, endpoint, name, after, seat });
                }
                Err(error) => {
                    if let Some(pass) = pass {
                        pass.failed(&error.to_string());
                    }
                    witness.failed(&member.name, started.elapsed(), &error);
                    failure = Some(error.into());
                }
            }
        }
        Err(failure.unwrap_or(Unreached::LeftAlone))
    }

    /// The endpoints that a connection may try, in order.
    fn candidates(&self, dice: &Dice) -> Result<Candidates<'_>, Unreached> {
        let is_up = |i: &usize| self.members.get(*i).is_some_and(|member| !member.is_down());
        let mut among: Vec<usize> = (0..self.members.len()).filter(is_up).collect();
        let forced = among.is_empty();
        if forced {
            match self.config.when_all_down {
                WhenAllDown::Try => among = (0..self.members.len()).collect(),
                WhenAllDown::Refuse => return Err(Unreached::AllDown),
            }
        }
        let dice = dice.name("balance");
        let draw =
            |i: usize| self.members.get(i).map_or(0.0, |member| dice.name(&member.name).draws().unit());
        let load = |i: usize| self.members.get(i).map_or(0, |member| member.connections());
        let order = self.balancer.order(among, draw, load);
        let order = order.into_iter().filter_map(|i| self.members.get(i)).collect();
        Ok(Candidates { order, forced })
    }
}

/// Whom a connection may try.
struct Candidates<'a> {
    order: Vec<&'a Arc<Member>>,
    /// They are tried although health calls all of them down.
    forced: bool,
}

/// Until when an endpoint may take its time. One that does not answer may not use up the time of those behind it; but what is
/// left for each may not become too short for a handshake either.
fn share(until: Instant, now: Instant, behind: usize) -> Instant {
    let time = until.saturating_duration_since(now);
    let each = time / u32::try_from(behind).unwrap_or(u32::MAX).saturating_add(1);
    now + each.max(LEAST_SHARE).min(time)
}

/// An endpoint that was reached.
struct Attempt {
    link: Link,
    /// It had been opened ahead of need.
    pooled: bool,
    /// How long a mishap held it.
    held: Duration,
}

/// Dials one endpoint.
async fn attempt(
    around: &Surroundings,
    member: &Member,
    until: Instant,
    header: &[u8],
    witness: &impl Witness,
) -> Result<Attempt, DialError> {
    let mut held = Duration::ZERO;
    for mishap in witness.dialling(&member.endpoint) {
        match mishap {
            Mishap::Wait(time) => {
                let over = relay::until(Instant::now() + time);
                timeout_at(until, over).await.map_err(|_| DialError::Timeout)?;
                held += time;
            }
            Mishap::Refuse => return Err(DialError::refused()),
        }
    }
    let address = match &member.endpoint {
        Endpoint::Builtin(builtin) => {
            let link = Link::Builtin(BuiltinStream::new(*builtin));
            return Ok(Attempt { link, pooled: false, held });
        }
        Endpoint::Address(address) => address,
    };
    // One that breaks at the first byte was dead already: the next one, at last a new one, takes its place.
    while let Some(stream) = member.pooled() {
        if in_time(until, send_all(&stream, header)).await.is_ok() {
            return Ok(Attempt { link: Link::Tcp(stream), pooled: true, held });
        }
    }
    let stream = around.dialer.connect(address, until).await?;
    in_time(until, send_all(&stream, header)).await?;
    Ok(Attempt { link: Link::Tcp(stream), pooled: false, held })
}

async fn in_time<T>(until: Instant, work: impl Future<Output = std::io::Result<T>>) -> Result<T, DialError> {
    match timeout_at(until, work).await {
        Ok(done) => done.map_err(DialError::Connect),
        Err(_) => Err(DialError::Timeout),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::lab::{Leaves, around};
    use super::*;
    use crate::upstream::Balance;

    /// What goes wrong with an endpoint, and what was told.
    #[derive(Default)]
    struct Script {
        mishaps: Vec<(&'static str, Mishap)>,
        told: Mutex<Vec<String>>,
    }

    impl Witness for Script {
        fn dialling(&self, endpoint: &Endpoint) -> Vec<Mishap> {
            let name = endpoint.to_string();
            self.mishaps.iter().filter(|(of, _)| *of == name).map(|(_, mishap)| *mishap).collect()
        }

        fn failed(&self, endpoint: &Arc<str>, after: Duration, error: &DialError) {
            self.told.lock().unwrap().push(format!("{endpoint}: {error} after {after:?}"));
        }
    }

    /// The three endpoints are builtins: they can always be reached, and only a mishap stands in the way.
    fn three(balance: Balance) -> Arc<Upstream> {
        let endpoints = ["builtin:echo", "builtin:http", "builtin:discard"].map(|text| text.parse().unwrap());
        let config = UpstreamConfig { balance, ..UpstreamConfig::from(endpoints.to_vec()) };
        Upstream::new(&config, around(Leaves::new(9)), None)
    }

    async fn reach(upstream: &Upstream, script: &Script, connection: u64) -> Result<Reached, Unreached> {
        let until = Instant::now() + Duration::from_secs(6);
        upstream.reach(&Dice::new(7).number(connection), until, &[], script).await
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_refuses_is_followed_by_the_next() {
        let script = Script { mishaps: vec![("builtin:echo", Mishap::Refuse)], ..Script::default() };
        let reached = reach(&three(Balance::First), &script, 1).await.unwrap();
        assert_eq!((&*reached.name, reached.after), ("builtin:http", Duration::ZERO));
        assert_eq!(*script.told.lock().unwrap(), ["builtin:echo: connection refused after 0ns"]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_does_not_answer_leaves_time_for_those_behind_it() {
        let wait = Mishap::Wait(Duration::from_secs(60));
        let mishaps = vec![("builtin:echo", wait), ("builtin:http", wait)];
        let script = Script { mishaps, ..Script::default() };
        let started = Instant::now();
        let reached = reach(&three(Balance::First), &script, 1).await.unwrap();
        assert_eq!((&*reached.name, started.elapsed().as_secs()), ("builtin:discard", 4));
        assert_eq!(script.told.lock().unwrap()[1], "builtin:http: no answer in time after 2s");
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_fail_the_time_is_kept_and_the_last_failure_is_the_reason() {
        let all = ["builtin:echo", "builtin:http", "builtin:discard"];
        let script = Script {
            mishaps: all.map(|name| (name, Mishap::Wait(Duration::from_secs(60)))).to_vec(),
            ..Script::default()
        };
        let started = Instant::now();
        let unreached = reach(&three(Balance::First), &script, 1).await.err().unwrap();
        assert!(unreached.is_timeout());
        assert_eq!((started.elapsed().as_secs(), script.told.lock().unwrap().len()), (6, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_counts_as_its_endpoints_until_it_ends() {
        let upstream = three(Balance::LeastConnections);
        let script = Script::default();
        let mut reached = Vec::new();
        for connection in 1..=3 {
            reached.push(reach(&upstream, &script, connection).await.unwrap());
        }
        let counts = || upstream.endpoints().iter().map(|view| view.connections).collect::<Vec<_>>();
        assert_eq!(counts(), [1, 1, 1]);
        let gone = reached.swap_remove(1).name;
        let next = reach(&upstream, &script, 4).await.unwrap();
        assert_eq!((next.name, counts()), (gone, vec![1, 1, 1]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_random_choice_is_the_connections_own() {
        let script = Script::default();
        let chosen = |upstream: Arc<Upstream>, connections: Vec<u64>| async move {
            let mut names = Vec::new();
            for connection in connections {
                names.push(reach(&upstream, &Script::default(), connection).await.unwrap().name);
            }
            names
        };
        let forth = chosen(three(Balance::Random), (1..20).collect()).await;
        let mut back = chosen(three(Balance::Random), (1..20).rev().collect()).await;
        back.reverse();
        assert_eq!(forth, back);
        assert!(script.told.lock().unwrap().is_empty() && forth.iter().any(|name| *name != forth[0]));
    }
}
