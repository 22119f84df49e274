//! The command line: arguments → what to do → exit code. One file a command.

mod banner;
mod check;
mod demo;
mod exit;
mod explain;
mod flags;
mod said;
mod schema;
mod serve;
mod signals;

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

pub use exit::Exit;
pub use explain::explain;
use flags::{Cli, Command};
pub use said::{Said, environment};
pub use schema::run as schema;

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match &cli.command {
        None => serve::run(&cli.serve),
        Some(Command::Demo) => demo::run(&cli.serve),
        Some(Command::Check { files }) => answer(check::run(files)),
        Some(Command::Explain { files }) => answer(explain::run(files)),
        Some(Command::Schema) => print(&schema::run()).map(|()| Exit::Done),
    };
    let exit = outcome.unwrap_or_else(|failure| {
        say(&format!("{failure:#}"));
        Exit::Failed
    });
    crate::observe::Writer::stderr().flush();
    exit.into()
}

/// Answers on standard output, complains on standard error.
fn answer(said: Said) -> anyhow::Result<Exit> {
    print(&said.answer)?;
    if said.success() {
        return Ok(Exit::Done);
    }
    say(&said.complaint);
    Ok(Exit::Wrong)
}

/// Says something to the person at the terminal.
fn say(text: &str) {
    crate::observe::Writer::stderr().line(text.trim_end_matches('\n').to_owned());
}

/// Prints what a command was asked for. A reader that went away is no failure of ours; a full disk is one.
fn print(text: &str) -> anyhow::Result<()> {
    use std::io::{ErrorKind, Write};
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot write the answer"),
        _ => Ok(()),
    }
}
