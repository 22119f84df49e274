//! Toxics and effects: which is which, and how the attributes of the one are the parameters of the other.
//!
//! What an effect can do beyond its toxic stays as it is when attributes are laid over it: a `latency` with a normal
//! distribution is shown with its delay and jitter, and keeps the distribution when these are changed.

use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::{Number, Value};

use super::go_json::Object;
use super::refusal::Refusal;
use crate::fault::{
    Bandwidth, Blackhole, Effect, Latency, Limit, Loss, Noop, Reset, Shared, Slice, SlowClose, Stall, Then,
};
use crate::spec::{After, Period, Probability, Rate, Size};

/// Toxiproxy's kilobyte.
const KILO: u64 = 1000;

/// A kind of toxic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Toxic {
    Noop,
    Latency,
    Bandwidth,
    SlowClose,
    Timeout,
    ResetPeer,
    Slicer,
    LimitData,
    PacketLoss,
}

/// The attributes of a toxic, in Toxiproxy's order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Attributes(Vec<(&'static str, Value)>);

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl Toxic {
    /// All of them, in the order of the documentation.
    pub(super) const ALL: [Toxic; 9] = [
        Toxic::Latency,
        Toxic::Bandwidth,
        Toxic::SlowClose,
        Toxic::Timeout,
        Toxic::ResetPeer,
        Toxic::Slicer,
        Toxic::LimitData,
        Toxic::PacketLoss,
        Toxic::Noop,
    ];

    /// Its word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Toxic::Noop => "noop",
            Toxic::Latency => "latency",
            Toxic::Bandwidth => "bandwidth",
            Toxic::SlowClose => "slow_close",
            Toxic::Timeout => "timeout",
            Toxic::ResetPeer => "reset_peer",
            Toxic::Slicer => "slicer",
            Toxic::LimitData => "limit_data",
            Toxic::PacketLoss => "packet_loss",
        }
    }

    /// The kind with this word.
    pub(super) fn named(word: &str) -> Option<Toxic> {
        Toxic::ALL.into_iter().find(|toxic| toxic.word() == word)
    }

    /// The kind that an effect is, if Toxiproxy has a word for it.
    pub(super) fn of(effect: &Effect) -> Option<Toxic> {
        Some(match effect {
            Effect::Noop(_) => Toxic::Noop,
            Effect::Latency(_) => Toxic::Latency,
            Effect::Bandwidth(_) => Toxic::Bandwidth,
            // No bandwidth at all.
            Effect::Stall(stall) if *stall == Stall::default() => Toxic::Bandwidth,
            Effect::SlowClose(_) => Toxic::SlowClose,
            Effect::Blackhole(_) => Toxic::Timeout,
            Effect::Reset(Reset { after: After::Time(_) }) => Toxic::ResetPeer,
            Effect::Slice(_) => Toxic::Slicer,
            Effect::Limit(limit) if limit.then == Then::Close => Toxic::LimitData,
            Effect::Loss(_) => Toxic::PacketLoss,
            _ => return None,
        })
    }

    /// Its effect with these attributes and Toxiproxy's defaults.
    pub(super) fn effect(self, attributes: &Object) -> Result<Effect, Refusal> {
        let nothing = Size::new(0);
        let plain = match self {
            Toxic::Noop => Effect::Noop(Noop::default()),
            Toxic::Latency => Effect::Latency(Latency::default()),
            Toxic::Bandwidth => Effect::Stall(Stall::default()),
            Toxic::SlowClose => Effect::SlowClose(SlowClose { delay: Period::ZERO }),
            Toxic::Timeout => Effect::Blackhole(Blackhole::default()),
            Toxic::ResetPeer => Effect::Reset(Reset::default()),
            Toxic::Slicer => Effect::Slice(Slice { size: nothing, variation: nothing, delay: Period::ZERO }),
            Toxic::LimitData => Effect::Limit(Limit { bytes: nothing, then: Then::Close }),
            Toxic::PacketLoss => {
                Effect::Loss(Loss::new(Probability::new(0.1).unwrap_or(Probability::ALWAYS)))
            }
        };
        laid_over(plain, attributes)
    }
}

