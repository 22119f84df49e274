//! The command line as one tree, for completions and man pages: with the effects of `fault add`, which the parser reads
//! in a second step.

use clap::{Command, CommandFactory};

use super::fault;
use super::flags::Cli;

/// Every command there is.
pub(super) fn whole() -> Command {
    let named =
        |command: Command| command.subcommand_value_name("COMMAND").subcommand_help_heading("COMMANDS");
    let faults = |faults: Command| named(faults).mut_subcommand("add", fault::with_effects);
    named(Cli::command()).mut_subcommand("fault", faults)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::fault::Effect;

    /// Each command with the words that lead to it.
    pub(in crate::cli) fn all() -> Vec<(Vec<String>, Command)> {
        fn gather(words: &[String], command: &Command, into: &mut Vec<(Vec<String>, Command)>) {
            into.push((words.to_vec(), command.clone()));
            for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
                gather(&[words, &[below.get_name().to_owned()]].concat(), below, into);
            }
        }
        let mut root = whole();
        root.build();
        let mut all = Vec::new();
        gather(&[], &root, &mut all);
        all
    }

    #[test]
    fn the_tree_is_sound_and_has_every_effect() {
        whole().debug_assert();
        let words: Vec<String> = all().iter().map(|(words, _)| words.join(" ")).collect();
        for effect in Effect::WORDS {
            assert!(words.contains(&format!("fault add {effect}")), "{words:?}");
        }
    }

    /// Whoever asks how a command is typed sees all of it at once, and something to copy.
    #[test]
    fn every_help_fits_a_screen_and_has_an_example() {
        for (words, mut command) in all() {
            let help = command.render_help().to_string();
            assert!(help.lines().count() <= 50, "{words:?} {}\n{help}", help.lines().count());
            assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
            assert!(help.contains("\nExample:\n  ") || help.contains("\nExamples:\n  "), "{words:?}\n{help}");
            // Lines to copy are not folded, so they have to fit by themselves.
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(after.lines().all(|line| line.chars().count() <= 80), "{after}");
        }
    }
}
