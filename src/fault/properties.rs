//! What holds for every chain: any faults, any reads, any changes of the plan at any time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::lab::{Event, Lab, Out, active, bytes_from, joined, ms, writes};
use super::{Active, Effect};

/// What may be held; small, so that it matters.
const MOST: usize = 5_000;

#[derive(Clone, Debug)]
enum Step {
    Send { total: usize, read: usize },
    Finish,
    Wait(u64),
    Sink(bool),
    Add(usize, Value),
    Remove(usize),
    Change(usize, Value),
    Swap(usize, usize),
    Clear,
}

/// Faults that change when bytes come and how they are cut, and nothing else.
fn gentle() -> BoxedStrategy<Value> {
    let jitter = prop_oneof![Just("uniform"), Just("normal"), Just("pareto")];
    prop_oneof![
        (0..3000u64, 0..500u64, jitter).prop_map(|(delay, jitter, distribution)| json!({"latency":
            {"delay": format!("{delay}ms"), "jitter": format!("{jitter}ms"), "distribution": distribution}})),
        (1..1_000_000u64, 1..5000u64).prop_map(|(rate, burst)| json!({"bandwidth":
            {"rate": format!("{rate}B/s"), "burst": burst}})),
        (100..1_000_000u64)
            .prop_map(|rate| json!({"bandwidth": {"rate": format!("{rate}B/s"), "shared": "route"}})),
        (1..2000u64, 0..2000u64, 0..5u64).prop_map(|(size, variation, delay)| json!({"slice":
            {"size": size, "variation": variation.min(size - 1), "delay": format!("{delay}ms")}})),
        (0.0..0.5, 0.0..0.9).prop_map(|(rate, correlation)| json!({"loss":
            {"rate": rate, "correlation": correlation, "rto": "50ms"}})),
        (0..6000u64).prop_map(|bytes| json!({"limit": {"bytes": bytes, "then": "stall"}})),
        (after(), prop::option::of(0..2000u64)).prop_map(|(after, hold)| match hold {
            Some(hold) => json!({"stall": {"after": after, "hold": format!("{hold}ms")}}),
            None => json!({"stall": {"after": after}}),
        }),
        (0..2000u64).prop_map(|delay| json!({"slowClose": {"delay": format!("{delay}ms")}})),
        Just(json!({"noop": {}})),
    ]
    .boxed()
}

/// Any fault.
fn any_fault() -> BoxedStrategy<Value> {
    let how = prop_oneof![Just("flip"), Just("random"), Just("zero")];
    let then = prop_oneof![Just("close"), Just("reset")];
    prop_oneof![
        5 => gentle(),
        2 => (0.0..0.2, how).prop_map(|(rate, how)| json!({"corrupt": {"rate": rate, "how": how}})),
        2 => (0..10_000u64, then).prop_map(|(bytes, then)| json!({"limit": {"bytes": bytes, "then": then}})),
        1 => after().prop_map(|after| json!({"reset": {"after": after}})),
        1 => prop::option::of(0..3000u64).prop_map(|close| match close {
            Some(close) => json!({"blackhole": {"closeAfter": format!("{close}ms")}}),
            None => json!({"blackhole": {}}),
        }),
    ]
    .boxed()
}

/// Faults that let every read through when it comes.
fn untimed() -> impl Strategy<Value = Value> {
    let how = prop_oneof![Just("flip"), Just("random"), Just("zero")];
    prop_oneof![
        (0..3000u64, 0..500u64).prop_map(|(delay, jitter)| json!({"latency":
            {"delay": format!("{delay}ms"), "jitter": format!("{jitter}ms")}})),
        (1..2000u64, 0..2000u64).prop_map(|(size, variation)| json!({"slice":
            {"size": size, "variation": variation.min(size - 1)}})),
        (0.0..0.5, 0.0..0.9).prop_map(|(rate, correlation)| json!({"loss":
            {"rate": rate, "correlation": correlation, "rto": "50ms"}})),
        (0.0..0.2, how).prop_map(|(rate, how)| json!({"corrupt": {"rate": rate, "how": how}})),
    ]
}

fn after() -> impl Strategy<Value = String> {
    prop_oneof![(0..3000u64).prop_map(|time| format!("{time}ms")), (0..6000u64).prop_map(|n| format!("{n}B"))]
}

fn steps(fault: fn() -> BoxedStrategy<Value>) -> impl Strategy<Value = (Vec<Value>, Vec<Step>)> {
    let read = prop_oneof![1..20usize, 1000..70_000usize];
    let step = prop_oneof![
        6 => (1..6000usize, read).prop_map(|(total, read)| Step::Send { total: total.min(read * 300), read }),
        1 => Just(Step::Finish),
        6 => (0..2000u64).prop_map(Step::Wait),
        1 => any::<bool>().prop_map(Step::Sink),
        2 => (0..5usize, fault()).prop_map(|(at, item)| Step::Add(at, item)),
        2 => (0..5usize).prop_map(Step::Remove),
        1 => (0..5usize, fault()).prop_map(|(at, item)| Step::Change(at, item)),
        2 => (0..5usize, 0..5usize).prop_map(|(a, b)| Step::Swap(a, b)),
        1 => Just(Step::Clear),
    ];
    (prop::collection::vec(fault(), 0..=5), prop::collection::vec(step, 0..16))
}

