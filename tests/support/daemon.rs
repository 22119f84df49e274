//! The program under test, as a process.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{Api, Client, Event, Events, Setup, connect, scope, secs};

/// A running daemon. It is killed when the test lets go of it.
pub(crate) struct Daemon {
    child: Child,
    pid: Pid,
    status: Option<ExitStatus>,
    directory: TempDir,
    /// Its log.
    pub(crate) events: Events,
}

/// The bare program: no environment of its own, and nothing to read.
pub(crate) fn bare() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chaos-proxy"));
    clean(&mut command);
    command
}

pub(super) fn clean(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CHAOS_PROXY_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
}

impl Daemon {
    /// Starts the program and waits for nothing.
    pub(crate) fn spawn(setup: &Setup) -> Self {
        Self::spawn_with(setup, Stdio::piped())
    }

    /// The same with another place for the log. Without a pipe there are no events.
    pub(crate) fn spawn_with(setup: &Setup, log: Stdio) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let config = directory.path().join("routes.yaml");
        std::fs::write(&config, setup.text()).expect("a configuration");
        let mut words = setup.wrapper.iter().map(String::as_str).chain([env!("CARGO_BIN_EXE_chaos-proxy")]);
        let mut command = Command::new(words.next().expect("a program"));
        command.args(words).arg("--config").arg(&config).args(&setup.arguments);
        clean(&mut command);
        Self::launch(command, directory, log)
    }

    /// Starts the program with these arguments and nothing else.
    pub(crate) fn with_arguments(arguments: &[String]) -> Self {
        let mut command = bare();
        command.args(arguments);
        Self::launch(command, tempfile::tempdir().expect("a directory"), Stdio::piped())
    }

    /// Starts this command, which becomes the program or stands around it.
    pub(crate) fn of(command: Command) -> Self {
        Self::launch(command, tempfile::tempdir().expect("a directory"), Stdio::piped())
    }

    fn launch(mut command: Command, directory: TempDir, log: Stdio) -> Self {
        let stdout = File::create(directory.path().join("stdout")).expect("a file");
        let mut child = command.stdout(stdout).stderr(log).spawn().expect("the program starts");
        let pid = Pid::from_child(&child);
        scope::remember(scope::current(), pid);
        let events = child.stderr.take().map(Events::gather).unwrap_or_default();
        Daemon { child, pid, status: None, directory, events }
    }

    /// Waits until so many routes are open.
    pub(crate) fn wait_ready(&self, routes: usize) {
        let opened = |event: &Event| event.text("event") == "route.opened";
        self.events.wait_for_n(routes, "routes opened", secs(20), opened);
    }

    /// The configuration file it was started with.
    pub(crate) fn config(&self) -> PathBuf {
        self.directory.path().join("routes.yaml")
    }

    /// Its process number.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Where a route listens, for a client on this machine.
    pub(crate) fn address(&self, route: &str) -> SocketAddr {
        let opened = self.wait_for("the route opens", secs(20), |event| event.is("route.opened", route));
        let listen = opened.text("listen");
        let mut address: SocketAddr =
            listen.parse().unwrap_or_else(|_| panic!("no address in {}", opened.fields));
        if address.ip().is_unspecified() {
            address.set_ip(if address.is_ipv4() {
                [127, 0, 0, 1].into()
            } else {
                std::net::Ipv6Addr::LOCALHOST.into()
            });
        }
        address
    }

    /// The control API.
    pub(crate) fn api(&self) -> Api {
        let opened =
            self.wait_for("the control API", secs(20), |event| event.text("event") == "control.opened");
        Api(opened.text("listen").parse().unwrap_or_else(|_| panic!("no address in {}", opened.fields)))
    }

    /// A client whose connection is open, and on which nothing happens.
    pub(crate) fn stuck(&self, route: &str) -> Client {
        let client = connect(self.address(route));
        self.wait_for("it is open", secs(5), |event| event.is("connection.opened", route));
        client
    }

    /// Waits for one event.
    pub(crate) fn wait_for(&self, what: &str, limit: Duration, wanted: impl Fn(&Event) -> bool) -> Event {
        self.events.wait_for_n(1, what, limit, wanted).swap_remove(0)
    }

    /// Waits for the end of a route's connection by its number.
    pub(crate) fn wait_closed(&self, route: &str, number: u64, limit: Duration) -> Event {
        self.wait_for("the connection closes", limit, |event| {
            event.is("connection.closed", route) && event.number("connection") == number
        })
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).expect("the program runs");
    }

    /// Waits until it ends by itself, and says how.
    pub(crate) fn wait_exit(&mut self, limit: Duration) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.status {
                return status;
            }
            self.status = self.child.try_wait().expect("a child");
            if self.status.is_some() {
                scope::forget(self.pid);
            }
            let tail = || self.events.tail();
            assert!(
                self.status.is_some() || begun.elapsed() < limit,
                "still running after {limit:?}\n{}",
                tail()
            );
            if self.status.is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// Waits for the end, and says its exit code and how long it took from now.
    pub(crate) fn exit_code(&mut self, limit: Duration) -> (Option<i32>, Duration) {
        let begun = Instant::now();
        let status = self.wait_exit(limit);
        (status.code(), begun.elapsed())
    }

    /// What it wrote to stdout.
    pub(crate) fn stdout(&self) -> Vec<u8> {
        read(&self.directory.path().join("stdout"))
    }
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).expect("a file")
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.status.is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
            scope::forget(self.pid);
        }
        // Whatever a test is about, no bug of the program is passed over.
        let bugs = self.events.bugs();
        assert!(bugs.is_empty() || std::thread::panicking(), "the program has a bug: {bugs:?}");
    }
}
