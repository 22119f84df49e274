//! How a [`Bound`] is written, and which of them prove nothing.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde_json::{Value, json};

use super::bound::{Bound, Share};
use crate::spec::Period;

/// Something of which there can be more or less.
pub trait Amount: Copy + PartialOrd + fmt::Display {
    /// The least and the most there can be.
    const ENDS: (Self, Self);
    /// What to write, after "write".
    const WRITE: &'static str;
    /// A number alone is the most there may be; otherwise it is exactly what there must be.
    const ALONE_IS_MOST: bool = false;

    /// The amount that a text says; otherwise why there is none, and on a second line what to write.
    fn read(text: &str) -> Result<Self, String>;

    /// The amount that a number says which is no text.
    fn counted(number: f64) -> Result<Self, String>;

    /// The pattern of an amount in a text.
    const PATTERN: &'static str;

    /// The schema of an amount that is no text, if there are such.
    fn alone() -> Option<Value>;
}

impl Amount for u64 {
    const ENDS: (u64, u64) = (0, u64::MAX);
    const WRITE: &'static str = "\">= 100\", \"< 5\", \"10..20\" or a number alone";
    const PATTERN: &'static str = "[0-9]{1,19}";

    fn read(text: &str) -> Result<u64, String> {
        text.parse().map_err(|_| match text.parse::<f64>() {
            Ok(number) if number < 0.0 => "is negative\nnothing happens less than 0 times".to_owned(),
            Ok(number) if number >= u64::MAX as f64 => "is more than can be counted".to_owned(),
            Ok(_) => "is not a whole number\nwhat is counted is counted in whole numbers".to_owned(),
            Err(_) => unread::<u64>(),
        })
    }

    fn counted(number: f64) -> Result<u64, String> {
        // Whole numbers do not come this way.
        u64::read(&number.to_string())
    }

    fn alone() -> Option<Value> {
        Some(json!({"type": "integer", "minimum": 0, "maximum": u64::MAX}))
    }
}

impl Amount for Share {
    const ENDS: (Share, Share) = (Share(0.0), Share(1.0));
    const WRITE: &'static str = "\"<= 5%\", \"< 0.05\", \"1%..10%\" or a number within 0..1";
    const PATTERN: &'static str = r"(0?\.[0-9]{1,15}|0|1(\.0)?|([0-9]{1,2}(\.[0-9]{1,15})?|100) ?%)";

    fn read(text: &str) -> Result<Share, String> {
        let (digits, percent) = match text.strip_suffix('%') {
            Some(digits) => (digits.trim_end(), true),
            None => (text, false),
        };
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        // A hundredth of a decimal text, and not of what it was rounded to.
        let number = if percent { format!("{digits}e-2") } else { digits.to_owned() };
        match number.parse::<f64>() {
            Ok(number) if is_number && (!percent || number <= 1.0) => Share::counted(number),
            Ok(_) if is_number => Err("is not within 0%..100%".to_owned()),
            Ok(number) if number < 0.0 => Err("is negative\na share is within 0%..100%".to_owned()),
            _ => Err(unread::<Share>()),
        }
    }

    fn counted(number: f64) -> Result<Share, String> {
        match number {
            0.0..=1.0 => Ok(Share(number)),
            1.0..=100.0 => Err(format!("is not within 0..1\nfor a percentage write \"{number}%\"")),
            _ => Err("is not within 0..1\na share is within 0..1, or within 0%..100%".to_owned()),
        }
    }

    fn alone() -> Option<Value> {
        Some(json!({"type": "number", "minimum": 0, "maximum": 1}))
    }
}

impl Amount for Period {
    const ENDS: (Period, Period) = (Period::ZERO, Period::MAX);
    const WRITE: &'static str = "\"<= 2s\", \"1s..5s\" or a duration alone: at most so long";
    const ALONE_IS_MOST: bool = true;
    const PATTERN: &'static str = r"([0-9]{1,6}(\.[0-9]{1,3})?(h|m|s|ms|us)){1,3}";

    fn read(text: &str) -> Result<Period, String> {
        if text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-')) {
            text.parse().map_err(|why: crate::spec::period::PeriodError| why.to_string())
        } else {
            Err(unread::<Period>())
        }
    }

    fn counted(number: f64) -> Result<Period, String> {
        Period::read(&number.to_string())
    }

    fn alone() -> Option<Value> {
        None
    }
}

impl<T: Amount> FromStr for Bound<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Bound<T>, String> {
        /// The longer signs come first.
        type Sign<T> = (&'static str, fn(T) -> Bound<T>);
        let signs: [Sign<T>; 7] = [
            (">=", Bound::AtLeast),
            ("<=", Bound::AtMost),
            ("==", Bound::Exactly),
            ("!=", Bound::Not),
            (">", Bound::More),
            ("<", Bound::Less),
            ("=", Bound::Exactly),
        ];
        let text = text.trim();
        for (sign, bound) in signs {
            if let Some(amount) = text.strip_prefix(sign) {
                return T::read(amount.trim_start()).map(bound).and_then(Bound::checked);
            }
        }
        if let Some((low, high)) = text.split_once("..") {
            let (low, high) = (T::read(low.trim_end())?, T::read(high.trim_start())?);
            if low > high {
                return Err("is empty: its lower end is above its upper one\nturn them round".to_owned());
            }
            return Bound::Between(low, high).checked();
        }
        T::read(text).and_then(Bound::alone)
    }
}

