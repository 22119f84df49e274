//! What can be typed.

use std::path::PathBuf;

use clap::builder::{BoolishValueParser, Resettable};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use serde::de::{DeserializeOwned, IntoDeserializer};

use super::client::ClientFlags;
use super::connections::Connections;
use super::events::Events;
use super::fault::FaultCommand;
use super::gate::{Close, Open};
use super::healthcheck::Healthcheck;
use super::man::Manual;
use super::run::Run;
use super::scenario::ScenarioCommand;
use super::schema::Subject;
use super::toxiproxy::ToxiproxyFlags;
use crate::config::{AdminSpec, Overrides};
use crate::observe::{Filter, Format, build};
use crate::route::Bind;
use crate::spec::Period;

const EXAMPLES: &str = "\
Each of these flags has a variable: --log-level is CHAOS_PROXY_LOG_LEVEL.

Examples:
  chaos-proxy demo                                try it: no file needed
  chaos-proxy --config routes.yaml --seed 42      the same chaos again
  chaos-proxy check routes.yaml                   find every mistake in a file
  chaos-proxy fault add db latency --delay 200ms  break it, now
  chaos-proxy fault rm db latency                 mend it; restore: all of it
  chaos-proxy close db --connections reset        a service is down; open db: up
  chaos-proxy run -c routes.yaml -- pytest        a test, and faults around it

Ctrl-C or SIGTERM: connections under way finish, a second signal ends them.";

const COMPLETIONS: &str = "\
Examples:
  echo 'source <(chaos-proxy completions bash)' >> ~/.bashrc
  chaos-proxy completions zsh > \"${fpath[1]}/_chaos-proxy\"
  chaos-proxy completions fish > ~/.config/fish/completions/chaos-proxy.fish
  chaos-proxy completions elvish >> ~/.config/elvish/rc.elv
  chaos-proxy completions powershell >> $PROFILE";

const MANUAL: &str = "\
Examples:
  chaos-proxy man | man -l -
  chaos-proxy man fault add latency | man -l -
  chaos-proxy man --dir ~/.local/share/man/man1";

/// A TCP proxy that makes the network go wrong: on purpose, exactly as asked, and the same way again tomorrow.
#[derive(Debug, Parser)]
#[command(version = build::VERSION, long_version = build::full(), after_help = EXAMPLES, max_term_width = 100)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) serve: ServeFlags,
    #[command(flatten)]
    pub(super) toxiproxy: ToxiproxyFlags,
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

/// Flags of the daemon; each beats its variable, which beats the file.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct ServeFlags {
    /// The configuration, YAML or JSON
    #[arg(long, short, value_name = "FILE", hide_env = true, env = "CHAOS_PROXY_CONFIG")]
    pub(super) config: Option<PathBuf>,
    /// Default address to listen on; "*" is every one
    #[arg(long, value_name = "ADDR", hide_env = true, env = "CHAOS_PROXY_BIND", value_parser = as_in_a_file::<Bind>)]
    pub(super) bind: Option<Bind>,
    /// Where the control API listens, or off
    #[arg(long, value_name = "ADDR|off", hide_env = true, env = "CHAOS_PROXY_ADMIN")]
    pub(super) admin: Option<AdminSpec>,
    /// The seed of all chance
    #[arg(long, value_name = "N", hide_env = true, env = "CHAOS_PROXY_SEED")]
    pub(super) seed: Option<u64>,
    /// What to log: info, or warn,connection=info
    #[arg(long, value_name = "LEVEL", hide_env = true, env = "CHAOS_PROXY_LOG_LEVEL")]
    pub(super) log_level: Option<Filter>,
    /// How to log
    #[arg(long, value_name = "FORMAT", hide_env = true, env = "CHAOS_PROXY_LOG_FORMAT")]
    pub(super) log_format: Option<LogFormat>,
    /// How long connections may finish when stopping
    #[arg(long, value_name = "DURATION", hide_env = true, env = "CHAOS_PROXY_DRAIN_TIMEOUT")]
    pub(super) drain_timeout: Option<Period>,
    /// Reload whenever the file changes
    #[arg(long, hide_env = true, env = "CHAOS_PROXY_WATCH", value_parser = BoolishValueParser::new())]
    pub(super) watch: bool,
}

