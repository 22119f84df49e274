//! As the first process of a container: processes whose parents have ended become ours, and somebody has to ask how they
//! ended, or they stay for ever.

use std::io;

use rustix::process::{Pid, WaitOptions, getpid, waitpid};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Hears of children that ended.
pub(super) struct Orphans {
    children: Signal,
    ours: bool,
}

impl Orphans {
    /// Hears of them from now on. That alone matters to every process: where SIGCHLD was ignored, nobody could be waited
    /// for.
    pub(super) fn hear() -> io::Result<Orphans> {
        Ok(Orphans { children: signal(SignalKind::child())?, ours: getpid().is_init() })
    }

    /// Waits until some child has ended, and takes note of all but the command. Anywhere but in the first process it never
    /// ends.
    pub(super) async fn reap(&mut self, command: Pid) {
        if !self.ours || self.children.recv().await.is_none() {
            return std::future::pending().await;
        }
        let Ok(processes) = std::fs::read_dir("/proc") else { return };
        for entry in processes.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| Pid::from_raw(name.parse().ok()?))
            else {
                continue;
            };
            let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            if pid != command && is_ended_orphan(&stat) {
                // It has ended already: this does not wait.
                let _ = waitpid(Some(pid), WaitOptions::NOHANG);
            }
        }
    }
}

/// Whether the kernel says that this one has ended and is a child of the first process.
fn is_ended_orphan(stat: &str) -> bool {
    // The name may hold anything; the fields after it begin behind the last parenthesis.
    let Some((_, fields)) = stat.rsplit_once(')') else { return false };
    let mut fields = fields.split_whitespace();
    fields.next() == Some("Z") && fields.next() == Some("1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_child_of_the_first_process_that_has_ended_is_an_orphan() {
        assert!(is_ended_orphan("17 (sleep) Z 1 9 9 0 -1"));
        assert!(is_ended_orphan("17 (a) S 1) Z 1 9"));
        assert!(!is_ended_orphan("17 (sleep) S 1 9 9"));
        assert!(!is_ended_orphan("17 (Z 1) S 1 9"));
        assert!(!is_ended_orphan("17 (sleep) Z 12 9 9"));
        assert!(!is_ended_orphan(""));
    }
}
