//! Other people's programs: started where they are installed, killed with the test, and named loudly where they are not.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{eventually, loudly, ms, scope, secs, unused_port};

/// Where a program is, also where Debian hides a database's.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    directories.extend(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    directories.extend(versions.map(|version| version.path().join("bin")));
    directories.iter().map(|directory| directory.join(name)).find(|file| file.is_file())
}

/// Whether all of these are installed; said loudly where one is not.
pub(crate) fn installed(names: &[&str]) -> bool {
    let missing: Vec<&&str> = names.iter().filter(|name| find(name).is_none()).collect();
    if !missing.is_empty() {
        loudly(&format!(
            "SKIPPED: {missing:?} not installed: this witness is not heard (.ci/witnesses installs it)"
        ));
    }
    missing.is_empty()
}

/// A command that is one of the installed programs.
pub(crate) fn command(name: &str) -> Command {
    let mut command = Command::new(find(name).unwrap_or_else(|| panic!("{name} is not installed")));
    command.stdin(Stdio::null());
    command
}

/// Runs a command to its good end, and gives what it wrote to stdout.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|why| panic!("{command:?}: {why}"));
    let Output { status, stdout, stderr } = output;
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}\n{stdout}\n{stderr}");
    stdout.into_owned()
}

/// A server that is somebody else's program. It is stopped when the test lets go of it.
pub(crate) struct Program {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    directory: TempDir,
}

impl Program {
    /// Starts a server and waits until it listens. `command` is given its port and a directory of its own.
    pub(crate) fn serve(command: impl FnOnce(u16, &Path) -> Command) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let port = unused_port();
        let mut command = command(port, directory.path());
        let log = std::fs::File::create(directory.path().join("log")).expect("a file");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file")).stderr(log);
        let child = command.spawn().unwrap_or_else(|why| panic!("{command:?}: {why}"));
        scope::remember(scope::current(), Pid::from_child(&child));
        let mut program = Program { child, address: ([127, 0, 0, 1], port).into(), directory };
        eventually(secs(30), &format!("{command:?} listens"), || {
            if let Ok(Some(status)) = program.child.try_wait() {
                panic!("{command:?} ended with {status}: {}", program.log());
            }
            TcpStream::connect_timeout(&program.address, ms(500)).is_ok()
        });
        program
    }

    /// What it said.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let pid = Pid::from_child(&self.child);
        // A database that is killed outright leaves its children behind: SIGINT is its quick way to end.
        let _ = kill_process(pid, Signal::INT);
        for _ in 0..500 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                break;
            }
            std::thread::sleep(ms(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        scope::forget(pid);
    }
}
