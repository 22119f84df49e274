//! How likely something is: a number within 0..1.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use serde::{Serialize, Serializer};

/// A number from 0 (never) to 1 (always), both included.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Probability(f64);

impl Probability {
    /// Every time.
    pub const ALWAYS: Probability = Probability(1.0);

    /// Not once.
    pub fn never() -> Probability {
        Probability(0.0)
    }

    /// None if `number` is not within 0..1.
    pub fn new(number: f64) -> Option<Probability> {
        // Adding zero turns -0 into 0, so that it never shows.
        (0.0..=1.0).contains(&number).then_some(Probability(number + 0.0))
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Probability {
    /// As a share of a hundred: `30%`, `0.05%`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The division by a power of ten of a decimal text would show its rounding; six digits hide it.
        let percent = self.0 * 100.0;
        if percent > 0.0 && percent < 0.000_1 {
            return write!(f, "{percent:.0e}%");
        }
        let text = format!("{percent:.6}");
        write!(f, "{}%", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl Serialize for Probability {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}

impl<'de> Deserialize<'de> for Probability {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Probability, D::Error> {
        deserializer.deserialize_f64(ProbabilityVisitor)
    }
}

struct ProbabilityVisitor;

impl Visitor<'_> for ProbabilityVisitor {
    type Value = Probability;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number within 0..1")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Probability, E> {
        Probability::new(number).ok_or_else(|| E::custom("is not within 0..1"))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Probability, E> {
        // Rounding is no matter: only 0 and 1 pass.
        self.visit_f64(number as f64)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Probability, E> {
        self.visit_f64(number as f64)
    }

    fn visit_i128<E: Error>(self, number: i128) -> Result<Probability, E> {
        self.visit_f64(number as f64)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Probability, E> {
        if text.ends_with('%') {
            return Err(E::custom("is not a number within 0..1\nfor 50% write 0.5"));
        }
        Err(E::invalid_type(Unexpected::Str(text), &self))
    }
}

impl JsonSchema for Probability {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Probability".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "number", "minimum": 0, "maximum": 1})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_belong_to_it() {
        assert_eq!(Probability::new(0.0).map(Probability::get), Some(0.0));
        assert_eq!(Probability::new(1.0), Some(Probability::ALWAYS));
        assert!(Probability::new(1.0 + f64::EPSILON).is_none());
        assert!(Probability::new(-f64::MIN_POSITIVE).is_none());
        assert!(Probability::new(f64::NAN).is_none());
        assert!(Probability::new(-0.0).unwrap().get().is_sign_positive());
    }

    #[test]
    fn shown_as_a_share_of_a_hundred() {
        let shown = |number| Probability::new(number).unwrap().to_string();
        assert_eq!(shown(0.3), "30%");
        assert_eq!(shown(0.07), "7%");
        assert_eq!(shown(0.0005), "0.05%");
        assert_eq!(shown(1.0), "100%");
        assert_eq!(shown(1e-9), "1e-7%");
    }
}
