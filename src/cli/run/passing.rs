//! Signals while a command runs: they are its business, so they are passed on, and we stay until it has ended.

use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::task::Poll;

use rustix::process::{Pid, Signal, getpgrp, kill_process};
use rustix::termios::tcgetpgrp;
use tokio::signal::unix::{SignalKind, signal};

/// What is passed on.
const PASSED_ON: [Signal; 6] =
    [Signal::TERM, Signal::INT, Signal::QUIT, Signal::HUP, Signal::USR1, Signal::USR2];

/// Of these, what asks for an end.
const STOP: [Signal; 4] = [Signal::TERM, Signal::INT, Signal::QUIT, Signal::HUP];

/// Hears the signals that are passed on, from the moment it is made.
pub(super) struct Passing {
    heard: Vec<(Signal, tokio::signal::unix::Signal)>,
}

impl Passing {
    /// Hears them. One that was ignored when we started (`nohup`) stays so, for us and for the command: who hears a signal
    /// would take that from it.
    pub(super) fn hear() -> io::Result<Passing> {
        let ignored = ignored(&std::fs::read_to_string("/proc/self/status").unwrap_or_default());
        let heard = PASSED_ON.into_iter().filter(|one| ignored & bit(*one) == 0);
        let hear = |one: Signal| Ok((one, signal(SignalKind::from_raw(one.as_raw()))?));
        Ok(Passing { heard: heard.map(hear).collect::<io::Result<_>>()? })
    }

    /// The next signal.
    pub(super) async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            for (signal, heard) in &mut self.heard {
                if let Poll::Ready(Some(())) = heard.poll_recv(context) {
                    return Poll::Ready(*signal);
                }
            }
            Poll::Pending
        })
        .await
    }

    /// The next signal that asks for an end.
    pub(super) async fn stop(&mut self) -> Signal {
        loop {
            let signal = self.next().await;
            if STOP.contains(&signal) {
                return signal;
            }
        }
    }

    /// The number of a signal that asked for an end before there was a command.
    pub(super) async fn already_stopped(&mut self) -> Option<u8> {
        tokio::select! {
            biased;
            signal = self.stop() => u8::try_from(signal.as_raw()).ok(),
            () = std::future::ready(()) => None,
        }
    }
}

/// Passes a signal on to the command, unless the terminal has given it one already: two interrupts make many a test runner
/// give up at once.
pub(super) fn pass_on(signal: Signal, command: Pid) {
    let by_itself = matches!(signal, Signal::INT | Signal::QUIT) && is_in_foreground();
    if !by_itself {
        // It may just have ended.
        let _ = kill_process(command, signal);
    }
}

/// Whether what is typed at the terminal goes to our process group, which is the command's, too.
fn is_in_foreground() -> bool {
    File::open("/dev/tty").is_ok_and(|terminal| tcgetpgrp(terminal).is_ok_and(|group| group == getpgrp()))
}

/// The signals that a process ignores, a bit each, as its status has them. Where there is no such status, none.
fn ignored(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or_default()
}

fn bit(signal: Signal) -> u64 {
    u32::try_from(signal.as_raw() - 1).ok().and_then(|place| 1_u64.checked_shl(place)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_is_read_from_the_status() {
        let bits = ignored("Name:\tit\nSigBlk:\t00000000ffffffff\nSigIgn:\t0000000000001001\nSigCgt:\t0\n");
        let of = |signal| bits & bit(signal) != 0;
        assert!(of(Signal::HUP) && of(Signal::PIPE));
        assert!(!of(Signal::INT) && !of(Signal::TERM) && !of(Signal::USR2));
        assert_eq!((ignored(""), ignored("SigIgn:\tnonsense")), (0, 0));
    }
}
