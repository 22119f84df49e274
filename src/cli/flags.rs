//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::de::{DeserializeOwned, IntoDeserializer};

use crate::config::Overrides;
use crate::observe::{Filter, Format};
use crate::route::Bind;
use crate::spec::Period;

const EXAMPLES: &str = "\
Examples:
  chaos-proxy demo                                 try it: four routes, no file needed
  chaos-proxy --config routes.yaml                 serve what the file says
  chaos-proxy --config routes.yaml --seed 42       the same chaos again
  chaos-proxy check routes.yaml                    find every mistake in a file
  chaos-proxy explain routes.yaml                  say in plain words what will happen

Stop it with SIGTERM or Ctrl-C: connections under way finish, a second signal ends them.";

/// A TCP proxy that makes the network go wrong: on purpose, exactly as asked, and the same way again tomorrow.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES, max_term_width = 100)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) serve: ServeFlags,
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

/// Flags of the daemon; each beats its variable, which beats the file.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct ServeFlags {
    /// The configuration, YAML or JSON
    #[arg(long, short, global = true, value_name = "FILE", env = "CHAOS_PROXY_CONFIG")]
    pub(super) config: Option<PathBuf>,
    /// Default address to listen on; "*" is every address of both families
    #[arg(long, global = true, value_name = "ADDR", env = "CHAOS_PROXY_BIND", value_parser = as_in_a_file::<Bind>)]
    pub(super) bind: Option<Bind>,
    /// The seed of all chance
    #[arg(long, global = true, value_name = "N", env = "CHAOS_PROXY_SEED")]
    pub(super) seed: Option<u64>,
    /// What to log: a level, or levels by target (warn,connection=info)
    #[arg(long, global = true, value_name = "LEVEL", env = "CHAOS_PROXY_LOG_LEVEL")]
    pub(super) log_level: Option<Filter>,
    /// How to log
    #[arg(long, global = true, value_name = "FORMAT", env = "CHAOS_PROXY_LOG_FORMAT")]
    pub(super) log_format: Option<LogFormat>,
    /// How long connections may take to finish when stopping, such as 25s
    #[arg(long, global = true, value_name = "DURATION", env = "CHAOS_PROXY_DRAIN_TIMEOUT")]
    pub(super) drain_timeout: Option<Period>,
}

impl ServeFlags {
    /// What they say over the file.
    pub(super) fn overrides(&self) -> Overrides {
        Overrides {
            bind: self.bind,
            seed: self.seed,
            log_level: self.log_level.clone(),
            log_format: self.log_format.map(Format::from),
            drain_timeout: self.drain_timeout,
        }
    }
}

/// Reads a flag as the same value in a file is read.
fn as_in_a_file<T: DeserializeOwned>(text: &str) -> Result<T, serde::de::value::Error> {
    T::deserialize(text.into_deserializer())
}

/// The log formats as flags spell them.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum LogFormat {
    /// Text on a terminal, JSON lines otherwise
    Auto,
    /// Lines for a person
    Text,
    /// One JSON object a line
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
    /// Find every mistake in configuration files; exit 0 or 2
    Check {
        /// The files; - is standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Say in plain sentences what will happen to a connection on each route
    Explain {
        /// The configurations
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Print the JSON Schema of the configuration, for editors
    Schema,
    /// Serve a few routes that need no file and no upstream
    Demo,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_are_sound_and_help_fits_a_screen() {
        let mut command = Cli::command();
        command.clone().debug_assert();
        let help = command.render_help().to_string();
        assert!(help.lines().count() <= 50, "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
    }
}