/// All that a run has shown.
#[derive(Debug, PartialEq)]
struct Seen {
    events: Vec<Event>,
    reads: Vec<(Duration, Vec<u8>)>,
    told: Vec<String>,
    amounts: Vec<(String, u64, Duration)>,
    /// When all faults were taken away, unless the connection had ended before.
    cleared: Option<Duration>,
}

struct Run {
    lab: Lab,
    plan: Vec<Arc<Active>>,
    all: Vec<Arc<Active>>,
    hole: bool,
}

impl Run {
    /// Each has a name of its own, so that it is known who did what.
    fn active(&mut self, mut item: Value) -> Arc<Active> {
        let number = self.all.len() as u64;
        for (_, body) in item.as_object_mut().into_iter().flatten() {
            body["name"] = format!("fault-{number}").into();
        }
        let active = active(item, number);
        self.all.push(active.clone());
        active
    }

    /// Whether a connection would go on.
    fn goes_on(&self) -> bool {
        !self.hole && !self.lab.is_cut()
    }

    fn step(&mut self, step: Step) {
        let count = self.plan.len();
        match step {
            Step::Send { total, read } => _ = self.lab.send_in(total, read),
            Step::Finish => _ = self.lab.finish(),
            Step::Wait(millis) => {
                let until = self.lab.now - self.lab.start + ms(millis);
                self.lab.run_to(until);
            }
            Step::Sink(open) => self.lab.sink_open = open,
            Step::Add(at, item) if count < 5 => {
                let active = self.active(item);
                self.plan.insert(at.min(count), active);
            }
            Step::Remove(at) if at < count => _ = self.plan.remove(at),
            Step::Change(at, item) if at < count => self.plan[at] = self.active(item),
            Step::Swap(a, b) if a < count && b < count => self.plan.swap(a, b),
            Step::Clear => self.plan.clear(),
            _ => {}
        }
        self.hole |= self.lab.adopt(&self.plan);
        if self.goes_on() {
            self.lab.turn();
        }
        // Whose ending it is must be there still.
        if let Some((_, Out::Cut(_, by))) = self.lab.out.last() {
            let here = self.plan.iter().any(|active| by.as_deref() == Some(&*active.fault.name));
            assert!(here, "{by:?} ended the connection and is not there");
        }
    }
}

fn run(items: &[Value], steps: &[Step]) -> (Seen, Vec<Arc<Active>>) {
    let mut run = Run { lab: Lab::of(&[]), plan: Vec::new(), all: Vec::new(), hole: false };
    run.lab.most = MOST;
    for item in items {
        let active = run.active(item.clone());
        run.plan.push(active);
    }
    run.hole |= run.lab.adopt(&run.plan);
    for step in steps {
        run.step(step.clone());
        if !run.goes_on() {
            break;
        }
    }
    let mut cleared = None;
    if run.goes_on() {
        run.lab.sink_open = true;
        run.step(Step::Clear);
        run.step(Step::Finish);
        cleared = run.goes_on().then(|| run.lab.now - run.lab.start);
        if run.goes_on() {
            run.lab.run();
            assert!(run.lab.chain.held().is_empty() && run.lab.chain.is_empty());
            assert_eq!(run.lab.unread(), 0);
        }
    }
    let name = |active: &Arc<Active>| active.fault.name.to_string();
    let deeds = run.lab.chain.deeds();
    let amounts = deeds.iter().map(|deed| (name(&deed.active), deed.done.amount, deed.done.delay)).collect();
    let lab = run.lab;
    // Never above what may be held.
    assert!(lab.peak <= MOST, "{} bytes were held", lab.peak);
    (Seen { events: lab.out, reads: lab.reads, told: lab.told, amounts, cleared }, run.all)
}

/// What is true whatever the faults are.
fn check_always(seen: &Seen) {
    assert!(seen.events.windows(2).all(|pair| pair[0].0 <= pair[1].0), "time goes backwards");
    let ends = seen.events.iter().position(|(_, out)| !matches!(out, Out::Bytes(_)));
    // Nothing comes behind a FIN but an ending that a fault makes.
    for (_, out) in seen.events.iter().skip(ends.map_or(usize::MAX, |at| at + 1)) {
        assert!(matches!(out, Out::Cut(..)), "{out:?} behind the end");
    }
    let once: BTreeSet<&String> = seen.told.iter().collect();
    assert_eq!(once.len(), seen.told.len(), "told twice");
    if seen.cleared.is_some() {
        let did: BTreeSet<&String> = seen.amounts.iter().map(|(name, ..)| name).collect();
        assert_eq!(once, did, "not everyone who did something was told of");
        assert_eq!(seen.events.last().map(|(_, out)| out), Some(&Out::Fin));
    }
}

