//! `completions SHELL`: what a shell needs to finish our words.

use clap_complete::{Shell, generate};

use super::{definitions, fault};

/// The script for a shell.
pub(super) fn run(shell: Shell) -> String {
    let mut script = Vec::new();
    let mut whole = definitions::whole();
    if shell == Shell::Fish {
        // Its script knows two levels of commands; an effect would be a third.
        whole = whole.mut_subcommand("fault", |fault| fault.mut_subcommand("add", fault::with_flags));
    }
    generate(shell, &mut whole, "chaos-proxy", &mut script);
    // Made of our own words, which are texts.
    let script = String::from_utf8_lossy(&script).into_owned();
    if shell == Shell::Bash { mended(&script) } else { script }
}

/// The script for bash with two mistakes of its maker mended, after which it also completes what stands behind a command:
/// it looks for its commands under another name than it remembers them by, where the program's name has a dash (clap-rs/clap#6421); and
/// it takes an effect for the next word after `fault add`, where the route stands between.
fn mended(script: &str) -> String {
    let mut mended = String::with_capacity(script.len());
    let mut after_a_route = false;
    for line in script.replace("chaos__subcmd__proxy", "chaos__proxy").lines() {
        if line.trim_start().starts_with("opts=\"") {
            after_a_route = line.contains(" --url ") && line.contains(" refuseConnect ");
        }
        let line = if after_a_route { line.replace("-eq 3", "-eq 4") } else { line.to_owned() };
        mended.push_str(&line);
        mended.push('\n');
    }
    mended
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;
    use crate::cli::definitions::tests::all;

    /// Whatever a command is or takes, every shell knows it.
    #[test]
    fn every_script_knows_every_command_and_flag() {
        for shell in Shell::value_variants() {
            let script = run(*shell);
            for (words, command) in all() {
                let name = words.last().map_or("chaos-proxy", String::as_str);
                assert!(script.contains(name), "{shell}: {words:?}");
                for long in command.get_arguments().filter_map(clap::Arg::get_long) {
                    assert!(script.contains(long), "{shell}: {words:?} --{long}");
                }
            }
        }
    }
}
