use tokio_util::sync::CancellationToken;

use super::*;
use crate::scenario::lab::{Lab, db, route, scenario, seconds, stats};
use crate::scenario::{At, Window};

fn expect(during: Option<(f64, f64)>, wants: Vec<Want>) -> Expectation {
    Expectation {
        name: "test".into(),
        route: Some(db()),
        during: during.map(|(from, to)| Window { from: seconds(from), to: seconds(to) }),
        wants,
        place: At::default(),
    }
}

fn fired(fault: &str, bound: Bound<u64>) -> Want {
    Want::Fired { fault: Some(fault.into()), bound }
}

/// Plays nothing for ten seconds, or less, on a daemon that counts so.
async fn verdicts(
    counts: fn(Duration) -> Stats,
    expectations: Vec<Expectation>,
    stopped_after: f64,
) -> Vec<(bool, String)> {
    let mut lab = Lab::new("routes: [{name: db, localPort: auto, upstream: 'builtin:echo'}]");
    lab.stats = counts;
    let mut scenario = scenario(10.0, Vec::new());
    scenario.expectations = expectations;
    let stop = CancellationToken::new();
    let (played, ()) = tokio::join!(lab.play(&scenario, &stop), async {
        tokio::time::sleep(seconds(stopped_after)).await;
        stop.cancel();
    });
    let last = (lab.stats)(seconds(60.0));
    let verdicts = judge(&scenario, &played, &last, played.ended);
    verdicts
        .into_iter()
        .map(|verdict| {
            let why = verdict.why.map(|why| format!(": {why}")).unwrap_or_default();
            (verdict.held, format!("{}, expected {}{why}", verdict.found, verdict.wanted))
        })
        .collect()
}

fn busy(at: Duration) -> Stats {
    let n = at.as_secs();
    let closed = [(Ending::PeerFin, 3 * n), (Ending::Fault, n), (Ending::Drain, n)];
    stats(vec![route((5 * n, 2), &closed, &[("reset", n), ("drop", 0)], 100 * n)])
}

#[tokio::test(start_paused = true)]
async fn what_happened_in_a_window_counts_and_nothing_else() {
    let during = Some((2.0, 6.0));
    let said = verdicts(
        busy,
        vec![
            expect(during, vec![fired("reset", Bound::Exactly(4))]),
            expect(during, vec![Want::Connections(Bound::Exactly(20))]),
            expect(during, vec![Want::Ended(Ending::PeerFin, Bound::Between(12, 12))]),
            expect(during, vec![Want::ErrorShare(Bound::AtMost(Share(0.25)))]),
            expect(during, vec![Want::ErrorShare(Bound::Less(Share(0.25)))]),
            expect(None, vec![fired("reset", Bound::AtLeast(60)), Want::Connections(Bound::More(300))]),
        ],
        60.0,
    )
    .await;
    let expected = [
        (true, "fired 4, expected fired == 4"),
        (true, "connections 20, expected connections == 20"),
        (true, "peer-fin 12, expected peer-fin 12..12"),
        (true, "errorShare 25%, expected errorShare <= 25%"),
        (false, "errorShare 25%, expected errorShare < 25%: 4 of 16 connections ended badly"),
        (false, "fired 60, connections 300, expected fired >= 60, connections > 300"),
    ];
    assert_eq!(said, expected.map(|(held, text)| (held, text.to_owned())));
}