/// Every byte is written no earlier than it was read.
fn check_causes(seen: &Seen) {
    let mut read = seen.reads.iter().flat_map(|(at, bytes)| bytes.iter().map(move |_| *at));
    for (at, bytes) in writes(&seen.events) {
        for _ in bytes {
            assert!(read.next().is_some_and(|read| read <= at), "written before it was read");
        }
    }
}

fn has(all: &[Arc<Active>], what: fn(&Effect) -> bool) -> bool {
    all.iter().any(|active| what(&active.fault.effect))
}

/// The offsets that one of these faults may change.
fn chosen(all: &[Arc<Active>], total: usize) -> BTreeSet<usize> {
    let corrupts = all.iter().filter(|active| matches!(active.fault.effect, Effect::Corrupt(_)));
    corrupts
        .flat_map(|active| {
            let mut lab = Lab::of(std::slice::from_ref(active));
            lab.send_in(total, total.max(1)).run();
            let pairs = lab.written().into_iter().zip(bytes_from(0, total)).enumerate();
            pairs.filter(|(_, (after, before))| after != before).map(|(at, _)| at).collect::<Vec<_>>()
        })
        .collect()
}

/// Whether these are bytes of that stream, in order, with some left out.
fn is_part_of(part: &[u8], whole: &[u8]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|byte| whole.any(|other| other == byte))
}

proptest! {
    // The same cases each time: a failure is a failure everywhere.
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, rng_seed: prop::test_runner::RngSeed::Fixed(42), ..ProptestConfig::default() })]

    /// Faults that only delay and cut: every byte arrives, in order, and then the FIN, at once when the faults go.
    #[test]
    fn gentle_faults_lose_nothing((items, steps) in steps(gentle)) {
        let (seen, _) = run(&items, &steps);
        check_always(&seen);
        check_causes(&seen);
        let read: Vec<u8> = seen.reads.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
        prop_assert_eq!(&read, &bytes_from(0, read.len()));
        prop_assert!(joined(&seen.events) == read, "bytes are lost, invented or out of order");
        let fins = seen.events.iter().filter(|(_, out)| *out == Out::Fin).count();
        prop_assert_eq!(fins, 1);
        // What was held goes at once, and so does what comes later.
        let cleared = seen.cleared.expect("nothing ends it");
        prop_assert!(seen.events.last().is_some_and(|(at, _)| *at <= cleared));
    }

    /// Any faults: what arrives is what an effect says, and nothing else.
    #[test]
    fn bytes_are_equal_unless_an_effect_says_otherwise((items, steps) in steps(any_fault)) {
        let (seen, all) = run(&items, &steps);
        check_always(&seen);
        let read: Vec<u8> = seen.reads.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
        let written = joined(&seen.events);
        prop_assert!(written.len() <= read.len());
        let corrupts = has(&all, |effect| matches!(effect, Effect::Corrupt(_)));
        if has(&all, |effect| matches!(effect, Effect::Blackhole(_))) {
            prop_assert!(corrupts || is_part_of(&written, &read));
            return Ok(());
        }
        check_causes(&seen);
        if corrupts {
            let chosen = chosen(&all, written.len());
            let changed = (0..written.len()).filter(|at| written[*at] != read[*at]);
            prop_assert!(changed.into_iter().all(|at| chosen.contains(&at)));
        } else {
            prop_assert!(read.starts_with(&written));
        }
        if seen.cleared.is_some() {
            prop_assert_eq!(written.len(), read.len());
        }
    }

    #[test]
    fn two_runs_are_equal((items, steps) in steps(any_fault)) {
        prop_assert_eq!(run(&items, &steps).0, run(&items, &steps).0);
    }

    /// The same message boundaries, whenever they come: what is decided about bytes is the same.
    #[test]
    fn decisions_do_not_hang_on_the_clock(items in prop::collection::vec(untimed(), 1..=3), gaps in prop::collection::vec(0..50u64, 20)) {
        let plan: Vec<_> = items.iter().zip(0..).map(|(item, seed)| active(item.clone(), seed)).collect();
        let run = |stretch: u64| {
            let mut lab = Lab::of(&plan);
            for gap in &gaps {
                lab.send_in(700, 700);
                let until = lab.now - lab.start + ms(gap * stretch);
                lab.run_to(until);
            }
            lab.run();
            let amounts: Vec<u64> = lab.chain.deeds().iter().map(|deed| deed.done.amount).collect();
            (lab.written(), amounts)
        };
        prop_assert_eq!(run(1), run(100));
    }
}
