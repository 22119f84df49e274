//! A fault as a configuration writes it: a mapping of one key, the effect's word, with everything else inside.
//!
//! `drop: {how: reset, probability: 0.1}` holds keys of the effect (`how`), of the trigger (`probability`) and the name
//! in one mapping; it is read as all three. An effect that needs nothing may be a bare word.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{EnumAccess, Error, VariantAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::effect::Word;
use super::{Effect, Fault, Stage, Trigger};
use crate::observe::Direction;
use crate::spec::Name;
use crate::spec::again::Together;

/// One fault as a configuration writes it: an effect with its parameters, and beside them its name and trigger.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultSpec {
    /// Left out: the effect's word.
    pub name: Option<Name>,
    /// Left out: downstream.
    pub direction: Option<Directions>,
    /// Whom it befalls.
    pub trigger: Trigger,
    /// What goes wrong.
    pub effect: Effect,
}

/// Which way a fault acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Directions {
    /// On what the client sends.
    Upstream,
    /// On what the server sends.
    #[default]
    Downstream,
    /// On each, as two faults that know nothing of each other.
    Both,
}

impl Directions {
    /// Whether it acts this way.
    pub fn include(self, direction: Direction) -> bool {
        match self {
            Directions::Upstream => direction == Direction::Upstream,
            Directions::Downstream => direction == Direction::Downstream,
            Directions::Both => true,
        }
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Directions::Upstream => "upstream",
            Directions::Downstream => "downstream",
            Directions::Both => "both",
        }
    }
}

impl FaultSpec {
    /// What it means on a route that has these names already. Without a name of its own it is called by its effect's
    /// word, and, where that is taken, by the word and its direction.
    pub fn meant(&self, taken: impl Fn(&str) -> bool) -> Fault {
        let word = self.effect.word();
        let direction = self.direction.unwrap_or_default();
        let name = match &self.name {
            Some(name) => name.shared(),
            None if taken(word) && self.effect.stage() == Stage::Stream && direction != Directions::Both => {
                format!("{word}-{}", direction.word()).into()
            }
            None => word.into(),
        };
        Fault { name, direction, trigger: self.trigger.clone(), effect: self.effect.clone() }
    }

    pub(super) fn read<'de, A, E>(
        parameters: A,
        stage: Stage,
        effect: fn(E) -> Effect,
    ) -> Result<FaultSpec, A::Error>
    where
        A: VariantAccess<'de>,
        E: Deserialize<'de>,
    {
        let spec = match stage {
            Stage::Accept => {
                let Together(AtAccept { name, .. }, trigger, parameters): Together<AtAccept, Trigger, E> =
                    parameters.newtype_variant()?;
                FaultSpec { name, direction: None, trigger, effect: effect(parameters) }
            }
            Stage::Dial => {
                let Together(naming, trigger, parameters): Together<Undirected, Trigger, E> =
                    parameters.newtype_variant()?;
                FaultSpec { name: naming.name, direction: None, trigger, effect: effect(parameters) }
            }
            Stage::Stream => {
                let Together(naming, trigger, parameters): Together<Naming, Trigger, E> =
                    parameters.newtype_variant()?;
                FaultSpec {
                    name: naming.name,
                    direction: naming.direction,
                    trigger,
                    effect: effect(parameters),
                }
            }
        };
        spec.effect.check().map_err(A::Error::custom)?;
        Ok(spec)
    }
}

impl From<&Fault> for FaultSpec {
    /// The full form: the name is written out, and for what acts on a stream the direction.
    fn from(fault: &Fault) -> FaultSpec {
        FaultSpec {
            name: Some(Name::checked(&fault.name)),
            direction: (fault.effect.stage() == Stage::Stream).then_some(fault.direction),
            trigger: fault.trigger.clone(),
            effect: fault.effect.clone(),
        }
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
        let (word, parameters) = data.variant::<Word>()?;
        word.read(parameters)
    }
}

/// The keys of every stream fault that belong neither to its trigger nor to its effect.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, expecting = "a mapping of its parameters")]
struct Naming {
    /// What the fault is called; unique on its route. Left out: the effect's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Name", default)]
    name: Option<Name>,
    /// Which way it acts. Left out: downstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Directions", default)]
    direction: Option<Directions>,
}

/// The same for faults that act on the dial.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, expecting = "a mapping of its parameters")]
struct Undirected {
    /// What the fault is called; unique on its route. Left out: the effect's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Name", default)]
    name: Option<Name>,
    #[serde(skip_serializing, deserialize_with = "no_direction")]
    #[schemars(skip)]
    direction: (),
}

/// The same for faults that act at the accept, when no endpoint is chosen yet.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, expecting = "a mapping of its parameters")]
struct AtAccept {
    /// What the fault is called; unique on its route. Left out: the effect's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Name", default)]
    name: Option<Name>,
    #[serde(skip_serializing, deserialize_with = "no_direction")]
    #[schemars(skip)]
    direction: (),
    #[serde(skip_serializing, deserialize_with = "no_endpoint")]
    #[schemars(skip)]
    endpoint: (),
}

fn no_endpoint<'de, D: Deserializer<'de>>(_: D) -> Result<(), D::Error> {
    Err(D::Error::custom("has no meaning here\nthese faults act before an endpoint is chosen: take it away"))
}

fn no_direction<'de, D: Deserializer<'de>>(_: D) -> Result<(), D::Error> {
    Err(D::Error::custom("has no meaning here\nthese faults act before any byte moves: take it away"))
}

impl Serialize for FaultSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut item = serializer.serialize_map(Some(1))?;
        item.serialize_key(self.effect.word())?;
        self.effect.serialize_into(self, &mut item)?;
        item.end()
    }
}

impl FaultSpec {
    pub(super) fn body<'a, E>(&'a self, effect: &'a E) -> Body<'a, E> {
        let naming = Naming { name: self.name.clone(), direction: self.direction };
        Body { naming, effect, trigger: &self.trigger }
    }
}

/// Only for writing: reading this way would lose the places.
#[derive(Serialize)]
pub(super) struct Body<'a, E> {
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
        let items = Effect::schemas(generator);
        json_schema!({
            "description": "One thing that goes wrong: a mapping of one key, the effect's word.",
            "oneOf": items,
        })
    }
}

/// The schema of one effect's item: its own keys and those of every fault in one mapping; a bare word if none is needed.
pub(super) fn item_schema<E: JsonSchema>(
    word: &str,
    stage: Stage,
    generator: &mut SchemaGenerator,
) -> Schema {
    let naming = match stage {
        Stage::Accept => AtAccept::json_schema(generator),
        Stage::Dial => Undirected::json_schema(generator),
        Stage::Stream => Naming::json_schema(generator),
    };
    let effect = E::json_schema(generator);
    let description = effect.get("description").cloned().unwrap_or_default();
    let required = effect.get("required").cloned().unwrap_or_else(|| serde_json::json!([]));
    let bare = required.as_array().is_some_and(Vec::is_empty);
    let mut properties = serde_json::Map::new();
    for schema in [&effect, &naming, &Trigger::json_schema(generator)] {
        if let Some(own) = schema.get("properties").and_then(|own| own.as_object()) {
            properties.extend(own.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
    }
    if stage == Stage::Accept {
        properties.remove("endpoint");
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