impl<T: Amount> Bound<T> {
    /// What an amount without a sign means.
    fn alone(amount: T) -> Result<Bound<T>, String> {
        if T::ALONE_IS_MOST { Bound::AtMost(amount).checked() } else { Bound::Exactly(amount).checked() }
    }

    /// Refuses what always holds, and what never can.
    fn checked(self) -> Result<Bound<T>, String> {
        let (least, most) = T::ENDS;
        let (always, never) = match self {
            Bound::Less(n) => (false, n <= least),
            Bound::AtMost(n) => (n >= most, false),
            Bound::AtLeast(n) => (n <= least, false),
            Bound::More(n) => (false, n >= most),
            Bound::Between(n, m) => (n <= least && m >= most, false),
            Bound::Exactly(_) | Bound::Not(_) => (false, false),
        };
        if always {
            return Err("always holds\na check that cannot fail proves nothing".to_owned());
        }
        if never {
            let advice = match self {
                Bound::Less(_) => format!("nothing is below {least}"),
                _ => format!("nothing is above {most}"),
            };
            return Err(format!("can never hold\n{advice}"));
        }
        Ok(self)
    }
}

fn unread<T: Amount>() -> String {
    format!("is not understood\nwrite {}", T::WRITE)
}

impl<'de, T: Amount> Deserialize<'de> for Bound<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Bound<T>, D::Error> {
        deserializer.deserialize_any(BoundVisitor(PhantomData))
    }
}

struct BoundVisitor<T>(PhantomData<T>);

impl<T: Amount> Visitor<'_> for BoundVisitor<T> {
    type Value = Bound<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::WRITE)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Bound<T>, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Bound<T>, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Bound<T>, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i128<E: Error>(self, number: i128) -> Result<Bound<T>, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Bound<T>, E> {
        T::counted(number).and_then(Bound::alone).map_err(E::custom)
    }
}

impl<T: Amount> JsonSchema for Bound<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Bound".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let amount = T::PATTERN;
        let text = json!({
            "type": "string",
            "pattern": format!(r"^ *(((>=|<=|==|!=|>|<|=) *)?{amount}|{amount} *\.\. *{amount}) *$"),
        });
        json_schema!({"anyOf": T::alone().into_iter().chain([text]).collect::<Vec<Value>>()})
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn count(text: &str) -> Result<Bound<u64>, String> {
        text.parse()
    }

    fn share(text: &str) -> Result<Bound<Share>, String> {
        text.parse()
    }

    fn time(text: &str) -> Result<Bound<Period>, String> {
        text.parse()
    }

    #[test]
    fn counts_are_bounded_in_every_way() {
        assert_eq!(count(">= 100"), Ok(Bound::AtLeast(100)));
        assert_eq!(count(">5"), Ok(Bound::More(5)));
        assert_eq!(count(" <=  3 "), Ok(Bound::AtMost(3)));
        assert_eq!(count("< 1"), Ok(Bound::Less(1)));
        assert_eq!(count("== 0"), Ok(Bound::Exactly(0)));
        assert_eq!(count("= 0"), Ok(Bound::Exactly(0)));
        assert_eq!(count("0"), Ok(Bound::Exactly(0)));
        assert_eq!(count("!= 0"), Ok(Bound::Not(0)));
        assert_eq!(count("10..20"), Ok(Bound::Between(10, 20)));
        assert_eq!(count("0 .. 0"), Ok(Bound::Between(0, 0)));
    }

    #[test]
    fn shares_are_percentages_or_parts_of_one() {
        assert_eq!(share("<= 5%"), Ok(Bound::AtMost(Share(0.05))));
        assert_eq!(share("<= 0.05"), share("<= 5 %"));
        assert_eq!(share("0.1%"), Ok(Bound::Exactly(Share(0.001))));
        assert_eq!(share("1%..10%"), Ok(Bound::Between(Share(0.01), Share(0.1))));
        assert_eq!(share(".5..1"), Ok(Bound::Between(Share(0.5), Share(1.0))));
        for odd in ["inf", "nan", "1e-1", "+1%", "%", "5", "101%", "-1%", "<= x", "5%%", ""] {
            assert!(share(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn a_time_alone_is_the_most_there_may_be() {
        let seconds = |n| Period::new(Duration::from_secs(n));
        assert_eq!(time("2s"), Ok(Bound::AtMost(seconds(2))));
        assert_eq!(time("<= 2s"), Ok(Bound::AtMost(seconds(2))));
        assert_eq!(time("1s..5s"), Ok(Bound::Between(seconds(1), seconds(5))));
        assert!(time("2").unwrap_err().starts_with("has no unit"));
        assert!(time("soon").unwrap_err().starts_with("is not understood"));
    }

    #[test]
    fn what_cannot_fail_or_cannot_hold_is_no_check() {
        for always in [">= 0", "0..18446744073709551615", "<= 18446744073709551615"] {
            assert!(count(always).unwrap_err().starts_with("always holds"), "{always}");
        }
        for always in ["<= 100%", ">= 0", "0..1"] {
            assert!(share(always).unwrap_err().starts_with("always holds"), "{always}");
        }
        assert!(count("< 0").unwrap_err().starts_with("can never hold"));
        assert!(share("> 1").unwrap_err().starts_with("can never hold"));
        assert!(time("< 0s").unwrap_err().starts_with("can never hold"));
        assert!(count("20..10").unwrap_err().starts_with("is empty"));
    }
}