/// The attributes of an effect; none for one that Toxiproxy has no word for.
pub(super) fn attributes(effect: &Effect) -> Attributes {
    Attributes(match effect {
        Effect::Latency(it) => vec![("latency", millis(it.delay)), ("jitter", millis(it.jitter))],
        // A little is not nothing.
        Effect::Bandwidth(it) => {
            vec![("rate", whole(it.rate.bytes_per_second().saturating_add(KILO / 2) / KILO, 1))]
        }
        Effect::Stall(_) => vec![("rate", 0.into())],
        Effect::SlowClose(it) => vec![("delay", millis(it.delay))],
        Effect::Blackhole(it) => {
            vec![("timeout", it.close_after.map_or(0.into(), |time| whole(in_millis(time), 1)))]
        }
        Effect::Reset(Reset { after: After::Time(time) }) => vec![("timeout", millis(*time))],
        Effect::Slice(it) => vec![
            ("average_size", whole(it.size.bytes(), 0)),
            ("size_variation", whole(it.variation.bytes(), 0)),
            ("delay", whole(u64::try_from(it.delay.get().as_micros()).unwrap_or(u64::MAX), 0)),
        ],
        Effect::Limit(it) => vec![("bytes", whole(it.bytes.bytes(), 0))],
        Effect::Loss(it) => vec![("loss_rate", share(it.rate)), ("correlation", share(it.correlation))],
        _ => Vec::new(),
    })
}

/// An effect with attributes laid over it: those that are left out stay as they are.
pub(super) fn laid_over(effect: Effect, given: &Object) -> Result<Effect, Refusal> {
    let effect = match effect {
        Effect::Latency(it) => Effect::Latency(Latency {
            delay: read_millis(given, "latency")?.unwrap_or(it.delay),
            jitter: read_millis(given, "jitter")?.unwrap_or(it.jitter),
            ..it
        }),
        Effect::Bandwidth(_) | Effect::Stall(_) => bandwidth(effect, given)?,
        Effect::SlowClose(it) => {
            Effect::SlowClose(SlowClose { delay: read_millis(given, "delay")?.unwrap_or(it.delay) })
        }
        Effect::Blackhole(it) => Effect::Blackhole(Blackhole {
            close_after: match read_millis(given, "timeout")? {
                Some(time) => (!time.is_zero()).then_some(time),
                None => it.close_after,
            },
        }),
        Effect::Reset(it) => {
            Effect::Reset(Reset { after: read_millis(given, "timeout")?.map_or(it.after, After::Time) })
        }
        Effect::Slice(it) => sliced(it, given)?,
        Effect::Limit(it) => {
            Effect::Limit(Limit { bytes: given.whole("bytes")?.map_or(it.bytes, Size::new), ..it })
        }
        Effect::Loss(it) => Effect::Loss(Loss {
            rate: read_share(given, "loss_rate")?.unwrap_or(it.rate),
            correlation: read_share(given, "correlation")?.unwrap_or(it.correlation),
            ..it
        }),
        other => other,
    };
    let refused = |why: &str| Refusal::bad_body(why.replace('\n', ": "));
    effect.check().map_err(refused)?;
    Ok(effect)
}

fn bandwidth(effect: Effect, given: &Object) -> Result<Effect, Refusal> {
    let Some(kilobytes) = given.whole("rate")? else { return Ok(effect) };
    let bytes = kilobytes.checked_mul(KILO);
    let bytes = bytes.ok_or_else(|| Refusal::bad_body("`rate` is more than there can be"))?;
    Ok(match (Rate::new(bytes), effect) {
        (None, _) => Effect::Stall(Stall::default()),
        (Some(rate), Effect::Bandwidth(it)) => Effect::Bandwidth(Bandwidth { rate, ..it }),
        (Some(rate), _) => Effect::Bandwidth(Bandwidth { rate, burst: None, shared: Shared::default() }),
    })
}

