//! A terminal that a program has for its own.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// A terminal, and what runs in it.
pub(crate) struct Terminal {
    side: File,
    said: String,
    child: Child,
}

impl Terminal {
    /// Starts a command in a terminal of its own.
    pub(crate) fn start(mut command: Command) -> Terminal {
        let side = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&side).unwrap();
        unlockpt(&side).unwrap();
        let name = ptsname(&side, Vec::new()).unwrap();
        let open = || File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let child = command.stdin(open()).stdout(open()).stderr(open()).spawn().unwrap();
        Terminal { side: side.into(), said: String::new(), child }
    }

    /// Types this.
    pub(crate) fn write(&mut self, text: &str) {
        self.side.write_all(text.as_bytes()).unwrap();
    }

    /// Reads until this was said once more.
    pub(crate) fn until(&mut self, what: &str) {
        loop {
            if let Some(at) = self.said.find(what) {
                self.said.drain(..at + what.len());
                return;
            }
            let mut buf = [0; 4096];
            let n = self.side.read(&mut buf).unwrap_or(0);
            assert_ne!(n, 0, "it never said {what:?}, but {:?}", self.said);
            self.said.push_str(&String::from_utf8_lossy(&buf[..n]));
        }
    }

    /// Sends a signal to what runs in it.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// How it ended.
    pub(crate) fn end(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