impl ServeFlags {
    /// These, and where they say nothing the others.
    pub(super) fn or(self, others: &ServeFlags) -> ServeFlags {
        let others = others.clone();
        ServeFlags {
            config: self.config.or(others.config),
            bind: self.bind.or(others.bind),
            admin: self.admin.or(others.admin),
            seed: self.seed.or(others.seed),
            log_level: self.log_level.or(others.log_level),
            log_format: self.log_format.or(others.log_format),
            drain_timeout: self.drain_timeout.or(others.drain_timeout),
            watch: self.watch || others.watch,
        }
    }

    /// What they say over the file.
    pub(super) fn overrides(&self) -> Overrides {
        Overrides {
            bind: self.bind,
            admin: self.admin.clone(),
            seed: self.seed,
            log_level: self.log_level.clone(),
            log_format: self.log_format.map(Format::from),
            drain_timeout: self.drain_timeout,
            ..Overrides::default()
        }
    }
}

/// A flag of the daemon that was typed before a command which has no use for it. What a variable says is no mistake.
pub(super) fn misplaced(cli: &Cli, matches: &ArgMatches) -> Option<String> {
    let is_misplaced = |id: &str| match cli.command {
        None => false,
        // These have a daemon of their own, which is no Toxiproxy.
        Some(Command::Demo(_) | Command::Run(_)) => ToxiproxyFlags::IDS.contains(&id),
        Some(_) => true,
    };
    let typed = |id: &&clap::Id| matches.value_source(id.as_str()) == Some(ValueSource::CommandLine);
    let ids: Vec<&clap::Id> = matches.ids().filter(typed).filter(|id| is_misplaced(id.as_str())).collect();
    let flag = Cli::command().get_arguments().find(|arg| ids.contains(&arg.get_id()))?.get_long()?.to_owned();
    Some(format!("--{flag}"))
}

/// Reads a flag as the same value in a file is read.
fn as_in_a_file<T: DeserializeOwned>(text: &str) -> Result<T, serde::de::value::Error> {
    T::deserialize(text.into_deserializer())
}

// Without a comment on each word, so that `--help` has a line for the flag and not five.
/// The log formats as flags spell them.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum LogFormat {
    Auto,
    Text,
    Json,
}