fn sliced(it: Slice, given: &Object) -> Result<Effect, Refusal> {
    let size = given.whole("average_size")?.map_or(it.size, Size::new);
    let variation = given.whole("size_variation")?.map_or(it.variation, Size::new);
    let delay = given.whole("delay")?.map(|micros| period(Duration::from_micros(micros), "delay"));
    let delay = delay.transpose()?.unwrap_or(it.delay);
    if size.is_zero() {
        return Err(Refusal::bad_body("`average_size` must be at least 1"));
    }
    if variation >= size && !variation.is_zero() {
        return Err(Refusal::bad_body("`size_variation` must be below `average_size`"));
    }
    Ok(Effect::Slice(Slice { size, variation, delay }))
}

fn read_millis(given: &Object, key: &str) -> Result<Option<Period>, Refusal> {
    given.whole(key)?.map(|millis| period(Duration::from_millis(millis), key)).transpose()
}

fn period(time: Duration, key: &str) -> Result<Period, Refusal> {
    let period = Period::new(time);
    let too_long = || Refusal::bad_body(format_args!("`{key}` is more than a hundred years"));
    (period.get() == time).then_some(period).ok_or_else(too_long)
}

fn read_share(given: &Object, key: &str) -> Result<Option<Probability>, Refusal> {
    let Some(number) = given.number(key)? else { return Ok(None) };
    let share = Probability::new(number);
    share.map(Some).ok_or_else(|| Refusal::bad_body(format_args!("`{key}` is not within 0..1")))
}

/// How likely something is, as Toxiproxy shows it: with the digits of a short number, and whole where it is whole.
pub(super) fn share(probability: Probability) -> Value {
    let number = probability.get();
    if number.fract() == 0.0 {
        return Value::from(number as u64);
    }
    // Clients that count in short numbers send 0.1 as 0.10000000149011612.
    let short = (number as f32).to_string().parse().unwrap_or(number);
    Number::from_f64(short).map_or(Value::Null, Value::Number)
}

fn millis(period: Period) -> Value {
    whole(in_millis(period), 0)
}

/// To the nearest.
fn in_millis(period: Period) -> u64 {
    u64::try_from((period.get().as_micros() + 500) / 1000).unwrap_or(u64::MAX)
}

