//! Random behaviour: actors that connect, send, shut, reset, stall and close, while others toggle faults, end connections,
//! close routes, reload and scrape. Whatever they do, what arrives is a prefix of what was sent, the gauges equal what the
//! kernel knows, nothing panics, no call fails, and memory stays within its bounds. And something did happen: bytes came and
//! faults fired.
//!
//! What an actor does hangs on the seed and its own number alone. A failure tells both, and is played again with fewer
//! actors and for a shorter time for as long as it fails. `RANDOM_SEED`, `RANDOM_ACTORS` and `RANDOM_SECONDS` choose.

#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod random_support;
mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use random_support::{Game, play};
use support::*;

/// What is played when nobody chooses: quick, or for long with `--features soak`.
const GAME: Game = if cfg!(feature = "soak") {
    Game { seed: 20_261_129, actors: 200, seconds: 90 }
} else {
    Game { seed: 20_261_129, actors: 60, seconds: 5 }
};

/// What a game takes beside its seconds: the start, the last census, the stop.
const AROUND: u64 = 60;

fn chosen(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")),
        Err(_) => default,
    }
}

#[test]
fn whatever_many_do_at_once_the_promises_hold() {
    let game = Game {
        seed: chosen("RANDOM_SEED", GAME.seed),
        actors: chosen("RANDOM_ACTORS", GAME.actors),
        seconds: chosen("RANDOM_SECONDS", GAME.seconds),
    };
    // A failure is played again, as often as there is time for.
    let limit = secs(4 * (AROUND + game.seconds));
    within(limit, move || {
        let _alone = heavy();
        let begun = Instant::now();
        let is_time_for = |game: Game| begun.elapsed() + secs(AROUND + game.seconds) < limit;
        loudly(&format!("{game}"));
        let holds = |game: Game| {
            let played = catch_unwind(AssertUnwindSafe(|| play(game)));
            // Told at once, so that it is known also when the next one hangs.
            if played.is_err() {
                loudly(&format!("FAILED: {game}"));
            }
            played
        };
        let Err(mut why) = holds(game) else { return };
        let mut smallest = game;
        loop {
            let fewer = Game { actors: smallest.actors / 2, ..smallest };
            let shorter = Game { seconds: smallest.seconds / 2, ..smallest };
            let smaller = if fewer.actors >= 2 { fewer } else { shorter };
            if smaller.seconds == 0 || !is_time_for(smaller) {
                break;
            }
            match holds(smaller) {
                Err(again) => (smallest, why) = (smaller, again),
                // What needs so many does not need so long, perhaps.
                Ok(()) if smaller == fewer && shorter.seconds > 0 && is_time_for(shorter) => {
                    match holds(shorter) {
                        Err(again) => (smallest, why) = (shorter, again),
                        Ok(()) => break,
                    }
                }
                Ok(()) => break,
            }
        }
        loudly(&format!("the smallest game that failed: {smallest}"));
        std::panic::resume_unwind(why);
    });
}
