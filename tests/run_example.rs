//! The three commands of the README, as they stand: a client passes without chaos, fails because its retry is missing, and
//! passes with it.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use support::*;

/// The directory of the example.
fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/retry")
}

/// The section of the README, with its three lines.
fn section() -> (String, Vec<String>) {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let section = readme.split("\n## Around a command\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let block = section.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let commands: Vec<String> = block.lines().map(str::to_owned).collect();
    assert_eq!(commands.len(), 3);
    (section.to_owned(), commands)
}

/// Types a line into a shell that finds the program under test by its name.
fn typed(line: &str, programs: &Path) -> Output {
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).current_dir(example()).env("PATH", path).env_remove("RETRIES");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CHAOS_PROXY_") {
            shell.env_remove(name);
        }
    }
    shell.output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Whether the client can be run at all.
fn python_is_there() -> bool {
    let there = Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success());
    if !there {
        loudly("SKIPPED: there is no python3 here, and nobody runs the commands of the README");
    }
    there
}

/// A directory that has the program under the name that the README types.
fn programs() -> tempfile::TempDir {
    let programs = tempfile::tempdir().unwrap();
    let program = programs.path().join("chaos-proxy");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_chaos-proxy"), program).unwrap();
    programs
}

#[test]
fn a_client_fails_under_resets_until_it_tries_again() {
    if !python_is_there() {
        return;
    }
    within(secs(60), || {
        let programs = programs();
        let (_, commands) = section();
        let [calm, bare, retrying] = [0, 1, 2].map(|i| typed(&commands[i], programs.path()));
        assert_eq!(calm.status.code(), Some(0), "{}", stderr(&calm));
        assert!(!stderr(&calm).contains("expectation"), "{}", stderr(&calm));
        // It is the client that fails: the fault was there, as expected.
        assert_eq!(bare.status.code(), Some(1), "{}", stderr(&bare));
        assert!(stderr(&bare).contains("FAILED (errors=1)"), "{}", stderr(&bare));
        assert!(stderr(&bare).contains("1 of 1 expectation held   seed 7"), "{}", stderr(&bare));
        assert_eq!(retrying.status.code(), Some(0), "{}", stderr(&retrying));
        assert!(stderr(&retrying).contains("1 of 1 expectation held   seed 7"), "{}", stderr(&retrying));
    });
}

/// What the README shows of the third is what it prints; only how long it took is another matter each time.
#[test]
fn the_account_in_the_readme_is_that_of_the_third_command() {
    if !python_is_there() {
        return;
    }
    within(secs(60), || {
        let programs = programs();
        let (section, commands) = section();
        let shown = section.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
        let output = stderr(&typed(&commands[2], programs.path()));
        let printed = output.split_once("ROUTE  CONNECTIONS").unwrap().1;
        let printed = format!("ROUTE  CONNECTIONS{printed}");
        assert_eq!(without_time(&printed), without_time(shown));
    });
}

fn without_time(account: &str) -> Vec<String> {
    let line = |line: &str| match line.split_once("0s..") {
        Some((before, rest)) => format!("{before}0s..…{}", rest.trim_start_matches(|c: char| c != ' ')),
        None => line.to_owned(),
    };
    account.trim_end().lines().map(line).collect()
}

/// A route on which nothing ever fired is red, in the exit code and in the report of the test system.
#[test]
fn a_command_that_never_meets_its_fault_is_red() {
    within(secs(60), || {
        let (programs, reports) = (programs(), tempfile::tempdir().unwrap());
        let junit = reports.path().join("chaos.xml");
        let output = typed(
            &format!(
                "chaos-proxy run --config routes.yaml --scenario resets.yaml --report 'junit={}' -- true",
                junit.display()
            ),
            programs.path(),
        );
        assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
        let xml = std::fs::read_to_string(junit).unwrap();
        let document = roxmltree::Document::parse(&xml).unwrap();
        let failure = document.descendants().find(|node| node.has_tag_name("failure")).unwrap();
        let message = failure.attribute("message").unwrap();
        assert!(message.starts_with("fired 0, expected >= 1") && message.ends_with("(seed 7)"), "{message}");
    });
}
