//! The command that does the same again.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use clap::Command;

use super::shell::quoted;

/// The words of a command with the seed that was in force in it, if that was its own, ready for a shell: `--seed N`
/// right behind `run`, in place of any that was typed. Reports are left out, for one is enough; what stands behind `--`
/// is kept as it is.
pub(super) fn again(definition: &Command, words: &[OsString], seed: Option<u64>) -> String {
    let mut kept: Vec<String> = Vec::new();
    // Behind the program, if there is no command at all.
    let mut place = 1;
    let mut command = definition;
    let mut words = words.iter();
    kept.extend(words.next().map(|program| quoted(program)));
    while let Some(word) = words.next() {
        if word == "--" {
            kept.push("--".to_owned());
            break;
        }
        match Flag::read(word, command) {
            Some(flag) => {
                let value = if flag.value_follows { words.next() } else { None };
                if !flag.dropped {
                    kept.push(quoted(word));
                    kept.extend(value.map(|value| quoted(value)));
                }
            }
            None => {
                kept.push(quoted(word));
                if let Some(below) = word.to_str().and_then(|name| command.find_subcommand(name)) {
                    command = below;
                    place = kept.len();
                }
            }
        }
    }
    kept.extend(words.map(|word| quoted(word)));
    let place = place.min(kept.len());
    if let Some(seed) = seed {
        kept.splice(place..place, ["--seed".to_owned(), seed.to_string()]);
    }
    kept.join(" ")
}

/// A word that begins with a dash.
struct Flag {
    dropped: bool,
    value_follows: bool,
}

impl Flag {
    fn read(word: &OsStr, command: &Command) -> Option<Flag> {
        let bytes = word.as_bytes();
        if bytes.len() < 2 || bytes.first() != Some(&b'-') {
            return None;
        }
        if let Some(long) = bytes.strip_prefix(b"--") {
            let mut parts = long.splitn(2, |byte| *byte == b'=');
            let name = parts.next().unwrap_or_default();
            let takes = command.get_arguments().any(|arg| {
                arg.get_long().map(str::as_bytes) == Some(name) && arg.get_action().takes_values()
            });
            let dropped = name == b"seed" || name == b"report";
            return Some(Flag { dropped, value_follows: takes && parts.next().is_none() });
        }
        // Short ones may stand together; the first that takes a value has the rest for one, or the next word.
        let mut letters = word.to_str().unwrap_or_default().chars().skip(1);
        let takes = |letter: char| {
            let mut arguments = command.get_arguments();
            arguments.any(|arg| arg.get_short() == Some(letter) && arg.get_action().takes_values())
        };
        let value_follows = letters.any(takes) && letters.next().is_none();
        Some(Flag { dropped: false, value_follows })
    }
}

#[cfg(test)]
mod tests {
    use clap::{Arg, ArgAction};

    use super::*;

    fn definition() -> Command {
        let valued = |name: &'static str| Arg::new(name).long(name);
        let flags = || {
            [
                valued("config").short('c'),
                valued("seed"),
                valued("admin"),
                Arg::new("watch").long("watch").short('w').action(ArgAction::SetTrue),
            ]
        };
        let run = || Command::new("run").args(flags()).args([valued("scenario"), valued("report")]);
        Command::new("chaos-proxy")
            .args(flags())
            .subcommand(run().arg(Arg::new("command").num_args(1..).last(true)))
            .subcommand(Command::new("scenario").subcommand(run().arg(Arg::new("file"))))
    }

    fn again(line: &str) -> String {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        super::again(&definition(), &words, Some(7))
    }

    #[test]
    fn the_seed_stands_behind_run_and_reports_are_left_out() {
        for (typed, expected) in [
            ("chaos-proxy run -- pytest", "chaos-proxy run --seed 7 -- pytest"),
            ("chaos-proxy run --seed 3 -- x --seed 3", "chaos-proxy run --seed 7 -- x --seed 3"),
            ("p --seed=3 run --seed=4 -c r.yaml -- x", "p run --seed 7 -c r.yaml -- x"),
            (
                "p run --report junit=a --scenario s --report=json=b --report github -- x --report y",
                "p run --seed 7 --scenario s -- x --report y",
            ),
            ("p --config run --watch run -- run", "p --config run --watch run --seed 7 -- run"),
            ("p -crun -wc run run -- run", "p -crun -wc run run --seed 7 -- run"),
            ("p run -- -- run", "p run --seed 7 -- -- run"),
            ("p", "p --seed 7"),
            ("p run --seed", "p run --seed 7"),
            ("p run --report", "p run --seed 7"),
            ("p run --config", "p run --seed 7 --config"),
            ("p run --config -- x", "p run --seed 7 --config -- x"),
        ] {
            assert_eq!(again(typed), expected, "{typed}");
        }
        assert_eq!(super::again(&definition(), &[], Some(7)), "--seed 7");
    }

    #[test]
    fn a_daemon_elsewhere_has_its_own_seed() {
        let words = ["p", "scenario", "run", "f", "--report", "json=x", "--url", "u"].map(OsString::from);
        assert_eq!(super::again(&definition(), &words, None), "p scenario run f --url u");
    }

    #[test]
    fn words_are_quoted_on_both_sides() {
        let words: Vec<OsString> =
            ["p", "run", "-c", "my file", "--", "sh", "-c", "echo $X"].map(OsString::from).into();
        assert_eq!(
            super::again(&definition(), &words, Some(u64::MAX)),
            "p run --seed 18446744073709551615 -c 'my file' -- sh -c 'echo $X'"
        );
    }
}
