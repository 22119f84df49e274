//! The world in which the actors of the random test live, and the game from its begin to its end.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod census;
mod client;
mod dice;
mod operator;
mod upstreams;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::sync::RwLock;
use tokio::task::JoinSet;

use crate::support::*;
use dice::Dice;

/// How much is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Game {
    pub(crate) seed: u64,
    pub(crate) actors: u64,
    pub(crate) seconds: u64,
}

impl fmt::Display for Game {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Game { seed, actors, seconds } = self;
        write!(
            f,
            "RANDOM_SEED={seed} RANDOM_ACTORS={actors} RANDOM_SECONDS={seconds} cargo test --test random"
        )
    }
}

const SHORT: &str = "timeouts: {halfClose: 1s}";

/// What is behind a route, and so what may be heard there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behind {
    /// Everything that was sent, in order.
    Echo,
    /// [`upstreams::FLOOD`], whatever is sent.
    Flood,
    /// Nothing.
    Nobody,
}

/// A route of the daemon.
#[derive(Clone, Copy, Debug)]
struct Place {
    name: &'static str,
    at: SocketAddr,
    behind: Behind,
}

/// What all actors share.
struct World {
    daemon: Daemon,
    api: Api,
    places: Vec<Place>,
    /// Held while an actor does one thing, so that a census can stop them all.
    moving: RwLock<()>,
    /// Descriptors before anybody came.
    base: usize,
    /// The most memory that the promises permit.
    most: u64,
    /// Bytes that came, each of which was the right one.
    came: AtomicU64,
    /// Whether what is played is enough for all to happen.
    is_full: bool,
}

/// Plays a game to its end; panics when a promise is broken.
pub(crate) fn play(game: Game) {
    many(async move {
        let world = Arc::new(World::start(game).await);
        let until = Instant::now() + Duration::from_secs(game.seconds);
        let mut actors = JoinSet::new();
        for number in 0..game.actors {
            let dice = Dice::new(game.seed, number);
            // One in twelve has the daemon in hand; the others are its clients.
            if number % 12 == 0 {
                actors.spawn(operator::act(world.clone(), dice, until));
            } else {
                actors.spawn(client::act(world.clone(), dice, until));
            }
        }
        let watch = world.clone();
        actors.spawn(async move {
            while Instant::now() < until {
                tokio::time::sleep(ms(1500)).await;
                watch.census().await;
            }
        });
        while let Some(done) = actors.join_next().await {
            if let Err(error) = done {
                std::panic::resume_unwind(error.into_panic());
            }
        }
        // The last actor holds it no longer.
        let world = Arc::into_inner(world).expect("nobody else has it");
        world.end().await;
    });
}

impl World {
    async fn start(game: Game) -> World {
        let (echo, flood, moody) =
            (upstreams::echo().await, upstreams::flood().await, upstreams::moody(game.seed).await);
        // Bytes that nobody takes any more keep a reset from being passed on for at most `halfClose`: a census waits for
        // longer than that. An echo takes them always, so it needs no limit for it. A reset of the moody one may take away
        // what was on its way, and never invents a byte.
        let places = [
            ("echo", Behind::Echo, echo.to_string(), SHORT),
            ("flood", Behind::Flood, flood.to_string(), SHORT),
            ("builtin", Behind::Echo, "builtin:echo".to_owned(), "timeouts: {idle: 2s}"),
            ("moody", Behind::Echo, moody.to_string(), SHORT),
            ("dead", Behind::Nobody, unused_address().to_string(), ""),
            (
                "few",
                Behind::Echo,
                "builtin:echo".to_owned(),
                "limits: {connections: 5, excess: queue, queue: {size: 5, timeout: 500ms}, held: 64KiB}",
            ),
            ("pooled", Behind::Echo, format!("{{endpoints: [\"{echo}\"], pool: {{size: 2}}}}"), SHORT),
        ];
        let ports: Vec<u16> = places.iter().map(|_| unused_port()).collect();
        let lines = places
            .iter()
            .zip(&ports)
            .map(|((name, _, upstream, rest), port)| fixed_route(name, port, upstream, rest));
        let setup = Setup::routes(lines).admin().top("drainTimeout: 5s");
        let daemon = setup.start();
        let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let places = places.iter().zip(ports).map(|((name, behind, ..), port)| Place {
            name,
            at: at(port),
            behind: *behind,
        });
        let places = places.collect();
        let api = daemon.api();
        // One call, so that everything that is made at the first use is there.
        assert_eq!(api.get("/metrics").status, 200);
        let base = descriptors(daemon.pid());
        // Each direction may hold 1 MiB, and there is a base.
        let most = resident(daemon.pid()) + (48 << 20) + game.actors * (2 << 20);
        let is_full = game.actors >= 50 && game.seconds >= 5;
        World { daemon, api, places, moving: RwLock::default(), base, most, came: AtomicU64::new(0), is_full }
    }

    /// Promises are easily kept where nothing is done.
    fn hold_that_something_happened(&self) {
        let stats = self.api.get("/v1/stats").json();
        let closed = self.daemon.events.count(|event| event.text("event") == "connection.closed");
        let fired = self.daemon.events.count(|event| event.text("event") == "fault.fired");
        let came = self.came.load(Ordering::Relaxed);
        loudly(&format!("{closed} connections, {came} bytes came, faults fired {fired} times"));
        if self.is_full {
            assert!(came > 1 << 20 && closed > 100 && fired > 10, "nothing to speak of happened\n{stats}");
        }
    }

    /// Everybody has gone: nothing is left of them, and the daemon stops as ever.
    async fn end(mut self) {
        self.census().await;
        self.hold_that_something_happened();
        let pid = self.daemon.pid();
        // What is kept ready is no leak: connections of the pool, and 32 pipes.
        eventually(secs(20), "descriptors are back", || descriptors(pid) <= self.base + 4 + 2 * 32);
        eventually(secs(5), "no socket is in CLOSE_WAIT", || sockets_in(pid, "08") == 0);
        self.daemon.signal(Signal::TERM);
        let (code, _) = self.daemon.exit_code(secs(15));
        assert_eq!(code, Some(0), "{}", self.daemon.events.tail());
        // A panic would have said something.
        let odd = self.daemon.events.wait_for_end(secs(5));
        assert!(odd.is_empty(), "the log holds {odd:?}");
    }
}
