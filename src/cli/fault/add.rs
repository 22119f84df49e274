//! `fault add ROUTE EFFECT …`: one command an effect, with the flags that it takes and no others.
//!
//! A route may have the name of an effect, which nested commands would take for the effect. So the effect and all behind
//! it are read in a second step, when the route is known.

use clap::{Arg, Args, Command, FromArgMatches, value_parser};
use hyper::Method;
use serde_json::{Map, Value, json};

use super::flags::{self, Typed};
use crate::cli::client::{Client, ClientFlags};
use crate::cli::stop::Stop;
use crate::cli::target::Target;
use crate::cli::undo::told;
use crate::cli::views;
use crate::fault::Effect;
use crate::fault::vocabulary::vocabulary;
use crate::spec::suggest::nearest;
use crate::spec::text::{shown, shown_short};

const EXAMPLE: &str = "Example:\n  chaos-proxy fault add db latency --delay 200ms --for 30s";

#[derive(Debug, Args)]
#[command(
    override_usage = "chaos-proxy fault add ROUTE EFFECT [FLAGS]",
    after_help = effects(),
)]
pub(crate) struct Add {
    /// The route
    #[arg(value_name = "ROUTE")]
    route: String,
    /// What goes wrong, and how: `fault add ROUTE EFFECT --help` lists the flags of each
    #[arg(value_name = "EFFECT", required = true, num_args = 1.., trailing_var_arg = true, allow_hyphen_values = true)]
    effect: Vec<String>,
    #[command(flatten)]
    client: ClientFlags,
}

/// What can go wrong, one effect a line.
fn effects() -> String {
    let mut text = "Effects:\n".to_owned();
    for entry in vocabulary() {
        // The first half of a sentence is enough to choose by; the whole stands in the help of the effect.
        let brief = entry.description.split([';', '.']).next().unwrap_or_default();
        text.push_str(&format!("  {:12} {brief}\n", entry.word));
    }
    text + "\n" + EXAMPLE
}

/// What stands behind the route.
#[derive(Debug, PartialEq)]
struct Wanted {
    effect: String,
    keys: Typed,
    at: Option<usize>,
}

/// Adds a fault.
pub(super) fn run(add: &Add) -> Result<String, Stop> {
    let (wanted, own) = match read(&add.effect) {
        Ok(read) => read?,
        Err(error) => error.exit(),
    };
    let client = Client::new(&own.or(&add.client))?;
    let keys: Map<String, Value> = wanted
        .keys
        .iter()
        .map(|(key, text)| ((*key).to_owned(), flags::value(&wanted.effect, key, text)))
        .collect();
    let mut target = Target::faults(&add.route);
    if let Some(at) = wanted.at {
        target = target.with("at", &at.to_string());
    }
    let reply = client.ask(Method::POST, &target, Some(&json!({ wanted.effect.as_str(): keys })))?;
    if client.json {
        return Ok(reply.line());
    }
    let item: Value = client.understand(&reply)?;
    let fault = views::Fault::read(&item).ok_or_else(|| client.stranger())?;
    let done = format!("{}: added {}{}", shown(&add.route), fault.told(), fault.lasts());
    Ok(told(&done, Some(&client.undo(["fault", "rm", &add.route, fault.name()]))))
}

/// Reads effect and flags. The outer error is one of clap's, or a wish for help; the inner one is ours.
#[allow(clippy::type_complexity, reason = "two kinds of refusal, told in two ways")]
fn read(typed: &[String]) -> Result<Result<(Wanted, ClientFlags), Stop>, clap::Error> {
    let (effect, rest) = match typed.split_first() {
        Some((effect, rest)) if !effect.starts_with('-') => (effect.as_str(), rest),
        _ => ("", typed),
    };
    let Some((word, flags)) =
        Effect::WORDS.iter().find(|word| **word == effect).and_then(|word| Some((*word, flags::of(word)?)))
    else {
        return Ok(Err(unknown(effect)));
    };
    let command =
        command(word, flags).no_binary_name(true).bin_name(format!("chaos-proxy fault add ROUTE {word}"));
    let matches = command.try_get_matches_from(rest)?;
    let wanted = Wanted {
        effect: word.to_owned(),
        keys: flags::typed(&matches, flags),
        at: matches.get_one("at").copied(),
    };
    Ok(Ok((wanted, ClientFlags::from_arg_matches(&matches)?)))
}

/// The command of one effect.
fn command(word: &'static str, flags: &'static [flags::Flag]) -> Command {
    let about = vocabulary().iter().find(|entry| entry.word == word).map_or("", |entry| &entry.description);
    let command = flags::add(Command::new(word).max_term_width(100), flags);
    let at = Arg::new("at")
        .long("at")
        .value_name("N")
        .value_parser(value_parser!(usize))
        .help("Its place among the faults of the route, from 0 [default: behind them]");
    // The flags bring a description of their own, which is not that of the effect.
    ClientFlags::augment_args(command.next_help_heading(None).arg(at))
        .about(about.trim_end_matches('.'))
        .after_help(format!("Example:\n  chaos-proxy fault add db {}", example(word)))
}

