//! An actor that has the daemon in hand: it toggles faults, ends connections, closes and opens routes, reloads and scrapes.

use std::sync::Arc;
use std::time::Instant;

use rustix::process::Signal;

use super::World;
use super::dice::Dice;
use crate::support::*;

/// What may go wrong: everything but what changes bytes.
const FAULTS: [&str; 24] = [
    r#"{"latency": {"delay": "20ms", "jitter": "10ms", "direction": "both"}}"#,
    r#"{"latency": {"name": "late", "delay": "60s", "for": "300ms"}}"#,
    r#"{"bandwidth": {"rate": "100KiB/s"}}"#,
    r#"{"bandwidth": {"name": "narrow", "rate": "1MB/s", "shared": "route", "direction": "both"}}"#,
    r#"{"slice": {"size": 7, "variation": 5, "delay": "1ms"}}"#,
    r#"{"slice": {"name": "bits", "size": 1, "direction": "upstream", "for": "200ms"}}"#,
    r#"{"loss": {"rate": 0.1, "rto": "20ms", "direction": "both"}}"#,
    r#"{"limit": {"bytes": "64KiB", "probability": 0.3}}"#,
    r#"{"limit": {"name": "cut", "bytes": 10, "then": "reset", "every": 5}}"#,
    r#"{"limit": {"name": "halt", "bytes": 1000, "then": "stall", "for": "500ms"}}"#,
    r#"{"reset": {"after": "10KiB", "probability": 0.2}}"#,
    r#"{"reset": {"name": "soon", "after": "50ms", "times": 5}}"#,
    r#"{"stall": {"after": "1KiB", "hold": "100ms", "direction": "both"}}"#,
    r#"{"stall": {"name": "pulled", "for": "400ms"}}"#,
    r#"{"blackhole": {"closeAfter": "200ms", "probability": 0.2}}"#,
    r#"{"blackhole": {"name": "swallow", "for": "150ms", "direction": "upstream", "probability": 0.2}}"#,
    r#"{"slowClose": {"delay": "300ms", "direction": "both"}}"#,
    r#"{"noop": {"direction": "both"}}"#,
    r#"{"drop": {"probability": 0.3}}"#,
    r#"{"drop": {"name": "slam", "how": "reset", "times": 10}}"#,
    r#"{"hang": {"closeAfter": "300ms", "probability": 0.2}}"#,
    r#"{"delay": {"delay": "50ms", "jitter": "50ms", "probability": 0.5}}"#,
    r#"{"refuseConnect": {"probability": 0.3}}"#,
    r#"{"connectDelay": {"delay": "100ms", "probability": 0.5}}"#,
];

pub(super) async fn act(world: Arc<World>, mut dice: Dice, until: Instant) {
    while Instant::now() < until {
        let moving = world.moving.read().await;
        let (of, roll) = (world.clone(), dice.next());
        tokio::task::spawn_blocking(move || of.operate(&mut Dice::new(roll, 0)))
            .await
            .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        drop(moving);
        tokio::time::sleep(ms(dice.below(100))).await;
    }
}

impl World {
    /// Does one thing. No call may fail for a reason of the daemon's own, and none may take long.
    fn operate(&self, dice: &mut Dice) {
        let api = self.api;
        let route = dice.of(&self.places).name;
        let fault = *dice.of(&FAULTS);
        let (what, begun) = (dice.below(100), Instant::now());
        let answer = match what {
            0..35 => api.post(&format!("/v1/routes/{route}/faults"), fault),
            35..55 => api.delete(&format!("/v1/routes/{route}/faults/{}", name_of(fault))),
            55..62 => api.patch(
                &format!("/v1/routes/{route}/faults/latency"),
                &format!(r#"{{"latency": {{"delay": "{}ms"}}}}"#, dice.below(100)),
            ),
            62..66 => api.ask("PUT", &format!("/v1/routes/{route}/faults/{}", name_of(fault)), &[], fault),
            66..69 => {
                let how = *dice.of(&["keep", "close", "reset"]);
                api.post(&format!("/v1/routes/{route}/close"), &format!(r#"{{"connections": "{how}"}}"#))
            }
            69..76 => api.post(&format!("/v1/routes/{route}/open"), ""),
            76..80 => {
                let listed = api.get("/v1/connections").expect(200);
                let all: Vec<u64> = listed["connections"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter_map(|c| c["id"].as_u64())
                    .collect();
                if all.is_empty() {
                    return;
                }
                let how = *dice.of(&["close", "reset"]);
                api.delete(&format!("/v1/connections/{}?how={how}", dice.of(&all)))
            }
            80..83 => api.post("/v1/reload", ""),
            83..85 => {
                self.daemon.signal(Signal::HUP);
                return;
            }
            85..88 => api.post("/v1/restore", ""),
            88..91 => api.get("/v1/stats"),
            91..93 => api.get("/v1/config"),
            _ => {
                let answer = api.get("/metrics");
                assert!(answer.text().contains("\nchaos_proxy_panics_total 0\n"), "{}", answer.text());
                answer
            }
        };
        assert!(answer.status < 500, "{what}: {} {}", answer.status, answer.text());
        assert!(begun.elapsed() < secs(5), "{what}: answered after {:?}", begun.elapsed());
    }
}

/// The name of one of [`FAULTS`]: the one it is given, or that of its effect.
fn name_of(fault: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(fault).unwrap();
    let (effect, parameters) = value.as_object().unwrap().iter().next().unwrap();
    parameters["name"].as_str().unwrap_or(effect).to_owned()
}
