//! Started as if it were Toxiproxy: the flags of its server, written as its users write them.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use clap::{Args, CommandFactory};

use super::flags::Cli;
use super::{environment, say};
use crate::admin::AsToxiproxy;
use crate::config::{AdminSpec, Listen, Overrides};
use crate::observe::Filter;
use crate::spec::text::shown_short;

/// The port that Toxiproxy's clients know.
const PORT: u16 = AdminSpec::DEFAULT.port();

/// Flags of Toxiproxy's server. Who knows them need not be shown them; whoever does not has `--admin`.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct ToxiproxyFlags {
    /// Where Toxiproxy's API listens; whoever reaches it needs no token
    #[arg(long, value_name = "HOST", hide = true)]
    host: Option<String>,
    /// The port of it
    #[arg(long, value_name = "PORT", hide = true)]
    port: Option<u16>,
    /// Tell Toxiproxy's metrics beside the others
    #[arg(long, value_name = "BOOL", hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    proxy_metrics: Option<bool>,
    /// Taken, and without meaning: there is no runtime of Go
    #[arg(long, value_name = "BOOL", hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    runtime_metrics: Option<bool>,
}

impl ToxiproxyFlags {
    /// What the parser calls them.
    pub(super) const IDS: [&str; 4] = ["host", "port", "proxy_metrics", "runtime_metrics"];

    /// What they ask of the control API.
    pub(super) fn api(&self) -> AsToxiproxy {
        AsToxiproxy { open: self.host.is_some(), metrics: self.proxy_metrics == Some(true) }
    }

    /// What they, and then `LOG_LEVEL`, say over the file; why not, where they cannot.
    pub(super) fn over(&self, mut overrides: Overrides) -> Result<Overrides, String> {
        if self.host.is_some() || self.port.is_some() {
            if overrides.admin.is_some() {
                let flag = if self.host.is_some() { "--host" } else { "--port" };
                return Err(format!(
                    "{flag} and --admin (or CHAOS_PROXY_ADMIN) both say where the control API listens: give one of them"
                ));
            }
            let host = self.host.as_deref().unwrap_or("localhost");
            let address = SocketAddr::new(address_of(host)?, self.port.unwrap_or(PORT));
            overrides.admin_listen = Some(Listen(address));
        }
        if !self.is_used() {
            return Ok(overrides);
        }
        overrides.may_be_empty = true;
        // The name is anybody's: it is heard only where Toxiproxy is meant.
        if let Some(level) = environment("LOG_LEVEL") {
            match filter_of(&level) {
                Some(filter) => overrides.quietly = Some(Filter(filter.to_owned())),
                None => say(&format!(
                    "LOG_LEVEL `{}` is none that is known: it is passed over",
                    shown_short(&level, 40)
                )),
            }
        }
        Ok(overrides)
    }

    fn is_used(&self) -> bool {
        self.host.is_some()
            || self.port.is_some()
            || self.proxy_metrics.is_some()
            || self.runtime_metrics.is_some()
    }
}

/// The address of a host; the IPv4 one of a name that has several.
fn address_of(host: &str) -> Result<IpAddr, String> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    // Go means both families by it; a machine without IPv6 has one.
    if bare.is_empty() || bare.parse() == Ok(Ipv4Addr::UNSPECIFIED) {
        return Ok(Ipv6Addr::UNSPECIFIED.into());
    }
    if bare.eq_ignore_ascii_case("localhost") {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    if let Ok(ip) = bare.parse() {
        return Ok(ip);
    }
    let found: Vec<IpAddr> = match (bare, PORT).to_socket_addrs() {
        Ok(found) => found.map(|address| address.ip()).collect(),
        Err(error) => return Err(format!("--host `{}` is not known: {error}", shown_short(host, 80))),
    };
    let best = found.iter().find(|ip| ip.is_ipv4()).or(found.first());
    best.copied().ok_or_else(|| format!("--host `{}` has no address", shown_short(host, 80)))
}

/// Our filter for a level of Toxiproxy's log.
fn filter_of(level: &str) -> Option<&'static str> {
    Some(match level.to_ascii_lowercase().as_str() {
        "trace" => "trace",
        "debug" => "debug",
        "info" => "info",
        "warn" | "warning" => "warn",
        "error" | "fatal" | "panic" => "error",
        "disabled" | "" => "off",
        _ => return None,
    })
}

/// Words with one dash that mean what they mean with two. A parser that reads short flags would take `-host` for `-h`.
const LONG: [&str; 8] =
    ["host", "port", "config", "seed", "proxy-metrics", "runtime-metrics", "version", "help"];

