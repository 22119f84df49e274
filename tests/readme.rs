//! What the README shows is so.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use chaos_proxy::config::{self, Config};
use chaos_proxy::fault::Effect;
use chaos_proxy::route::{Bind, LocalPort};
use chaos_proxy::scenario::rehearse::rehearse;
use chaos_proxy::scenario::{self, Typed};
use support::*;

fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

fn example() -> Config {
    config::parse(read("config.example.yaml").as_bytes(), "config.example.yaml", &|_| None).unwrap()
}

/// The table of faults names every effect there is. If one were added and not documented, this would say so.
#[test]
fn every_fault_is_in_the_table() {
    let readme = read("README.md");
    for word in Effect::WORDS {
        assert!(readme.contains(&format!("| `{word}` |")), "{word} is not in the table of faults");
    }
}

/// The banner in the README is the banner of the example: each route with its address, upstream, faults and health in one line.
#[test]
fn the_banner_is_that_of_the_example() {
    let readme = read("README.md");
    let config = example();
    assert!(readme.contains(&format!("seed {}", config.seed.unwrap())));
    for route in &config.routes {
        let (Bind::Ip(ip), LocalPort::Fixed(port)) = (route.bind, route.local_port) else { unreachable!() };
        let faults: Vec<String> = route.faults.iter().map(|fault| fault.brief()).collect();
        let faults = if faults.is_empty() { "none".to_owned() } else { faults.join(", ") };
        let endpoints = &route.upstream.endpoints;
        let more = if endpoints.len() > 1 { format!(" +{}", endpoints.len() - 1) } else { String::new() };
        let upstream = format!("{}{more}", endpoints[0].endpoint);
        // Nobody asks after the health of any.
        let row = [route.name.to_string(), format!("{ip}:{port}"), upstream, faults, "–".to_owned()];
        let shown = readme.lines().any(|line| {
            let mut cells = line.trim().split("   ").map(str::trim).filter(|cell| !cell.is_empty());
            row.iter().all(|wanted| cells.next() == Some(wanted)) && cells.next().is_none()
        });
        assert!(shown, "no line of the README shows {row:?}");
    }
}

/// Every address that the README asks with curl is a route of the example.
#[test]
fn the_commands_speak_to_routes_that_exist() {
    let readme = read("README.md");
    let config = example();
    let asked: Vec<u16> = readme
        .lines()
        .filter(|line| line.starts_with("curl ") && line.contains("localhost:"))
        .map(|line| line.split("localhost:").nth(1).unwrap().split('/').next().unwrap().parse().unwrap())
        .collect();
    assert!(asked.len() >= config.routes.len());
    for port in asked {
        assert!(config.routes.iter().any(|route| route.local_port == LocalPort::Fixed(port)), "{port}");
    }
}

/// The configurations in the README are configurations, and the scenarios can be played on the example of `examples/`.
#[test]
fn the_yaml_blocks_are_accepted() {
    let readme = read("README.md");
    let shown = read("examples/database.yaml");
    let shown = config::parse(shown.as_bytes(), "database.yaml", &|_| None).unwrap();
    let (mut blocks, mut scenarios) = (0, 0);
    for block in readme.split("```yaml\n").skip(1) {
        let block = block.split("```").next().unwrap();
        if block.contains("\nsteps:") {
            let clashes = |typed: &Typed| rehearse(typed.scenario(), &shown, Some(&shown));
            let typed = scenario::parse(block.as_bytes(), "README.md", &|_| None)
                .unwrap_or_else(|refused| panic!("{refused}"));
            assert_eq!(clashes(&typed), []);
            scenarios += 1;
            continue;
        }
        let whole = if block.starts_with("faults:") {
            let indented: String = block.lines().map(|line| format!("    {line}\n")).collect();
            format!("routes:\n  - localPort: 15432\n    upstream: db:5432\n{indented}")
        } else {
            block.to_owned()
        };
        config::parse(whole.as_bytes(), "README.md", &|_| None).unwrap_or_else(|refused| panic!("{refused}"));
        blocks += 1;
    }
    assert!(blocks >= 2, "the README shows no configuration");
    assert!(scenarios >= 1, "the README shows no scenario");
}

/// The five commands of the README, as they stand: a route of the demo is broken and mended. Only the program is the one
/// under test, and what `curl` does is done here.
#[test]
fn five_commands_break_and_mend_a_route_of_the_demo() {
    within(secs(60), || {
        let readme = read("README.md");
        let after = readme.split("Break it while it runs").nth(1).unwrap();
        let block = after.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
        let commands: Vec<&str> = block.lines().map(|line| line.split('#').next().unwrap().trim()).collect();
        assert_eq!(commands.len(), 5);
        let arguments = |command: &str| -> Vec<String> {
            let arguments = command.strip_prefix("cargo run --release -- ").unwrap();
            arguments.split(' ').map(str::to_owned).collect()
        };
        let get = |command: &str| {
            let url = command.strip_prefix("curl localhost:").unwrap();
            let (port, path) = url.split_once('/').unwrap();
            let begun = Instant::now();
            let answer =
                Api(SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()))).get(&format!("/{path}"));
            assert_eq!(answer.status, 200);
            begun.elapsed()
        };
        let demo = Daemon::with_arguments(&arguments(commands[0]));
        demo.api();
        assert!(get(commands[1]) < ms(500));
        assert!(run(&arguments(commands[2])).contains("added latency"));
        assert!(get(commands[3]) >= secs(2));
        assert!(run(&arguments(commands[4])).contains("removed latency"));
        assert!(get(commands[1]) < ms(500));
    });
}

/// What the README says about completions and the manual, typed into a shell as it stands; only nobody reads the page.
#[test]
fn completions_and_manual_are_had_by_these_lines() {
    let readme = read("README.md");
    let after = readme.split("### Completions, manual, version").nth(1).unwrap();
    let block = after.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let home = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_chaos-proxy"), home.path().join("chaos-proxy")).unwrap();
    let path = format!("{}:{}", home.path().display(), std::env::var("PATH").unwrap());
    let mut lines = 0;
    for line in block.lines() {
        let line = line.replace("| man -l -", "| grep '^[.]TH chaos-proxy-fault-add 1 '");
        let mut shell = std::process::Command::new("bash");
        let output =
            shell.args(["-e", "-c", &line]).env("HOME", home.path()).env("PATH", &path).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{line}: {output:?}");
        lines += 1;
    }
    assert_eq!(lines, 3);
    assert!(home.path().join(".local/share/man/man1/chaos-proxy-fault-add.1").exists());
}

/// The version in the README is that of this program, with a commit, a day and a build beside it.
#[test]
fn the_version_is_told_in_this_form() {
    let readme = read("README.md");
    let shown = readme.split("$ chaos-proxy --version\n").nth(1).unwrap().lines().next().unwrap();
    let start = format!("chaos-proxy {} (", env!("CARGO_PKG_VERSION"));
    let details = |text: &str| -> Vec<String> {
        let inside = text.trim().strip_prefix(&start).unwrap().strip_suffix(')').unwrap();
        inside.split(", ").map(str::to_owned).collect()
    };
    let (shown, real) = (details(shown), details(&run(&["--version".to_owned()])));
    assert!(readme.contains(&format!("chaos-proxy {} ({})   seed ", env!("CARGO_PKG_VERSION"), shown[0])));
    // Outside of a repository less is known.
    if real.len() == shown.len() {
        assert!(shown.iter().zip(&real).take(2).all(|(shown, real)| shown.len() == real.len()), "{real:?}");
    }
}

fn run(arguments: &[String]) -> String {
    let output = bare().args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
