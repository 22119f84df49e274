//! The finish of the command line: versions, completions, the manual, and no colour where none is wanted.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use support::*;

/// Every command of the program, as it stands in `--help`.
const COMMANDS: [&str; 18] = [
    "check",
    "explain",
    "schema",
    "demo",
    "run",
    "scenario",
    "routes",
    "fault",
    "open",
    "close",
    "connections",
    "restore",
    "reload",
    "events",
    "healthcheck",
    "convert",
    "completions",
    "man",
];

/// What a command prints, when all is well.
fn told(words: &[&str]) -> String {
    let output = bare().args(words).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Whether there is such a program here; says so if there is not.
fn there_is(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output().unwrap();
    if !found.status.success() {
        eprintln!("SKIPPED in part: there is no {program} here");
    }
    found.status.success()
}

/// What a program says of this text on its standard input; it must be content with it.
fn content(program: &str, words: &[&str], text: &str) -> String {
    let mut command = Command::new(program);
    command.args(words).env("MANWIDTH", "80").env("LC_ALL", "C.UTF-8");
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let text = text.to_owned();
    let writer = std::thread::spawn(move || drop(stdin.write_all(text.as_bytes())));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaint.is_empty(), "{program} {words:?}: {complaint}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_list_of_commands_here_is_whole() {
    let help = told(&["--help"]);
    let listed = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let listed: Vec<&str> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(listed, [&COMMANDS[..], &["help"]].concat());
}

/// What `--version` says: commit, day and build, as far as they are known.
fn version() -> (Option<String>, Option<String>, String) {
    let long = told(&["--version"]);
    let start = format!("chaos-proxy {} (", env!("CARGO_PKG_VERSION"));
    let inside = long.strip_prefix(&start).unwrap_or_else(|| panic!("{long}"));
    let mut details: Vec<String> =
        inside.strip_suffix(")\n").unwrap().split(", ").map(str::to_owned).collect();
    let build = details.pop().unwrap();
    let day = details.pop_if(|last| is_day(last));
    (details.pop(), day, build)
}

fn is_day(text: &str) -> bool {
    text.split('-').map(str::len).eq([4, 2, 2]) && text.chars().all(|c| c == '-' || c.is_ascii_digit())
}

/// `chaos-proxy 0.1.0 (9f2c1ab, 2026-11-21, release)`: what is known stands in this order; `-V` is for scripts.
#[test]
fn the_version_tells_commit_day_and_build() {
    assert_eq!(told(&["-V"]), format!("chaos-proxy {}\n", env!("CARGO_PKG_VERSION")));
    let (commit, day, build) = version();
    assert!(["debug", "release"].contains(&build.as_str()), "{build}");
    let in_a_repository = Path::new(env!("CARGO_MANIFEST_DIR")).join(".git").exists() && there_is("git");
    assert!(commit.is_some() || !in_a_repository);
    assert!(commit.is_none_or(|commit| !commit.is_empty() && !commit.contains(' ')));
    assert!(day.is_some() || !in_a_repository);
}

/// The first line that a person sees, and what machines ask, name the same commit.
#[test]
fn banner_status_and_metrics_tell_version_and_commit() {
    within(secs(20), || {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let words = ["--log-format", "text", "--seed", "7", "--admin", "127.0.0.1:0"];
        let mut daemon = bare().args(words).stderr(File::create(&log).unwrap()).spawn().unwrap();
        let read = || std::fs::read_to_string(&log).unwrap();
        eventually(secs(10), "a banner", || read().contains("Ctrl-C drains"));
        let banner = read();
        let control = banner.split("control http://").nth(1).unwrap().split_whitespace().next().unwrap();
        let api = Api(control.parse().unwrap());
        let (status, metrics) = (api.get("/v1/status").body, api.get("/metrics").body);
        daemon.kill().unwrap();
        daemon.wait().unwrap();
        let (commit, ..) = version();
        let plain = env!("CARGO_PKG_VERSION");
        let told = commit.as_ref().map_or(plain.to_owned(), |commit| format!("{plain} ({commit})"));
        let first = banner.lines().find(|line| line.starts_with("chaos-proxy ")).unwrap();
        assert!(first.starts_with(&format!("chaos-proxy {told}   seed 7   config ")), "{first}");
        let commit = commit.unwrap_or_default();
        let status: serde_json::Value = serde_json::from_slice(&status).unwrap();
        assert_eq!(
            (status["version"].as_str(), status["commit"].as_str().unwrap_or_default()),
            (Some(plain), &*commit)
        );
        let info = format!("chaos_proxy_build_info{{version=\"{plain}\",commit=\"{commit}\"}} 1");
        assert!(String::from_utf8_lossy(&metrics).contains(&info), "{info}");
    });
}

#[test]
fn each_shell_gets_a_script_that_knows_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = told(&["completions", shell]);
        for command in COMMANDS.iter().chain(&["latency", "refuseConnect"]) {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
    let tcsh = bare().args(["completions", "tcsh"]).output().unwrap();
    let complaint = String::from_utf8_lossy(&tcsh.stderr);
    assert_eq!(tcsh.status.code(), Some(2));
    assert!(complaint.contains("bash") && complaint.contains("powershell"), "{complaint}");
}

/// The shells themselves read their scripts.
#[test]
fn the_shells_that_are_here_understand_their_scripts() {
    for (shell, words) in [("bash", ["-n"]), ("zsh", ["-n"]), ("fish", ["--no-execute"])] {
        if there_is(shell) {
            content(shell, &words, &told(&["completions", shell]));
        }
    }
}

/// What bash offers for a line of words, the last of which is not finished.
fn offered(line: &[&str]) -> Vec<String> {
    let words: Vec<String> = line.iter().map(|word| format!("'{word}'")).collect();
    let (last, before) = (line[line.len() - 1], line[line.len() - 2]);
    let asks = format!(
        "\nregistered=$(complete -p chaos-proxy)\nregistered=${{registered#*-F }}\nCOMP_WORDS=({})\nCOMP_CWORD={}\n\
         ${{registered%% *}} chaos-proxy '{last}' '{before}'\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
        words.join(" "),
        line.len() - 1
    );
    let answer = content("bash", &["--norc", "--noprofile"], &(told(&["completions", "bash"]) + &asks));
    answer.lines().map(str::to_owned).collect()
}

#[test]
fn bash_offers_what_fits_where_one_is() {
    if !there_is("bash") {
        return;
    }
    let commands = offered(&["chaos-proxy", ""]);
    for command in COMMANDS {
        assert!(commands.iter().any(|offer| offer == command), "{command} is not among {commands:?}");
    }
    assert_eq!(offered(&["chaos-proxy", "fault", "add", "db", "refuse"]), ["refuseConnect"]);
    assert_eq!(offered(&["chaos-proxy", "fault", "add", "db", "latency", "--del"]), ["--delay"]);
    assert_eq!(offered(&["chaos-proxy", "close", "db", "--connections", "re"]), ["reset"]);
    assert_eq!(offered(&["chaos-proxy", "completions", "z"]), ["zsh"]);
}

/// Pages of all commands, read by a program that shows such pages, which has nothing to complain about.
#[test]
fn the_manual_has_a_page_for_every_command_and_can_be_shown() {
    let directory = tempfile::tempdir().unwrap();
    let pages = directory.path().join("not yet/man1");
    let written = told(&["man", "--dir", pages.to_str().unwrap()]);
    let names: Vec<&str> =
        written.lines().map(|file| Path::new(file).file_name().unwrap().to_str().unwrap()).collect();
    let below = COMMANDS.iter().map(|command| format!("chaos-proxy-{command}.1"));
    for name in below.chain(["chaos-proxy.1", "chaos-proxy-fault-add-latency.1"].map(str::to_owned)) {
        assert!(names.contains(&name.as_str()), "{name} is not among {names:?}");
    }
    assert_eq!(
        told(&["man", "fault", "add"]),
        std::fs::read_to_string(pages.join("chaos-proxy-fault-add.1")).unwrap()
    );
    let all: Vec<String> =
        names.iter().map(|name| std::fs::read_to_string(pages.join(name)).unwrap()).collect();
    if there_is("groff") {
        for page in &all {
            let shown = content("groff", &["-man", "-Tutf8", "-Kutf8", "-ww", "-z"], page);
            assert_eq!(shown, "");
        }
        let shown = content("groff", &["-man", "-Tascii", "-Kutf8", "-P-cbou"], &told(&["man"]));
        for line in ["  chaos-proxy demo ", "EXIT STATUS", "CHAOS_PROXY_SEED"] {
            assert!(shown.contains(line), "{line}\n{shown}");
        }
    }
    if there_is("mandoc") {
        for page in &all {
            content("mandoc", &["-T", "lint", "-W", "error"], page);
        }
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_told_of() {
    let output = bare().args(["man", "--dir", "/dev/null/man1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("cannot write to /dev/null/man1: "));
}

/// What the program prints on a terminal.
fn on_a_terminal(words: &[&str], variable: Option<(&str, &str)>) -> String {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let open = || File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let mut command = bare();
    command.args(words).env("TERM", "xterm").env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
    command.envs(variable).stdout(open()).stderr(open());
    let mut child = command.spawn().unwrap();
    // The last copies on this side, so that reading ends when the program does.
    drop(command);
    let mut text = Vec::new();
    // Linux says "input/output error" at the end of a terminal.
    let _ = File::from(terminal).read_to_end(&mut text);
    child.wait().unwrap();
    String::from_utf8(text).unwrap()
}

/// Help and errors are emphasised on a terminal, unless `NO_COLOR` is set; nothing else is ever coloured.
#[test]
fn no_color_means_no_escape_sequence() {
    within(secs(30), || {
        let help: &[&str] = &["close", "--help"];
        let slip: &[&str] = &["close", "--conections", "reset"];
        for words in [help, slip] {
            assert!(on_a_terminal(words, None).contains('\x1b'), "{words:?}");
            let plain = on_a_terminal(words, Some(("NO_COLOR", "1")));
            assert!(plain.contains("chaos-proxy close") && !plain.contains('\x1b'), "{plain:?}");
        }
        let schema = on_a_terminal(&["schema"], None);
        assert!(schema.contains("$defs") && !schema.contains('\x1b'));
        let check = on_a_terminal(&["check", "/nonexistent.yaml"], None);
        assert!(check.contains("nonexistent") && !check.contains('\x1b'), "{check}");
    });
}