/// A whole number that is at least so much, and that 64 bits with a sign can hold.
fn whole(number: u64, least: u64) -> Value {
    Value::from(number.clamp(least, i64::MAX as u64))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn given(attributes: Value) -> Object {
        Object::of(attributes, "attributes").unwrap()
    }

    fn made(word: &str, attributes: Value) -> Result<Value, String> {
        let effect = Toxic::named(word).unwrap().effect(&given(attributes));
        let effect = effect.map_err(|refusal| refusal.message().to_owned())?;
        assert_eq!(Toxic::of(&effect), Toxic::named(word));
        Ok(serde_json::to_value(attributes_of(&effect)).unwrap())
    }

    fn attributes_of(effect: &Effect) -> Attributes {
        super::attributes(effect)
    }

    #[test]
    fn every_attribute_comes_back_as_it_was_given_and_defaults_are_toxiproxys() {
        for (word, attributes) in [
            ("noop", json!({})),
            ("latency", json!({"latency": 1000, "jitter": 10})),
            ("bandwidth", json!({"rate": 64})),
            ("bandwidth", json!({"rate": 0})),
            ("slow_close", json!({"delay": 250})),
            ("timeout", json!({"timeout": 300})),
            ("timeout", json!({"timeout": 0})),
            ("reset_peer", json!({"timeout": 2000})),
            ("slicer", json!({"average_size": 64, "size_variation": 32, "delay": 10})),
            ("limit_data", json!({"bytes": 1_000_000})),
            ("packet_loss", json!({"loss_rate": 0.25, "correlation": 0.5})),
        ] {
            assert_eq!(made(word, attributes.clone()), Ok(attributes), "{word}");
        }
        for (word, shown) in [
            ("noop", json!({})),
            ("latency", json!({"latency": 0, "jitter": 0})),
            ("bandwidth", json!({"rate": 0})),
            ("slow_close", json!({"delay": 0})),
            ("timeout", json!({"timeout": 0})),
            ("reset_peer", json!({"timeout": 0})),
            ("limit_data", json!({"bytes": 0})),
            ("packet_loss", json!({"loss_rate": 0.1, "correlation": 0})),
        ] {
            assert_eq!(made(word, Value::Null), Ok(shown), "{word}");
        }
        assert!(Toxic::ALL.iter().all(|toxic| Toxic::named(toxic.word()) == Some(*toxic)));
    }

    #[test]
    fn what_made_toxiproxy_crash_or_lie_is_refused() {
        for (word, attributes, words) in [
            ("latency", json!({"latency": -1}), "`latency` is below 0"),
            ("latency", json!({"latency": "1s"}), "`latency` must be a whole number and is a text"),
            ("latency", json!({"jitter": 1.5}), "`jitter` must be a whole number"),
            ("bandwidth", json!({"rate": -5}), "`rate` is below 0"),
            ("latency", json!({"jitter": i64::MAX}), "`jitter` is more than a hundred years"),
            ("slicer", json!({"average_size": 1, "delay": i64::MAX}), "`delay` is more than a hundred years"),
            ("bandwidth", json!({"rate": i64::MAX}), "`rate` is more than there can be"),
            ("slicer", json!({}), "`average_size` must be at least 1"),
            ("slicer", json!({"average_size": 10, "size_variation": 100}), "`size_variation` must be below"),
            ("slicer", json!({"average_size": 2_000_000_000_u64}), "1GiB"),
            ("packet_loss", json!({"loss_rate": 1.5}), "`loss_rate` is not within 0..1"),
            ("limit_data", json!({"bytes": -1}), "`bytes` is below 0"),
            ("timeout", json!({"timeout": -1}), "`timeout` is below 0"),
        ] {
            let refused = made(word, attributes.clone()).unwrap_err();
            assert!(refused.contains(words), "{word} {attributes}: {refused}");
        }
    }

    #[test]
    fn what_is_left_out_stays_also_what_toxiproxy_has_no_word_for() {
        let normal = json!({"delay": "1500us", "jitter": "9ms", "distribution": "normal"});
        let latency: Latency = serde_json::from_value(normal).unwrap();
        let changed =
            laid_over(Effect::Latency(latency), &given(json!({"jitter": 3, "other": "x"}))).unwrap();
        let Effect::Latency(changed) = changed else { unreachable!() };
        assert_eq!(serde_json::to_value(&changed).unwrap()["distribution"], "normal");
        assert_eq!((changed.delay.get().as_micros(), changed.jitter.get().as_millis()), (1500, 3));
    }

    #[test]
    fn a_bandwidth_of_nothing_is_a_stall_and_back() {
        let stalled = Toxic::Bandwidth.effect(&given(json!({"rate": 0}))).unwrap();
        assert_eq!(stalled, Effect::Stall(Stall::default()));
        let flows = laid_over(stalled, &given(json!({"rate": 7}))).unwrap();
        assert_eq!(attributes_of(&flows), Attributes(vec![("rate", 7.into())]));
        let stalled = laid_over(flows, &given(json!({"rate": 0}))).unwrap();
        assert_eq!(stalled, Effect::Stall(Stall::default()));
    }

    #[test]
    fn little_is_not_shown_as_nothing() {
        let slow = Bandwidth { rate: Rate::new(3).unwrap(), burst: None, shared: Shared::default() };
        assert_eq!(attributes_of(&Effect::Bandwidth(slow)), Attributes(vec![("rate", 1.into())]));
        let soon = Blackhole { close_after: Some(Period::new(Duration::from_micros(10))) };
        assert_eq!(attributes_of(&Effect::Blackhole(soon)), Attributes(vec![("timeout", 1.into())]));
    }

    #[test]
    fn shares_are_shown_short() {
        let shown = |number| share(Probability::new(number).unwrap()).to_string();
        assert_eq!(shown(f64::from(0.1_f32)), "0.1");
        assert_eq!(
            (shown(0.1), shown(1.0), shown(0.0), shown(0.333)),
            ("0.1".into(), "1".into(), "0".into(), "0.333".into())
        );
    }
}
