//! `man`: the manual, from the definitions that the command line is read with.

use std::io;
use std::path::PathBuf;

use clap::{Args, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::stop::Stop;
use super::{Exit, definitions};
use crate::observe::build;
use crate::spec::suggest::nearest;
use crate::spec::text::{shown, shown_short};

/// What the program reads from its environment, apart from what stands for a flag of the daemon.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("CHAOS_PROXY_URL", "Where the daemon is that a command speaks to, unless --url says so."),
    ("CHAOS_PROXY_TOKEN", "The token of the control API: the one to ask for, or the one to show."),
    ("CHAOS_PROXY_TOKEN_FILE", "A file with that token."),
    ("NO_COLOR", "If it is set and not empty, help and errors on a terminal are plain."),
];

/// With which a text begins, so that apostrophes stay what they are.
const PREAMBLE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";

#[derive(Debug, Args)]
pub(super) struct Manual {
    /// A command, as it is typed: fault add; left out: chaos-proxy itself
    #[arg(value_name = "COMMAND", conflicts_with = "dir")]
    command: Vec<String>,
    /// Write the pages of all commands into this directory
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// The page of one command; or a file for each, and the names of these.
pub(super) fn run(wanted: &Manual) -> Result<String, Stop> {
    let mut root = definitions::whole().disable_help_subcommand(true).mut_args(|arg| arg.hide_env(false));
    root.build();
    let Some(dir) = &wanted.dir else {
        return Ok(page(find(&root, &wanted.command)?));
    };
    let failed = |error: io::Error| {
        Stop::failed(format!("cannot write to {}: {error}", shown(&dir.display().to_string())))
    };
    std::fs::create_dir_all(dir).map_err(failed)?;
    let (mut written, mut left) = (String::new(), vec![&root]);
    while let Some(command) = left.pop() {
        let file = dir.join(format!("{}.1", title(command)));
        std::fs::write(&file, page(command)).map_err(failed)?;
        written.push_str(&format!("{}\n", shown(&file.display().to_string())));
        left.extend(command.get_subcommands());
    }
    Ok(written)
}

/// The command that these words lead to.
fn find<'a>(root: &'a Command, words: &[String]) -> Result<&'a Command, Stop> {
    words.iter().try_fold(root, |command, word| {
        command.find_subcommand(word).ok_or_else(|| {
            let mut known: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
            known.sort_unstable();
            let guess = match nearest(word, known.iter().copied()) {
                Some(name) => format!(": did you mean `{name}`?"),
                None => String::new(),
            };
            let help = match known.is_empty() {
                true => format!("help: nothing stands below `{}`", command.get_name()),
                false => format!("help: commands of `{}` are {}", command.get_name(), known.join(", ")),
            };
            Stop::wrong(format!("error: no command `{}`{guess}\n{help}", shown_short(word, 40)))
        })
    })
}

