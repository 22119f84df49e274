//! The flags of faults: for each effect those that the configuration has as keys, with the same words.

use std::sync::LazyLock;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Command};
use serde_json::Value;

use crate::config::scalar_to_json;
use crate::fault::vocabulary::{Property, vocabulary};

/// A key of a fault as a flag.
#[derive(Debug)]
pub(super) struct Flag {
    /// The key.
    key: &'static str,
    /// `--close-after` without its dashes.
    long: String,
    /// `CLOSE-AFTER`.
    value: String,
    help: String,
    words: Vec<&'static str>,
    required: bool,
    own: bool,
}

/// Flags with what was typed for them: keys and texts.
pub(super) type Typed = Vec<(&'static str, String)>;

/// `close-after`, for `closeAfter`.
pub(super) fn kebab(key: &str) -> String {
    let mut out = String::with_capacity(key.len() + 4);
    for c in key.chars() {
        if c.is_ascii_uppercase() {
            out.push('-');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

fn flag(property: &'static Property) -> Flag {
    let long = kebab(&property.key);
    Flag {
        key: &property.key,
        value: long.to_ascii_uppercase(),
        long,
        help: property.description.trim_end_matches('.').to_owned(),
        words: property.words.iter().map(|word| word.word.as_str()).collect(),
        required: property.required,
        own: property.own,
    }
}

/// The flags of one effect; none if there is no such effect.
pub(super) fn of(effect: &str) -> Option<&'static [Flag]> {
    static FLAGS: LazyLock<Vec<(&'static str, Vec<Flag>)>> = LazyLock::new(|| {
        vocabulary().iter().map(|entry| (entry.word, entry.properties.iter().map(flag).collect())).collect()
    });
    FLAGS.iter().find(|(word, _)| *word == effect).map(|(_, flags)| flags.as_slice())
}

/// The flags of all effects, each once: for a change to a fault whose effect nobody has typed. None is required, and a
/// name cannot change.
pub(super) fn of_all() -> &'static [Flag] {
    static FLAGS: LazyLock<Vec<Flag>> = LazyLock::new(|| {
        let mut all: Vec<(Flag, Vec<&'static str>)> = Vec::new();
        for entry in vocabulary() {
            for property in entry.properties.iter().filter(|property| property.key != "name") {
                let new = flag(property);
                match all.iter_mut().find(|(known, _)| known.key == new.key) {
                    Some((known, effects)) => {
                        let more: Vec<_> =
                            new.words.into_iter().filter(|word| !known.words.contains(word)).collect();
                        known.words.extend(more);
                        effects.push(entry.word);
                    }
                    None => all.push((Flag { required: false, ..new }, vec![entry.word])),
                }
            }
        }
        all.sort_by_key(|(flag, _)| !flag.own);
        let brief = |(flag, effects): (Flag, Vec<_>)| Flag {
            help: help_of_all(&flag, &effects),
            value: "VALUE".to_owned(),
            ..flag
        };
        all.into_iter().map(brief).collect()
    });
    &FLAGS
}

/// What a flag says where it may be that of any effect: enough to find it. All that each effect makes of it would fill
/// more than a screen, and is told by the help of that effect.
fn help_of_all(flag: &Flag, effects: &[&str]) -> String {
    let brief = flag.help.split([';', '.', ',', ':', '(']).next().unwrap_or_default().trim_end();
    match effects {
        _ if !flag.own => brief.to_owned(),
        [effect] => format!("{effect}: {brief}"),
        effects => format!("Of {}", effects.join(", ")),
    }
}

/// Adds the flags to a command.
pub(super) fn add(command: Command, flags: &'static [Flag]) -> Command {
    let arg = |flag: &'static Flag| {
        let arg = Arg::new(flag.key)
            .long(flag.long.as_str())
            .value_name(flag.value.as_str())
            .help(flag.help.as_str())
            .required(flag.required)
            .help_heading(if flag.own { "What goes wrong" } else { "Whom it befalls, and how long" });
        if flag.words.is_empty() { arg } else { arg.value_parser(PossibleValuesParser::new(&flag.words)) }
    };
    command.args(flags.iter().map(arg))
}

/// What was typed for these flags.
pub(super) fn typed(matches: &ArgMatches, flags: &'static [Flag]) -> Typed {
    let value = |flag: &Flag| Some((flag.key, matches.try_get_one::<String>(flag.key).ok()??.clone()));
    flags.iter().filter_map(value).collect()
}

/// A typed value as JSON: of the type that a document would give it, but a key that is always text is text.
pub(super) fn value(effect: &str, key: &str, text: &str) -> Value {
    let property = property(effect, key);
    if property.is_some_and(|property| property.text) { text.into() } else { scalar_to_json(text) }
}

/// What a key of an effect can be.
pub(super) fn property(effect: &str, key: &str) -> Option<&'static Property> {
    let entry = vocabulary().iter().find(|entry| entry.word == effect)?;
    entry.properties.iter().find(|property| property.key == key)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fault::Effect;

    #[test]
    fn every_effect_has_sound_flags() {
        for word in Effect::WORDS {
            add(Command::new(*word), of(word).unwrap()).debug_assert();
        }
        add(Command::new("set"), of_all()).debug_assert();
        assert!(of("latencey").is_none());
    }

    #[test]
    fn flags_are_the_keys_of_the_file() {
        let long = |flags: &'static [Flag]| flags.iter().map(|flag| flag.long.as_str()).collect::<Vec<_>>();
        assert_eq!(
            long(of("hang").unwrap()),
            ["close-after", "client", "enabled", "every", "for", "name", "probability", "skip", "times"]
        );
        let aims = |effect| long(of(effect).unwrap()).contains(&"endpoint");
        assert_eq!(["latency", "refuseConnect", "connectDelay", "drop"].map(aims), [true, true, true, false]);
        let all = long(of_all());
        assert!(all.contains(&"delay") && all.contains(&"enabled") && !all.contains(&"name"), "{all:?}");
        let how = of_all().iter().find(|flag| flag.key == "how").unwrap();
        assert_eq!(how.words, ["close", "reset", "flip", "random", "zero"]);
    }

    #[test]
    fn values_have_the_types_of_a_document() {
        assert_eq!(value("latency", "delay", "200ms"), json!("200ms"));
        assert_eq!(value("latency", "delay", "200"), json!("200"));
        assert_eq!(value("latency", "name", "7"), json!("7"));
        assert_eq!(value("refuseConnect", "endpoint", "[::1]:80"), json!("[::1]:80"));
        assert_eq!(value("drop", "probability", "0.3"), json!(0.3));
        assert_eq!(value("drop", "enabled", "false"), json!(false));
        assert_eq!(value("limit", "bytes", "1024"), json!(1024));
        assert_eq!(value("limit", "bytes", "1KiB"), json!("1KiB"));
        assert_eq!(value("limit", "bytes", "0x10"), json!("0x10"));
        assert_eq!(value("teleport", "far", ".inf"), json!(".inf"));
    }
}