/// The arguments as our parser reads them: up to the first command, Toxiproxy's flags have two dashes, and a seed below
/// nothing is the number with the same bits.
pub(super) fn rewritten(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let command = Cli::command();
    let takes_value = |word: &str| {
        let (long, short) = (word.strip_prefix("--"), word.strip_prefix('-').filter(|rest| rest.len() == 1));
        command.get_arguments().any(|argument| {
            let named = (long.is_some() && argument.get_long() == long)
                || short.is_some_and(|short| argument.get_short() == short.chars().next());
            named && argument.get_action().takes_values() && !argument.is_require_equals_set()
        })
    };
    let mut words = arguments.into_iter();
    let mut all: Vec<OsString> = words.next().into_iter().collect();
    while let Some(word) = words.next() {
        let Some(text) = word.to_str().filter(|text| text.starts_with('-') && *text != "--" && *text != "-")
        else {
            all.push(word);
            break;
        };
        // Theirs has a sign; ours, with its two dashes, has none.
        let seed = text.starts_with("-seed");
        let text = with_two_dashes(text);
        if seed && let Some(value) = text.strip_prefix("--seed=") {
            all.push(format!("--seed={}", natural(value)).into());
            continue;
        }
        let (seed, value) = (seed && text == "--seed", takes_value(&text));
        all.push(text.into());
        if value && let Some(value) = words.next() {
            all.push(
                value.to_str().filter(|_| seed).map_or_else(|| value.clone(), |value| natural(value).into()),
            );
        }
    }
    all.extend(words);
    all
}

fn with_two_dashes(word: &str) -> String {
    let name = word.strip_prefix('-').map(|rest| rest.split('=').next().unwrap_or_default());
    if name.is_some_and(|name| LONG.contains(&name)) { format!("-{word}") } else { word.to_owned() }
}

/// Toxiproxy's seeds have a sign.
fn natural(seed: &str) -> String {
    match seed.parse::<i64>() {
        Ok(below) if below < 0 => below.cast_unsigned().to_string(),
        _ => seed.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn words(line: &str) -> Vec<String> {
        let words = rewritten(line.split(' ').map(OsString::from));
        words.into_iter().map(|word| word.into_string().unwrap()).collect()
    }

    #[test]
    fn flags_with_one_dash_are_read_as_with_two_and_nothing_else_is_touched() {
        for (line, meant) in [
            ("x -host=0.0.0.0 -port=8474", "x --host=0.0.0.0 --port=8474"),
            ("x --host 0.0.0.0 -port 1 -config a.json", "x --host 0.0.0.0 --port 1 --config a.json"),
            (
                "x -proxy-metrics -runtime-metrics=true -version",
                "x --proxy-metrics --runtime-metrics=true --version",
            ),
            ("x -c -host", "x -c -host"),
            ("x --bind -host -port 1", "x --bind -host --port 1"),
            ("x -hosts -h -configs", "x -hosts -h -configs"),
            ("x -seed=-1 check -host", "x --seed=18446744073709551615 check -host"),
            ("x -seed -9223372036854775808", "x --seed 9223372036854775808"),
            ("x --seed=-1", "x --seed=-1"),
            ("x run -- cmd -host=1", "x run -- cmd -host=1"),
            ("x -- -host=1", "x -- -host=1"),
            ("x - -host=1", "x - -host=1"),
        ] {
            assert_eq!(words(line).join(" "), meant, "{line}");
        }
        assert_eq!(rewritten(Vec::new()), Vec::<OsString>::new());
    }

    #[test]
    fn it_is_started_as_a_container_module_starts_toxiproxy() {
        let line = "x -host=0.0.0.0 -port=18474 -seed=-1 -proxy-metrics -runtime-metrics=false";
        let cli = Cli::try_parse_from(words(line)).unwrap();
        assert_eq!(cli.serve.seed, Some(u64::MAX));
        assert_eq!(cli.toxiproxy.api(), AsToxiproxy { open: true, metrics: true });
        let overrides = cli.toxiproxy.over(Overrides::default()).unwrap();
        assert_eq!(overrides.admin_listen, Some(Listen("[::]:18474".parse().unwrap())));

        let port = Cli::try_parse_from(words("x -port 1")).unwrap().toxiproxy;
        assert_eq!(port.api(), AsToxiproxy::default(), "a port alone opens nothing");
        let overrides = port.over(Overrides::default()).unwrap();
        assert_eq!(overrides.admin_listen, Some(Listen("127.0.0.1:1".parse().unwrap())));
        let nothing = Cli::try_parse_from(["x"]).unwrap().toxiproxy.over(Overrides::default()).unwrap();
        assert_eq!((nothing.admin_listen, nothing.may_be_empty), (None, false));
        let both = Overrides { admin: Some("off".parse().unwrap()), ..Overrides::default() };
        assert!(port.over(both).unwrap_err().starts_with("--port and --admin"));
        assert!(Cli::try_parse_from(words("x -port=99999")).is_err());
    }

    #[test]
    fn levels_of_its_log_are_known_in_any_case() {
        assert_eq!(
            (filter_of("INFO"), filter_of("fatal"), filter_of("Disabled")),
            (Some("info"), Some("error"), Some("off"))
        );
        assert_eq!(filter_of("loud"), None);
    }

    #[test]
    fn a_host_is_an_address_or_nothing() {
        assert_eq!(address_of("localhost"), Ok(Ipv4Addr::LOCALHOST.into()));
        for every in ["", "0.0.0.0", "::", "[::]"] {
            assert_eq!(address_of(every), Ok(Ipv6Addr::UNSPECIFIED.into()), "{every}");
        }
        assert_eq!(address_of("[::1]"), Ok(Ipv6Addr::LOCALHOST.into()));
        assert!(address_of("no such host").unwrap_err().starts_with("--host `no such host`"));
    }
}