/// `chaos-proxy-fault-add`
fn title(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

/// Writes a part of a page.
type Part = fn(&Man, &mut dyn io::Write) -> io::Result<()>;

/// A page, in the language of `man`.
fn page(command: &Command) -> String {
    let man = Man::new(command.clone())
        .title(title(command))
        .date(build::day())
        .source(format!("chaos-proxy {}", build::VERSION));
    let mut text = Vec::new();
    let mut parts: Vec<Part> = vec![
        Man::render_title,
        Man::render_name_section,
        Man::render_synopsis_section,
        Man::render_description_section,
        Man::render_options_section,
    ];
    if command.has_subcommands() {
        parts.push(Man::render_subcommands_section);
    }
    for part in parts {
        // Into memory, which does not fail.
        let _ = part(&man, &mut text);
    }
    let _ = rest(command).to_writer(&mut text);
    // Each part brings it along; once is enough.
    PREAMBLE.to_owned() + &String::from_utf8_lossy(&text).replace(PREAMBLE, "")
}

/// What stands below the flags: examples as they are typed, and what concerns the program as a whole.
fn rest(command: &Command) -> Roff {
    let mut roff = Roff::new();
    let below = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let (lists, prose): (Vec<&str>, Vec<&str>) = below.split("\n\n").partition(|part| part.contains(":\n"));
    for (heading, lines) in lists.iter().filter_map(|part| part.split_once(":\n")) {
        roff.control("SH", [heading.to_uppercase().as_str()]).control("nf", []);
        for line in lines.lines() {
            roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
        }
        roff.control("fi", []);
    }
    if !below.is_empty() && !prose.is_empty() {
        roff.control("SH", ["NOTES"]);
        for part in prose {
            roff.control("PP", []).text([roman(part)]);
        }
    }
    if title(command) != "chaos-proxy" {
        roff.control("SH", ["SEE ALSO"]).text([bold("chaos-proxy"), roman("(1)")]);
        return roff;
    }
    let meanings = Exit::MEANINGS.iter().map(|(code, meaning)| (*code, *meaning));
    for (heading, terms) in
        [("ENVIRONMENT", ENVIRONMENT.to_vec()), ("EXIT STATUS", meanings.collect::<Vec<_>>())]
    {
        roff.control("SH", [heading]);
        for (term, meaning) in terms {
            roff.control("TP", []).text([bold(term)]).text([roman(meaning)]);
        }
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::definitions::tests::all;

    fn of(words: &[String]) -> String {
        run(&Manual { command: words.to_vec(), dir: None }).unwrap()
    }

    /// What `--help` says, the page says: no flag, no word for a value and no example is missing.
    #[test]
    fn every_command_has_a_page_with_all_that_its_help_has() {
        for (words, command) in all() {
            let page = of(&words).replace("\\-", "-").replace("\\&", "");
            let name =
                ["chaos-proxy"].into_iter().chain(words.iter().map(String::as_str)).collect::<Vec<_>>();
            let start = page.lines().find(|line| line.starts_with(".TH")).unwrap();
            assert!(start.starts_with(&format!(".TH {} 1 ", name.join("-"))), "{start}");
            for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS"] {
                assert!(page.contains(&format!(".SH {section}\n")), "{words:?} {section}");
            }
            for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
                if let Some(long) = arg.get_long() {
                    assert!(page.contains(&format!("--{long}")), "{words:?} --{long}\n{page}");
                }
                for value in arg.get_possible_values().iter().filter(|_| arg.get_action().takes_values()) {
                    assert!(page.contains(value.get_name()), "{words:?} {}", value.get_name());
                }
            }
            let below = command.get_after_help().unwrap().to_string();
            for line in below.lines().filter(|line| line.starts_with("  chaos-proxy")) {
                assert!(page.lines().any(|shown| shown == line.trim_start()), "{line}\n{page}");
            }
        }
    }

    #[test]
    fn the_page_of_the_program_tells_its_variables_and_exit_codes() {
        let page = of(&[]).replace("\\-", "-");
        for word in
            ["CHAOS_PROXY_DRAIN_TIMEOUT", "CHAOS_PROXY_TOKEN_FILE", ".SH EXAMPLES", ".SH \"EXIT STATUS\""]
        {
            assert!(page.contains(word), "{word}\n{page}");
        }
        assert!(page.contains("chaos-proxy-routes(1)") && page.contains(build::VERSION), "{page}");
    }

    #[test]
    fn a_slip_is_answered_with_what_was_meant() {
        let why = |words: &[&str]| {
            let command = words.iter().map(|word| (*word).to_owned()).collect();
            run(&Manual { command, dir: None }).unwrap_err()
        };
        let slip = why(&["fault", "remove"]);
        let answer = "error: no command `remove`\nhelp: commands of `fault` are add, ls, rm, set";
        assert_eq!((slip.exit, slip.why.as_str()), (Exit::Wrong, answer));
        assert!(why(&["conections"]).why.contains("did you mean `connections`?"));
        assert!(why(&["routes", "x"]).why.ends_with("help: nothing stands below `routes`"));
    }
}