/// A test that never met its fault is red, and says why.
#[tokio::test(start_paused = true)]
async fn what_never_happened_is_red_and_says_why() {
    let idle = |_| stats(vec![route((0, 0), &[], &[("reset", 0)], 0)]);
    let one = vec![
        expect(Some((3.0, 5.0)), vec![fired("reset", Bound::AtLeast(1))]),
        expect(Some((3.0, 5.0)), vec![Want::ErrorShare(Bound::AtMost(Share(0.5)))]),
        expect(Some((3.0, 5.0)), vec![Want::Recovery(Bound::AtMost(Period::new(seconds(1.0))))]),
    ];
    let expected = [
        "fired 0, expected fired >= 1: no connection was open between 3s and 5s",
        "errorShare unknown, expected errorShare <= 50%: no connection ended between 3s and 5s",
        "recovery none, expected recovery <= 1s: no byte reached a client from 5s until 10s",
    ];
    assert_eq!(verdicts(idle, one, 60.0).await, expected.map(|text| (false, text.to_owned())));

    let met = |at: Duration| stats(vec![route((at.as_secs(), 1), &[], &[("reset", 0)], 0)]);
    let two = vec![
        expect(Some((3.0, 5.0)), vec![fired("reset", Bound::AtLeast(1))]),
        expect(Some((3.0, 5.0)), vec![fired("drop", Bound::AtLeast(1))]),
        expect(Some((3.0, 5.0)), vec![fired("reset", Bound::Exactly(0))]),
    ];
    let expected = [
        (false, "fired 0, expected fired >= 1: 1 connection open at 3s, 2 came in"),
        (false, "nothing, expected fired >= 1: db never had a fault `drop`"),
        (true, "fired 0, expected fired == 0"),
    ];
    assert_eq!(verdicts(met, two, 60.0).await, expected.map(|(held, text)| (held, text.to_owned())));

    // Nor is one that holds because its name is wrong.
    let typo = vec![expect(Some((3.0, 5.0)), vec![fired("rest", Bound::Exactly(0))])];
    let why = "nothing, expected fired == 0: db never had a fault `rest`, did you mean `reset`?";
    assert_eq!(verdicts(met, typo, 60.0).await, [(false, why.to_owned())]);

    let nothing = |_| stats(Vec::new());
    let three = vec![expect(None, vec![Want::Connections(Bound::AtLeast(1))])];
    let why = "nothing, expected connections >= 1: there is no route `db`";
    assert_eq!(verdicts(nothing, three, 60.0).await, [(false, why.to_owned())]);
}

/// A command that is over before its chaos came has shown nothing.
#[tokio::test(start_paused = true)]
async fn a_window_that_never_came_is_red() {
    let one = vec![
        expect(Some((6.0, 8.0)), vec![fired("reset", Bound::Exactly(0))]),
        expect(Some((2.0, 8.0)), vec![Want::Recovery(Bound::AtMost(Period::new(seconds(1.0))))]),
        expect(Some((2.0, 8.0)), vec![Want::Connections(Bound::AtLeast(1))]),
        // That no more would have come nobody has seen.
        expect(Some((2.0, 8.0)), vec![Want::Connections(Bound::AtMost(999))]),
        expect(Some((2.0, 8.0)), vec![Want::ErrorShare(Bound::AtMost(Share(0.9)))]),
    ];
    let said = verdicts(busy, one, 4.2).await;
    assert_eq!(
        said[0],
        (false, "nothing, expected fired == 0: it was over after 4.2s, before 6s came".into())
    );
    assert!(!said[1].0 && said[1].1.ends_with("it was over after 4.2s, before its time was"), "{said:?}");
    assert!(said[2].0);
    let cut = ": it was over after 4.2s, before its time was";
    assert!(said[3..].iter().all(|(held, text)| !held && text.ends_with(cut)), "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn a_recovery_is_when_bytes_reach_a_client_again() {
    let heals = |at: Duration| {
        let sent = if at < seconds(5.5) { 70 } else { 71 };
        stats(vec![route((1, 1), &[], &[], sent)])
    };
    let within =
        |most: f64| expect(Some((3.0, 5.0)), vec![Want::Recovery(Bound::AtMost(Period::new(seconds(most))))]);
    let said = verdicts(heals, vec![within(0.5), within(0.4)], 60.0).await;
    let expected = [
        (true, "recovery 500ms, expected recovery <= 500ms"),
        (false, "recovery 500ms, expected recovery <= 400ms"),
    ];
    assert_eq!(said, expected.map(|(held, text)| (held, text.to_owned())));
}
