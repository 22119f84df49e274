//! What the kernel knows about a process: descriptors, memory, time, sockets.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::process::Pid;

fn path(pid: Pid, file: &str) -> String {
    format!("/proc/{}/{file}", pid.as_raw_nonzero())
}

fn text(pid: Pid, file: &str) -> String {
    fs::read_to_string(path(pid, file)).unwrap_or_else(|why| panic!("{file} of {pid:?}: {why}"))
}

/// How many descriptors are open.
pub(crate) fn descriptors(pid: Pid) -> usize {
    fs::read_dir(path(pid, "fd")).expect("the process runs").count()
}

/// Resident memory in bytes.
pub(crate) fn resident(pid: Pid) -> u64 {
    let status = text(pid, "status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a resident size");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib << 10
}

/// Time spent on a processor, in all threads.
pub(crate) fn cpu_time(pid: Pid) -> Duration {
    let stat = text(pid, "stat");
    // The name may hold anything; the fields after it begin behind the last parenthesis.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// The ports on which the process listens, IPv4 and IPv6.
pub(crate) fn listening_ports(pid: Pid) -> BTreeSet<u16> {
    let own = sockets(pid);
    let mut ports = BTreeSet::new();
    each_tcp_socket(pid, |local, state, inode| {
        if state == "0A" && own.contains(inode) {
            ports.insert(local);
        }
    });
    ports
}

/// How many connections the process holds that were accepted at this port.
pub(crate) fn clients_of(pid: Pid, port: u16) -> usize {
    let own = sockets(pid);
    let mut count = 0;
    each_tcp_socket(pid, |local, state, inode| {
        count += usize::from(local == port && state != "0A" && own.contains(inode));
    });
    count
}

/// How many of its TCP sockets are in this state, as the kernel numbers it: 08 is CLOSE_WAIT.
pub(crate) fn sockets_in(pid: Pid, wanted: &str) -> usize {
    let own = sockets(pid);
    let mut count = 0;
    each_tcp_socket(pid, |_, state, inode| count += usize::from(state == wanted && own.contains(inode)));
    count
}

/// The inodes of its sockets.
fn sockets(pid: Pid) -> HashSet<String> {
    fs::read_dir(path(pid, "fd"))
        .expect("the process runs")
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect()
}

/// Local port, state and inode of each TCP socket where the process lives.
fn each_tcp_socket(pid: Pid, mut one: impl FnMut(u16, &str, &str)) {
    for file in ["net/tcp", "net/tcp6"] {
        for line in text(pid, file).lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            one(port(fields[1]), fields[3], fields[9]);
        }
    }
}

fn port(address: &str) -> u16 {
    u16::from_str_radix(address.rsplit(':').next().unwrap_or_default(), 16).expect("a port")
}

/// The bytes that wait in an IPv4 socket: not yet acknowledged by the other end, and not yet read by its owner.
pub(crate) fn queues(local: SocketAddr, remote: SocketAddr) -> (u64, u64) {
    let table = fs::read_to_string("/proc/net/tcp").expect("a table of sockets");
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if port(fields[1]) == local.port() && port(fields[2]) == remote.port() {
            let (sending, receiving) = fields[4].split_once(':').expect("two queues");
            return (u64::from_str_radix(sending, 16).unwrap(), u64::from_str_radix(receiving, 16).unwrap());
        }
    }
    panic!("no socket from {local} to {remote}");
}