/// The definition of `fault add` with a command for each effect: what is read in two steps, as one tree.
pub(in crate::cli) fn with_effects(add: Command) -> Command {
    // Its arguments are there only once it is asked for.
    let add = Add::augment_args(add);
    let mut whole = Command::new("add").display_order(0).disable_help_subcommand(true);
    whole = whole
        .override_usage("chaos-proxy fault add ROUTE EFFECT [FLAGS]")
        .subcommand_value_name("EFFECT")
        .subcommand_help_heading("EFFECTS");
    whole = whole.about(add.get_about().cloned().unwrap_or_default()).after_help(EXAMPLE);
    whole = whole.args(add.get_arguments().filter(|arg| arg.get_id() != "effect").cloned());
    whole.subcommands(Effect::WORDS.iter().filter_map(|word| {
        let command = command(word, flags::of(word)?);
        let mut named = command.clone().bin_name(format!("chaos-proxy fault add ROUTE {word}"));
        let usage = named.render_usage().to_string();
        Some(command.override_usage(usage.trim_start_matches("Usage: ").to_owned()))
    }))
}

/// The same with the flags of all effects beside these, for who sees no further.
pub(in crate::cli) fn with_flags(mut add: Command) -> Command {
    let effects: Vec<Command> = add.get_subcommands().cloned().collect();
    for arg in effects.iter().flat_map(Command::get_arguments) {
        if add.get_arguments().all(|known| known.get_id() != arg.get_id()) {
            add = add.arg(arg.clone().required(false));
        }
    }
    add
}

/// An effect with flags that make sense.
fn example(effect: &str) -> &'static str {
    match effect {
        "drop" => "drop --probability 0.1",
        "hang" => "hang --close-after 3s",
        "delay" => "delay --delay 200ms --jitter 50ms",
        "refuseConnect" => "refuseConnect --for 30s",
        "connectDelay" => "connectDelay --delay 2s",
        "latency" => "latency --delay 200ms --jitter 50ms",
        "bandwidth" => "bandwidth --rate 64KiB/s --direction upstream",
        "slice" => "slice --size 10 --delay 5ms",
        "corrupt" => "corrupt --rate 0.0001",
        "loss" => "loss --rate 0.02",
        "limit" => "limit --bytes 10KiB --then reset",
        "reset" => "reset --after 10KiB --probability 0.02",
        "blackhole" => "blackhole --close-after 3s",
        "stall" => "stall --after 5s --hold 10s",
        "slowClose" => "slowClose --delay 5s",
        _ => "noop --times 1",
    }
}

fn unknown(typed: &str) -> Stop {
    let effects = format!("help: faults are {}", Effect::WORDS.join(", "));
    if typed.is_empty() {
        return Stop::wrong(format!(
            "error: the effect comes first: chaos-proxy fault add ROUTE EFFECT [FLAGS]\n{effects}"
        ));
    }
    let guess = match nearest(typed, Effect::WORDS.iter().copied()) {
        Some(word) => format!(": did you mean `{word}`?"),
        None => String::new(),
    };
    Stop::wrong(format!("error: unknown fault `{}`{guess}\n{effects}", shown_short(typed, 40)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(words: &str) -> Result<Result<(Wanted, ClientFlags), Stop>, clap::Error> {
        read(&words.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn an_effect_takes_its_flags() {
        let (wanted, client) =
            typed("latency --delay 200ms --for 30s --at 0 --url http://h:1 --json").unwrap().unwrap();
        let keys = vec![("delay", "200ms".to_owned()), ("for", "30s".to_owned())];
        assert_eq!(wanted, Wanted { effect: "latency".to_owned(), keys, at: Some(0) });
        assert_eq!((client.url.as_deref(), client.json), (Some("http://h:1"), true));
    }

    /// What the help of an effect says to type is taken by the command line and, as a configuration, by the daemon.
    #[test]
    fn the_example_of_every_effect_is_accepted() {
        for word in Effect::WORDS {
            let (wanted, _) = typed(example(word)).unwrap().unwrap();
            assert_eq!(wanted.effect, *word);
            let keys =
                wanted.keys.iter().map(|(key, text)| ((*key).to_owned(), flags::value(word, key, text)));
            let fault = json!({ *word: keys.collect::<Map<_, _>>() });
            let routes = json!({"routes": [{"localPort": 1, "upstream": "builtin:echo", "faults": [fault]}]});
            crate::config::Config::from_text(&routes.to_string()).unwrap();
        }
    }

    #[test]
    fn slips_are_answered_with_what_was_meant() {
        let error = |words| typed(words).unwrap_err().to_string();
        assert!(error("latency --dealy 1s").contains("'--delay'"), "{}", error("latency --dealy 1s"));
        assert!(error("latency").contains("--delay <DELAY>"), "{}", error("latency"));
        assert!(
            error("drop --how rest").contains("[possible values: close, reset]"),
            "{}",
            error("drop --how rest")
        );
        let ours = |words| typed(words).unwrap().unwrap_err().why;
        assert!(
            ours("latencey --delay 1s").starts_with(
                "error: unknown fault `latencey`: did you mean `latency`?\nhelp: faults are drop,"
            )
        );
        assert!(ours("--delay 1s").starts_with("error: the effect comes first"));
    }

    #[test]
    fn help_lists_exactly_what_an_effect_takes() {
        let help = typed("latency --help").unwrap_err().to_string();
        for word in [
            "Usage: chaos-proxy fault add ROUTE latency [OPTIONS] --delay <DELAY>",
            "--jitter",
            "--direction",
        ] {
            assert!(help.contains(word), "{help}");
        }
        assert!(!help.contains("--rate") && help.lines().count() <= 50, "{help}");
    }
}
