use serde_json::json;

use super::*;
use crate::daemon::Live;
use crate::scenario::lab::{Lab, add, db, scenario, seconds, set, step};

const DB: &str = "routes: [{name: db, localPort: auto, upstream: 'builtin:echo', latencyMs: 5}]";

fn remove(fault: &str) -> Action {
    Action::Remove { route: db(), fault: fault.into() }
}

/// To the millisecond, whatever else goes on: the clock is paused.
#[tokio::test(start_paused = true)]
async fn everything_is_done_and_undone_when_it_is_due() {
    let lab = Lab::new(DB);
    let steps = vec![
        step(2.0, Some(3.0), add(json!({"latency": {"delay": "300ms"}}))),
        step(3.0, Some(1.0), set("latency", json!({"delay": "1s"}))),
        step(0.5, None, Action::Note("steady".into())),
        step(5.0, Some(0.25), Action::Close { route: db(), live: Live::Reset }),
        step(6.0, Some(1.0), remove("delay")),
    ];
    let played = lab.play(&scenario(10.0, steps), &CancellationToken::new()).await;
    let expected = [
        "2000 db + latency (latency 300ms)",
        "3000 db.latency.delay 300ms → 1s",
        "4000 db.latency.delay 1s → 300ms",
        "5000 db - latency",
        "5000 db.enabled true → false",
        "5250 db.enabled false → true",
        "6000 db - delay",
        "7000 db + delay (delay 5ms)",
    ];
    assert_eq!(lab.lines(), expected);
    assert!(lab.is_as_in_the_file());
    let made: Vec<String> =
        played.made.iter().map(|made| format!("{} {}", made.at.as_millis(), made.text)).collect();
    assert_eq!(made, [&["500 steady".to_owned()], expected.map(str::to_owned).as_slice()].concat());
    assert!(played.made.iter().all(|made| made.refused.is_none()));
    assert_eq!((played.ended, played.lost), (seconds(10.0), None));
    assert!(played.looks.keys().eq(&[Duration::ZERO, seconds(10.0)]));
}

#[tokio::test(start_paused = true)]
async fn a_ramp_climbs_evenly_and_falls_back() {
    let lab = Lab::new(DB);
    let ramp = Action::Ramp {
        route: db(),
        fault: "delay".into(),
        key: "delay".into(),
        to: "25ms".into(),
        over: seconds(0.4),
    };
    lab.play(&scenario(3.0, vec![step(1.0, Some(1.0), ramp)]), &CancellationToken::new()).await;
    let expected = [
        "1100 db.delay.delay 5ms → 10ms",
        "1200 db.delay.delay 10ms → 15ms",
        "1300 db.delay.delay 15ms → 20ms",
        "1400 db.delay.delay 20ms → 25ms",
        "2000 db.delay.delay 25ms → 5ms",
    ];
    assert_eq!(lab.lines(), expected);
}

/// Whoever stops a scenario in the middle of it finds the daemon as it was.
#[tokio::test(start_paused = true)]
async fn what_is_stopped_is_undone_last_first() {
    let lab = Lab::new(DB);
    let steps = vec![
        step(1.0, Some(50.0), add(json!({"latency": {"delay": "300ms"}}))),
        step(2.0, Some(40.0), set("latency", json!({"delay": "1s"}))),
        step(3.0, Some(40.0), Action::Close { route: db(), live: Live::Close }),
    ];
    let stop = CancellationToken::new();
    let scenario = scenario(60.0, steps);
    let (played, ()) = tokio::join!(lab.play(&scenario, &stop), async {
        tokio::time::sleep(seconds(4.5)).await;
        stop.cancel();
    });
    assert_eq!(played.ended, seconds(4.5));
    assert!(lab.is_as_in_the_file());
    assert_eq!(lab.lines().len(), 6);
    assert_eq!(lab.lines()[3..5], ["4500 db.enabled false → true", "4500 db.latency.delay 1s → 300ms"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_restored_is_not_undone_again() {
    let lab = Lab::new(DB);
    let steps = vec![
        step(1.0, Some(5.0), add(json!({"latency": {"delay": "300ms"}}))),
        step(1.0, None, remove("delay")),
        step(2.0, None, Action::Restore),
        step(3.0, None, add(json!({"latency": {"delay": "1s"}}))),
    ];
    let played = lab.play(&scenario(8.0, steps), &CancellationToken::new()).await;
    let lines = lab.lines();
    assert_eq!(lines.last().unwrap(), "3000 db + latency (latency 1s)", "{lines:?}");
    assert!(played.made.iter().any(|made| made.text == "restored"));
}

/// A step that is refused is told of, and the rest goes on.
#[tokio::test(start_paused = true)]
async fn a_refusal_is_noted_and_ends_nothing() {
    let lab = Lab::new(DB);
    let steps = vec![step(1.0, None, remove("reset")), step(2.0, None, remove("delay"))];
    let played = lab.play(&scenario(3.0, steps), &CancellationToken::new()).await;
    let made: Vec<_> = played.made.iter().map(|made| (&*made.text, made.refused.as_deref())).collect();
    let expected = [("remove reset from db", Some("route `db` has no fault `reset`")), ("db - delay", None)];
    assert_eq!(made, expected);
}

/// What a ramp has moved is undone, also when something came between.
#[tokio::test(start_paused = true)]
async fn a_ramp_that_loses_its_fault_goes_no_further() {
    let lab = Lab::new(DB);
    let ramp = Action::Ramp {
        route: db(),
        fault: "delay".into(),
        key: "delay".into(),
        to: "1s".into(),
        over: seconds(1.0),
    };
    let gone = step(0.55, Some(0.3), remove("delay"));
    let played =
        lab.play(&scenario(3.0, vec![step(0.0, Some(2.0), ramp), gone]), &CancellationToken::new()).await;
    assert!(lab.is_as_in_the_file(), "{:?}", lab.lines());
    let refused = played.made.iter().filter(|made| made.refused.is_some());
    assert_eq!(refused.map(|made| made.at).collect::<Vec<_>>(), [seconds(0.6)]);
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_is_lost_ends_the_play() {
    let mut lab = Lab::new(DB);
    lab.lost_at = Some(seconds(1.5));
    let steps = vec![step(1.0, Some(1.0), remove("delay"))];
    let played = lab.play(&scenario(30.0, steps), &CancellationToken::new()).await;
    assert_eq!((played.ended, played.lost), (seconds(2.0), Some(Trouble::Lost("nobody answers".into()))));
}
