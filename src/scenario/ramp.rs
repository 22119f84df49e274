//! The values between two others: for a parameter that is moved evenly.

use std::time::Duration;

use serde_json::Value;

use crate::spec::{Period, Rate, Size};

/// A ramp moves at most so often.
const MOST: u32 = 100;

/// And never more often than this.
const PACE: Duration = Duration::from_millis(100);

/// In how many moves a ramp of this length is made.
pub(super) fn moves(over: Duration) -> u32 {
    let fit = over.as_nanos() / PACE.as_nanos();
    u32::try_from(fit).unwrap_or(MOST).clamp(1, MOST)
}

/// When a move is made, from the begin of the ramp.
pub(super) fn after(over: Duration, nth: u32, of: u32) -> Duration {
    let nanos = over.as_nanos() * u128::from(nth) / u128::from(of.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// The value after the `nth` of so many moves from one value to another. None: there is nothing between such values.
pub(super) fn between(from: &Value, to: &Value, nth: u32, of: u32) -> Option<Value> {
    if nth >= of {
        // As it was written, to the letter.
        return Quantity::pair(from, to).map(|_| to.clone());
    }
    let (from, to) = Quantity::pair(from, to)?;
    let at = |from: f64, to: f64| from + (to - from) * f64::from(nth) / f64::from(of);
    let whole = |from: u64, to: u64| at(from as f64, to as f64).round() as u64;
    Some(match (from, to) {
        // Whole microseconds, which every place of a file can say.
        (Quantity::Time(from), Quantity::Time(to)) => {
            let micros = whole(micros(from), micros(to));
            Value::String(Period::new(Duration::from_micros(micros)).to_string())
        }
        (Quantity::Bytes(from), Quantity::Bytes(to)) => whole(from, to).into(),
        (Quantity::Rate(from), Quantity::Rate(to)) => {
            Value::String(Rate::new(whole(from, to).max(1))?.to_string())
        }
        (Quantity::Count(from), Quantity::Count(to)) => whole(from, to).into(),
        (from, to) => at(from.number()?, to.number()?).into(),
    })
}

/// What a parameter may be of which there can be more or less.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Quantity {
    Time(Duration),
    Bytes(u64),
    Rate(u64),
    Count(u64),
    Number(f64),
}

impl Quantity {
    /// Two values of one kind. A bare number of bytes stands beside a size.
    fn pair(from: &Value, to: &Value) -> Option<(Quantity, Quantity)> {
        let (from, to) = (Quantity::read(from)?, Quantity::read(to)?);
        Some(match (from, to) {
            (Quantity::Count(from), Quantity::Bytes(_)) => (Quantity::Bytes(from), to),
            (Quantity::Bytes(_), Quantity::Count(to)) => (from, Quantity::Bytes(to)),
            (from, to) if std::mem::discriminant(&from) == std::mem::discriminant(&to) => (from, to),
            (from, to) => {
                from.number().zip(to.number())?;
                (from, to)
            }
        })
    }

    fn read(value: &Value) -> Option<Quantity> {
        match value {
            Value::Number(number) => {
                number.as_u64().map(Quantity::Count).or_else(|| number.as_f64().map(Quantity::Number))
            }
            Value::String(text) => {
                let time = text.parse().map(|period: Period| Quantity::Time(period.get()));
                let rate = || text.parse().map(|rate: Rate| Quantity::Rate(rate.bytes_per_second()));
                let size = || text.parse().map(|size: Size| Quantity::Bytes(size.bytes()));
                time.ok().or_else(|| rate().ok()).or_else(|| size().ok())
            }
            _ => None,
        }
    }

    fn number(self) -> Option<f64> {
        match self {
            Quantity::Count(count) => Some(count as f64),
            Quantity::Number(number) => Some(number),
            _ => None,
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn halfway_is_in_the_middle_and_the_end_is_as_written() {
        for (from, middle, to) in [
            (json!("100ms"), json!("1.05s"), json!("2s")),
            (json!("2s"), json!("1s"), json!("0s")),
            (json!("64KiB/s"), json!("96KiB/s"), json!("128KiB/s")),
            (json!("1KiB"), json!(1536), json!("2KiB")),
            (json!(10), json!(1029), json!("2KiB")),
            (json!("2KiB"), json!(1024), json!(0)),
            (json!(0.1), json!(0.2), json!(0.3)),
            (json!(0), json!(0.25), json!(0.5)),
            (json!(1), json!(5), json!(9)),
        ] {
            let said = between(&from, &to, 1, 2).unwrap();
            match (said.as_f64(), middle.as_f64()) {
                (Some(said), Some(middle)) => assert!((said - middle).abs() < 1e-9, "{said} {middle}"),
                _ => assert_eq!(said, middle),
            }
            assert_eq!(between(&from, &to, 2, 2), Some(to));
        }
    }

    #[test]
    fn there_is_nothing_between_unlike_things() {
        for (from, to) in [
            (json!("100ms"), json!("2KiB")),
            (json!("1KiB/s"), json!("2KiB")),
            (json!("1KiB/s"), json!(7)),
            (json!("close"), json!("reset")),
            (json!(null), json!(1)),
            (json!(true), json!(false)),
            (json!("100ms"), json!(0.5)),
        ] {
            assert_eq!(between(&from, &to, 1, 2), None, "{from} {to}");
            assert_eq!(between(&from, &to, 2, 2), None, "{from} {to}");
        }
    }

    #[test]
    fn a_ramp_is_smooth_and_bounded() {
        let of = |seconds| moves(Duration::from_secs_f64(seconds));
        assert_eq!([of(0.01), of(0.1), of(1.0), of(10.0), of(86_400.0)], [1, 1, 10, 100, 100]);
        let over = Duration::from_secs(10);
        assert_eq!(after(over, 1, 100), Duration::from_millis(100));
        assert_eq!(after(over, 100, 100), over);
    }
}
