//! An actor that is a client: one connection after the other, and on each whatever the dice say.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::dice::Dice;
use super::upstreams::FLOOD;
use super::{Behind, Place, World};
use crate::support::*;

/// One thing is done for no longer than this, so that a census need not wait.
const STEP: Duration = ms(100);

/// A connection and what has passed on it.
struct Talk {
    stream: TcpStream,
    place: Place,
    /// What this connection sends.
    pattern: Pattern,
    sent: u64,
    received: u64,
    shut: bool,
}

/// Whether a connection goes on.
#[derive(PartialEq, Eq)]
enum Then {
    Goes,
    Ended,
}

pub(super) async fn act(world: Arc<World>, mut dice: Dice, until: Instant) {
    let mut buf = vec![0; 64 << 10];
    let mut talk: Option<Talk> = None;
    while Instant::now() < until {
        let moving = world.moving.read().await;
        talk = match talk.take() {
            None => begin(&world, &mut dice).await,
            Some(mut talk) => match talk.step(&mut dice, &mut buf).await {
                Then::Goes => Some(talk),
                Then::Ended => {
                    world.came.fetch_add(talk.received, Ordering::Relaxed);
                    None
                }
            },
        };
        drop(moving);
        tokio::time::sleep(ms(dice.below(5))).await;
    }
    if let Some(mut talk) = talk {
        talk.finish(&mut buf).await;
        world.came.fetch_add(talk.received, Ordering::Relaxed);
    }
}

async fn begin(world: &World, dice: &mut Dice) -> Option<Talk> {
    let place = *dice.of(&world.places);
    let pattern = Pattern(dice.next());
    // A closed route refuses, and a drop may be so quick that already the connect says so.
    let stream = timeout(STEP, TcpStream::connect(place.at)).await.ok()?.ok()?;
    Some(Talk { stream, place, pattern, sent: 0, received: 0, shut: false })
}

impl Talk {
    async fn step(&mut self, dice: &mut Dice, buf: &mut [u8]) -> Then {
        match dice.below(100) {
            0..40 if !self.shut => self.send(1 + dice.below(32 << 10) as usize, buf).await,
            0..85 => self.receive(buf).await,
            85..88 => {
                // The peer may have broken it already.
                let _ = self.stream.shutdown().await;
                self.shut = true;
                Then::Goes
            }
            88..90 => {
                SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
                Then::Ended
            }
            90..92 => Then::Ended,
            _ => {
                tokio::time::sleep(ms(dice.below(100))).await;
                Then::Goes
            }
        }
    }

    async fn send(&mut self, n: usize, buf: &mut [u8]) -> Then {
        self.pattern.fill(self.sent, &mut buf[..n]);
        match timeout(STEP, self.stream.write(&buf[..n])).await {
            Ok(Ok(n)) => self.sent += n as u64,
            Ok(Err(error)) => return broken(&error),
            // Nobody takes it now.
            Err(_) => {}
        }
        Then::Goes
    }

    async fn receive(&mut self, buf: &mut [u8]) -> Then {
        let n = match timeout(STEP, self.stream.read(buf)).await {
            Ok(Ok(0)) => return Then::Ended,
            Ok(Ok(n)) => n,
            Ok(Err(error)) => return broken(&error),
            Err(_) => return Then::Goes,
        };
        let (bytes, to) = (&buf[..n], self.received + n as u64);
        match self.place.behind {
            Behind::Echo => {
                assert!(to <= self.sent, "{to} bytes came back of {} on {:?}", self.sent, self.place);
                self.pattern.check(self.received, bytes);
            }
            Behind::Flood => FLOOD.check(self.received, bytes),
            Behind::Nobody => panic!("{n} bytes from nobody on {:?}", self.place),
        }
        self.received = to;
        Then::Goes
    }

    /// Reads a little more of what is on its way, and ends.
    async fn finish(&mut self, buf: &mut [u8]) {
        let _ = self.stream.shutdown().await;
        let until = Instant::now() + ms(300);
        while Instant::now() < until && self.receive(buf).await == Then::Goes {}
    }
}

fn broken(error: &std::io::Error) -> Then {
    let kinds = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe, ErrorKind::NotConnected];
    assert!(kinds.contains(&error.kind()), "{error}");
    Then::Ended
}