impl From<LogFormat> for Format {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Auto => Format::Auto,
            LogFormat::Text => Format::Text,
            LogFormat::Json => Format::Json,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Find every mistake in configurations and scenarios; exit 0 or 2
    #[command(after_help = "Example:\n  chaos-proxy check routes.yaml brownout.yaml")]
    Check {
        /// The files; - is standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Tell it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Say in plain words what will happen to a connection
    #[command(after_help = "Example:\n  chaos-proxy explain routes.yaml")]
    Explain {
        /// The configurations
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Print the JSON Schema of configurations or scenarios, for editors
    #[command(after_help = "Example:\n  chaos-proxy schema > chaos-proxy.schema.json")]
    Schema {
        /// Of what
        #[arg(value_enum, value_name = "WHAT", default_value_t)]
        of: Subject,
    },
    /// Serve a few routes that need no file and no upstream
    // The variables are read once, by the flags before the command: here they would beat those.
    #[command(mut_args(|arg| arg.env(Resettable::Reset)), after_help = "Example:\n  chaos-proxy demo --seed 42")]
    Demo(ServeFlags),
    /// Run a command with the routes around it, and tell what happened
    #[command(mut_args(|arg| arg.env(Resettable::Reset)), after_help = super::run::EXAMPLES)]
    Run(Run),
    /// Play a scenario: a timeline of faults, and what is expected of it
    #[command(
        after_help = "Example:\n  chaos-proxy scenario run brownout.yaml --against http://127.0.0.1:8474"
    )]
    #[command(subcommand)]
    Scenario(ScenarioCommand),
    /// Show the routes of a running daemon
    #[command(
        after_help = "Examples:\n  chaos-proxy routes\n  chaos-proxy routes --json --url http://127.0.0.1:9474"
    )]
    Routes(ClientFlags),
    /// Break and mend a running daemon: add, set, rm and ls faults
    #[command(
        after_help = "Examples:\n  chaos-proxy fault add db latency --delay 200ms\n  chaos-proxy fault rm db latency"
    )]
    #[command(subcommand)]
    Fault(FaultCommand),
    /// Let a route listen again
    #[command(after_help = "Example:\n  chaos-proxy open db")]
    Open(Open),
    /// Stop a route from listening, and end its connections
    #[command(after_help = "Example:\n  chaos-proxy close db --connections reset")]
    Close(Close),
    /// Show the open connections, or end one
    #[command(
        after_help = "Examples:\n  chaos-proxy connections --route db\n  chaos-proxy connections --end 17 --how reset"
    )]
    Connections(Connections),
    /// Take back every change since the file was read
    #[command(after_help = "Example:\n  chaos-proxy restore")]
    Restore(ClientFlags),
    /// Read the configuration file again
    #[command(after_help = "Example:\n  chaos-proxy reload")]
    Reload(ClientFlags),
    /// Show what happens, as it happens
    #[command(after_help = "Examples:\n  chaos-proxy events --route db\n  chaos-proxy events --json")]
    Events(Events),
    /// Exit 0 if the daemon is ready, else 1
    #[command(after_help = "Example:\n  chaos-proxy healthcheck --url http://127.0.0.1:8474")]
    Healthcheck(Healthcheck),
    /// Print a configuration of Toxiproxy as one of this program
    #[command(after_help = "Example:\n  chaos-proxy convert toxiproxy.json > routes.yaml")]
    Convert {
        /// Its list of proxies, as JSON; - is standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Print what a shell needs to complete commands and flags
    #[command(after_help = COMPLETIONS)]
    Completions {
        /// The shell
        #[arg(value_name = "SHELL")]
        shell: Shell,
    },
    /// Print the manual, of the program or of a command
    #[command(after_help = MANUAL)]
    Man(Manual),
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;

    #[test]
    fn the_definitions_are_sound_and_help_fits_a_screen() {
        let mut command = Cli::command();
        command.clone().debug_assert();
        let help = command.render_help().to_string();
        assert!(help.lines().count() <= 50, "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
    }

    fn demo(words: &[&str]) -> ServeFlags {
        let cli = Cli::try_parse_from([&["chaos-proxy"], words].concat()).unwrap();
        let Some(Command::Demo(flags)) = cli.command else { unreachable!() };
        flags.or(&cli.serve)
    }

    #[test]
    fn flags_of_the_daemon_stand_before_demo_or_behind_it() {
        assert_eq!(demo(&["--seed", "1", "demo"]).seed, Some(1));
        assert_eq!(demo(&["demo", "--seed", "1"]).seed, Some(1));
        assert_eq!(demo(&["--seed", "1", "demo", "--seed", "2", "--watch"]).seed, Some(2));
        // Variables are read before the command only: behind it they would beat the flags before it.
        let command = Cli::command();
        let env = |command: &clap::Command| {
            let args = command.get_arguments().filter(|arg| arg.get_env().is_some());
            args.count()
        };
        let below = |name| env(command.find_subcommand(name).unwrap());
        assert_eq!((env(&command), below("demo"), below("run")), (8, 0, 0));
    }

    #[test]
    fn a_flag_of_the_daemon_before_a_client_is_told_of() {
        let misplaced = |words: &[&str]| {
            let matches = Cli::command().try_get_matches_from([&["chaos-proxy"], words].concat()).unwrap();
            misplaced(&Cli::from_arg_matches(&matches).unwrap(), &matches)
        };
        assert_eq!(misplaced(&["--admin", "127.0.0.1:9999", "routes"]).as_deref(), Some("--admin"));
        assert_eq!(misplaced(&["--watch", "check", "x.yaml"]).as_deref(), Some("--watch"));
        assert_eq!(misplaced(&["--seed", "1", "demo"]), None);
        assert_eq!(misplaced(&["routes", "--url", "http://localhost"]), None);
    }

    #[test]
    fn the_admin_address_is_that_of_a_file_or_off() {
        let admin = |text| demo(&["demo", "--admin", text]).overrides().admin;
        assert_eq!((admin("off"), admin("false")), (Some(AdminSpec::Off), Some(AdminSpec::Off)));
        let Some(AdminSpec::Listen(listen)) = admin("localhost:9000") else { unreachable!() };
        assert_eq!(listen.0.to_string(), "127.0.0.1:9000");
        assert!(Cli::try_parse_from(["chaos-proxy", "--admin", "9000"]).is_err());
    }
}
