//! The command line: arguments → what to do → exit code. One file a command.

mod address;
mod again;
mod banner;
mod check;
mod client;
mod completions;
mod connections;
mod convert;
mod definitions;
mod demo;
mod events;
mod exit;
mod explain;
mod fault;
mod flags;
mod gate;
mod health;
mod healthcheck;
mod launch;
mod man;
mod refusal;
mod reload;
mod report_flag;
mod reports;
mod routes;
mod run;
mod said;
mod scenario;
mod schema;
mod serve;
mod shell;
mod signals;
mod sse;
mod stop;
mod table;
mod target;
mod token;
mod toxiproxy;
mod undo;
mod views;

use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, FromArgMatches};

pub use exit::Exit;
pub use explain::explain;
use flags::{Cli, Command};
pub use said::{Said, environment};
pub use schema::{Subject, run as schema};

/// Runs the program.
pub fn main() -> ExitCode {
    let matches = Cli::command().get_matches_from(toxiproxy::rewritten(std::env::args_os()));
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    if let Some(flag) = flags::misplaced(&cli, &matches) {
        say(&format!(
            "{flag} is a flag of the daemon and says nothing to this command{}",
            if matches!(cli.command, Some(Command::Demo(_) | Command::Run(_))) {
                ""
            } else {
                "; a daemon is named by --url"
            }
        ));
        crate::observe::Writer::stderr().flush();
        return Exit::Wrong.into();
    }
    let outcome = match &cli.command {
        None => Ok(serve::run(&cli.serve, &cli.toxiproxy)),
        Some(Command::Demo(flags)) => Ok(demo::run(&flags.clone().or(&cli.serve))),
        Some(Command::Run(command)) => Ok(run::run(command, &cli.serve)),
        Some(Command::Check { files, json }) => answer(check::run(files, *json)),
        Some(Command::Explain { files }) => answer(explain::run(files)),
        Some(Command::Schema { of }) => print(&schema::run(*of)).map(|()| Exit::Done),
        Some(Command::Routes(flags)) => stop::tell(routes::run(flags)),
        Some(Command::Fault(command)) => stop::tell(fault::run(command)),
        Some(Command::Open(open)) => stop::tell(gate::open(open)),
        Some(Command::Close(close)) => stop::tell(gate::close(close)),
        Some(Command::Connections(connections)) => stop::tell(connections::run(connections)),
        Some(Command::Restore(flags)) => stop::tell(reload::restore(flags)),
        Some(Command::Reload(flags)) => stop::tell(reload::reload(flags)),
        Some(Command::Events(events)) => stop::tell(events::run(events)),
        Some(Command::Convert { file }) => stop::tell(convert::run(file)),
        Some(Command::Completions { shell }) => print(&completions::run(*shell)).map(|()| Exit::Done),
        Some(Command::Man(manual)) => stop::tell(man::run(manual)),
        Some(Command::Scenario(command)) => scenario::run(command),
        Some(Command::Healthcheck(healthcheck)) => stop::tell(healthcheck::run(healthcheck)),
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
    if !said.complaint.is_empty() {
        say(&said.complaint);
    }
    Ok(Exit::Wrong)
}

/// Says something to the person at the terminal.
fn say(text: &str) {
    crate::observe::Writer::stderr().line(text.trim_end_matches('\n').to_owned());
}

/// Prints what a command was asked for. A reader that went away is no failure of ours; a full disk is one.
fn print(text: &str) -> anyhow::Result<()> {
    print_or_gone(text).map(|_| ())
}

/// The same; says whether there still is a reader.
fn print_or_gone(text: &str) -> anyhow::Result<bool> {
    use std::io::{ErrorKind, Write};
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("cannot write the answer"),
    }
}
