//! What can be written of each effect, for whoever asks for it in another form than a document: the command line.
//!
//! Made from the schema of the configuration, so that there is one list of keys and one wording.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::Effect;

/// One effect as it can be written.
#[derive(Debug)]
pub struct Entry {
    /// Its word.
    pub word: &'static str,
    /// What it does, in a sentence.
    pub description: String,
    /// The keys under its word: its own first, then those of every fault.
    pub properties: Vec<Property>,
}

/// One key under an effect's word.
#[derive(Debug)]
pub struct Property {
    /// The key, in camelCase.
    pub key: String,
    /// What it says.
    pub description: String,
    /// Whether it must be there.
    pub required: bool,
    /// Whether it belongs to this effect; else every fault has it.
    pub own: bool,
    /// Whether it is text and nothing else: what looks like a number is text, too.
    pub text: bool,
    /// The words it can be, if it is one of a few.
    pub words: Vec<Word>,
    /// What it is when it is left out, where that is known.
    pub default: Option<Value>,
}

/// One of a few words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The word.
    pub word: String,
    /// What it means.
    pub description: String,
}

/// All effects, in the order of the documentation.
pub fn vocabulary() -> &'static [Entry] {
    static VOCABULARY: LazyLock<Vec<Entry>> = LazyLock::new(read);
    &VOCABULARY
}

fn read() -> Vec<Entry> {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let items = Effect::schemas(&mut generator);
    let definitions = generator.take_definitions(true);
    let bodies: Vec<(&'static str, &Value)> = Effect::WORDS
        .iter()
        .zip(&items)
        .filter_map(|(word, item)| Some((*word, body(item.get("anyOf")?, word)?)))
        .collect();
    // The effect that needs nothing has the keys that every fault has; the direction is only for those of a stream.
    let everyones = bodies.iter().find(|(word, _)| *word == "noop").and_then(|(_, body)| keys(body));
    let entry = |(word, body): &(&'static str, &Value)| {
        let required: Vec<&str> = body
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let mut properties: Vec<Property> = keys(body)
            .into_iter()
            .flatten()
            .map(|(key, schema)| Property {
                own: everyones.is_none_or(|everyones| !everyones.contains_key(key)),
                required: required.contains(&key.as_str()),
                ..property(key, schema, &definitions)
            })
            .collect();
        properties.sort_by_key(|property| (!property.own, !property.required));
        Entry { word, description: text(body, "description"), properties }
    };
    bodies.iter().map(entry).collect()
}

/// The schema of what stands under the word, among the forms that an item may have.
fn body<'a>(forms: &'a Value, word: &str) -> Option<&'a Value> {
    forms.as_array()?.iter().find_map(|form| form.get("properties")?.get(word))
}

fn keys(body: &Value) -> Option<&Map<String, Value>> {
    body.get("properties")?.as_object()
}

fn text(schema: &Value, key: &str) -> String {
    schema.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn property(key: &str, schema: &Value, definitions: &Map<String, Value>) -> Property {
    let mut types = Vec::new();
    let mut words = Vec::new();
    gather(schema, definitions, &mut types, &mut words, 0);
    types.retain(|name| name != "null");
    if types.iter().any(|name| name == "boolean") {
        words =
            ["true", "false"].map(|word| Word { word: word.to_owned(), description: String::new() }).into();
    }
    Property {
        key: key.to_owned(),
        description: text(schema, "description"),
        required: false,
        own: false,
        text: !types.is_empty() && types.iter().all(|name| name == "string"),
        words,
        default: schema.get("default").cloned().or_else(|| default(key)),
    }
}

/// The defaults that are never written out, and so are in no schema.
fn default(key: &str) -> Option<Value> {
    match key {
        "enabled" => Some(true.into()),
        "direction" => Some("downstream".into()),
        "skip" => Some(0.into()),
        "every" | "probability" => Some(1.into()),
        _ => None,
    }
}

/// The types a schema allows, and the words among them.
fn gather(
    schema: &Value,
    definitions: &Map<String, Value>,
    types: &mut Vec<String>,
    words: &mut Vec<Word>,
    depth: u8,
) {
    if depth > 8 {
        return;
    }
    let referred = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
    if let Some(definition) = referred.and_then(|name| definitions.get(name)) {
        gather(definition, definitions, types, words, depth + 1);
    }
    match schema.get("type") {
        Some(Value::String(name)) => types.push(name.clone()),
        Some(Value::Array(names)) => types.extend(names.iter().filter_map(Value::as_str).map(str::to_owned)),
        _ => {}
    }
    if let Some(word) = schema.get("const").and_then(Value::as_str) {
        words.push(Word { word: word.to_owned(), description: text(schema, "description") });
    }
    for one in ["anyOf", "oneOf"].iter().filter_map(|key| schema.get(*key)?.as_array()).flatten() {
        gather(one, definitions, types, words, depth + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(word: &str) -> &'static Entry {
        vocabulary().iter().find(|entry| entry.word == word).unwrap()
    }

    fn property(word: &str, key: &str) -> &'static Property {
        entry(word).properties.iter().find(|property| property.key == key).unwrap()
    }

    #[test]
    fn every_effect_is_there_and_every_key_says_what_it_is() {
        let words: Vec<&str> = vocabulary().iter().map(|entry| entry.word).collect();
        assert_eq!(words, Effect::WORDS);
        for entry in vocabulary() {
            assert!(!entry.description.is_empty(), "{}", entry.word);
            for property in &entry.properties {
                assert!(!property.description.is_empty(), "{}.{}", entry.word, property.key);
            }
        }
    }

    #[test]
    fn own_keys_come_first_and_needed_ones_before_them() {
        let keys: Vec<&str> =
            entry("latency").properties.iter().map(|property| property.key.as_str()).collect();
        assert_eq!(keys[..3], ["delay", "distribution", "jitter"]);
        assert!(keys[3..].contains(&"direction") && keys[3..].contains(&"for"), "{keys:?}");
        assert!(entry("drop").properties.iter().all(|property| property.key != "direction"));
        assert!(property("latency", "delay").required && !property("latency", "jitter").required);
    }

    #[test]
    fn types_are_those_of_the_file() {
        let text = |word, key| property(word, key).text;
        assert_eq!([text("latency", "delay"), text("drop", "name"), text("bandwidth", "rate")], [true; 3]);
        assert_eq!(
            [text("corrupt", "rate"), text("limit", "bytes"), text("drop", "probability")],
            [false; 3]
        );
        let words =
            |word, key| property(word, key).words.iter().map(|word| word.word.as_str()).collect::<Vec<_>>();
        assert_eq!(words("drop", "how"), ["close", "reset"]);
        assert_eq!(words("stall", "direction"), ["upstream", "downstream", "both"]);
        assert_eq!(words("noop", "enabled"), ["true", "false"]);
        assert!(words("reset", "after").is_empty());
    }
}
