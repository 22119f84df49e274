//! Network namespaces: machines of the test's own, with cables between them that can be pulled. Nothing of the real
//! machine's network is touched, and everything goes with the process that holds it.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A network namespace. It ends when the test lets go of it, or dies.
pub(crate) struct Namespace {
    holder: Child,
    /// The holder waits for the end of this.
    _hold: Option<ChildStdin>,
}

impl Namespace {
    /// A new one where only the loopback is up; none, said loudly, where that is not permitted.
    pub(crate) fn new() -> Option<Self> {
        let mut command = Command::new("unshare");
        command.args(["-n", "sh", "-c", "ip link set lo up && echo ready && exec cat >/dev/null"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut holder = match command.spawn() {
            Ok(holder) => holder,
            Err(why) => return skipped(&why.to_string()),
        };
        let mut said = String::new();
        let stdout = holder.stdout.take().expect("its output");
        BufReader::new(stdout).read_line(&mut said).expect("a line");
        let _hold = holder.stdin.take();
        let namespace = Namespace { holder, _hold };
        if said == "ready\n" { Some(namespace) } else { skipped("not permitted") }
    }

    fn pid(&self) -> String {
        self.holder.id().to_string()
    }

    /// The words that run a command inside.
    pub(crate) fn wrapper(&self) -> Vec<String> {
        ["nsenter", "-t", &self.pid(), "-n"].map(str::to_owned).to_vec()
    }

    /// Runs a command inside, and says whether it went well.
    pub(crate) fn run(&self, command: &str) -> bool {
        let words = self.wrapper();
        let status = Command::new(&words[0]).args(&words[1..]).args(command.split_whitespace()).status();
        status.expect("nsenter").success()
    }

    /// Does something inside. A socket made there stays there, whoever uses it.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/proc/{}/ns/net", self.pid())).expect("the namespace");
        let enter_and_work = || {
            // Only this thread moves.
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).expect("to enter");
            work()
        };
        thread::scope(|scope| scope.spawn(enter_and_work).join().expect("no panic"))
    }

    /// Lays a cable to another one: both ends are called `name`, and the addresses are of one /24.
    pub(crate) fn connect(&self, here: Ipv4Addr, other: &Namespace, there: Ipv4Addr, name: &str) {
        let other_end = format!("netns {}", other.pid());
        let laid = self.run(&format!("ip link add name {name} type veth peer name {name} {other_end}"));
        assert!(laid, "a cable");
        for (end, address) in [(self, here), (other, there)] {
            assert!(end.run(&format!("ip address add {address}/24 dev {name}")), "an address");
            assert!(end.run(&format!("ip link set {name} up")), "an end that is up");
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn skipped<T>(why: &str) -> Option<T> {
    super::loudly(&format!("SKIPPED: this machine gives no network namespace: {why}"));
    None
}
