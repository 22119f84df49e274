//! A fault as a configuration writes it: a mapping of one key, the effect's word, with everything else inside.
//!
//! `drop: {how: reset, probability: 0.1}` holds keys of the effect (`how`), of the trigger (`probability`) and the name
//! in one mapping; it is read as all three. An effect that needs nothing may be a bare word.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{EnumAccess, Error, VariantAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Delay, Drop, Effect, Fault, FaultSpec, Hang, Trigger};
use crate::spec::Name;
use crate::spec::again::Together;

impl Effect {
    /// The words of all effects, in the order of the documentation.
    pub const WORDS: &'static [&'static str] = &["drop", "hang", "delay"];

    /// What becomes of a connection that is chosen, as words that follow "is": "accepted and at once closed".
    pub fn says(&self) -> String {
        match self {
            Effect::Drop(drop) => drop.says(),
            Effect::Hang(hang) => hang.says(),
            Effect::Delay(delay) => delay.says(),
        }
    }

    /// The same for a cell of a table: "drop", "hang, closed after 3s".
    pub fn brief(&self) -> String {
        match self {
            Effect::Drop(drop) => drop.brief(),
            Effect::Hang(hang) => hang.brief(),
            Effect::Delay(delay) => delay.brief(),
        }
    }
}

impl Fault {
    /// The fault for a cell of a table: `drop 30%`, `delay 200ms ±50ms`, `hang, closed after 3s`.
    pub fn brief(&self) -> String {
        let share = match self.trigger.probability.get() {
            1.0 => String::new(),
            _ => format!(" {}", self.trigger.probability),
        };
        let words = self.effect.brief();
        let (word, rest) = words.split_at(self.effect.word().len().min(words.len()));
        let off = if self.trigger.enabled { "" } else { " (off)" };
        format!("{word}{share}{rest}{off}")
    }
}

impl FaultSpec {
    fn read<'de, A, E>(parameters: A, effect: fn(E) -> Effect) -> Result<FaultSpec, A::Error>
    where
        A: VariantAccess<'de>,
        E: Deserialize<'de>,
    {
        let Together(naming, trigger, parameters): Together<Naming, Trigger, E> =
            parameters.newtype_variant()?;
        Ok(FaultSpec { name: naming.name, trigger, effect: effect(parameters) })
    }
}

impl<'de> Deserialize<'de> for FaultSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<FaultSpec, D::Error> {
        deserializer.deserialize_enum("fault", Effect::WORDS, FaultVisitor)
    }
}

struct FaultVisitor;

impl<'de> Visitor<'de> for FaultVisitor {
    type Value = FaultSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a fault")
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<FaultSpec, A::Error> {
        match data.variant::<Word>()? {
            (Word::Drop, parameters) => FaultSpec::read(parameters, Effect::Drop),
            (Word::Hang, parameters) => FaultSpec::read(parameters, Effect::Hang),
            (Word::Delay, parameters) => FaultSpec::read(parameters, Effect::Delay),
        }
    }
}

/// The words alone; what stands under them is read by the effect's own type.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", variant_identifier)]
enum Word {
    Drop,
    Hang,
    Delay,
}

/// The keys of every fault that belong neither to its trigger nor to its effect.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, expecting = "a mapping of its parameters")]
struct Naming {
    /// What the fault is called; unique on its route. Left out: the effect's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Name>,
    #[serde(skip_serializing, deserialize_with = "no_direction")]
    #[schemars(skip)]
    direction: (),
}

fn no_direction<'de, D: Deserializer<'de>>(_: D) -> Result<(), D::Error> {
    Err(D::Error::custom("has no meaning here\nthese faults act before any byte moves: take it away"))
}

impl Serialize for FaultSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut item = serializer.serialize_map(Some(1))?;
        item.serialize_key(self.effect.word())?;
        match &self.effect {
            Effect::Drop(effect) => item.serialize_value(&self.body(effect))?,
            Effect::Hang(effect) => item.serialize_value(&self.body(effect))?,
            Effect::Delay(effect) => item.serialize_value(&self.body(effect))?,
        }
        item.end()
    }
}

impl FaultSpec {
    fn body<'a, E>(&'a self, effect: &'a E) -> Body<'a, E> {
        let naming = Naming { name: self.name.clone(), direction: () };
        Body { naming, effect, trigger: &self.trigger }
    }
}

/// Only for writing: reading this way would lose the places.
#[derive(Serialize)]
struct Body<'a, E> {
    #[serde(flatten)]
    naming: Naming,
    #[serde(flatten)]
    effect: &'a E,
    #[serde(flatten)]
    trigger: &'a Trigger,
}

impl JsonSchema for FaultSpec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Fault".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut items = vec![item::<Drop>("drop", generator), item::<Hang>("hang", generator)];
        items.push(item::<Delay>("delay", generator));
        json_schema!({
            "description": "One thing that goes wrong: a mapping of one key, the effect's word.",
            "oneOf": items,
        })
    }
}

/// The schema of one effect's item: its own keys and those of every fault in one mapping; a bare word if none is needed.
fn item<E: JsonSchema>(word: &str, generator: &mut SchemaGenerator) -> Schema {
    let effect = E::json_schema(generator);
    let description = effect.get("description").cloned().unwrap_or_default();
    let required = effect.get("required").cloned().unwrap_or_else(|| serde_json::json!([]));
    let bare = required.as_array().is_some_and(Vec::is_empty);
    let mut properties = serde_json::Map::new();
    for schema in [&effect, &Naming::json_schema(generator), &Trigger::json_schema(generator)] {
        if let Some(own) = schema.get("properties").and_then(|own| own.as_object()) {
            properties.extend(own.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
    }
    let body = serde_json::json!({
        "type": if bare { serde_json::json!(["object", "null"]) } else { serde_json::json!("object") },
        "description": description,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    let mapping = serde_json::json!({
        "type": "object",
        "properties": {word: body},
        "required": [word],
        "additionalProperties": false,
    });
    if bare {
        json_schema!({"anyOf": [{"const": word, "description": description}, mapping]})
    } else {
        json_schema!({"anyOf": [mapping]})
    }
}
