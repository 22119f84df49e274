//! The connections of a pool that wait: which is handed out, and which are dead or too old.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::Leave;
use crate::relay::close;

/// A connection that waits, and the leave to hold its descriptor.
pub(super) struct Kept {
    /// None: it has been handed out.
    stream: Option<TcpStream>,
    since: Instant,
    leave: Option<Leave>,
}

impl Kept {
    /// Opened now.
    pub(super) fn new(stream: TcpStream, leave: Leave) -> Self {
        Kept { stream: Some(stream), since: Instant::now(), leave: Some(leave) }
    }
}

impl Drop for Kept {
    /// One that nobody has had is ended by FIN, also where the upstream has greeted it: it has no reset to complain of.
    fn drop(&mut self) {
        let (stream, leave) = (self.stream.take(), self.leave.take());
        if let (Some(stream), Ok(runtime)) = (stream, Handle::try_current()) {
            runtime.spawn(async move {
                close(stream).await;
                drop(leave);
            });
        }
    }
}

/// One that dies before this age was never any use.
const YOUNG: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Alive,
    TooOld,
    Died,
    DiedYoung,
}

impl Kept {
    fn state(&self, may_wait: Duration, now: Instant) -> State {
        let age = now.saturating_duration_since(self.since);
        if age >= may_wait {
            State::TooOld
        } else if self.stream.as_ref().is_some_and(is_alive) {
            State::Alive
        } else if age < YOUNG {
            State::DiedYoung
        } else {
            State::Died
        }
    }
}

/// All that wait, the oldest first, each with the time it may.
pub(super) struct Lot {
    max_age: Duration,
    waiting: VecDeque<(Kept, Duration)>,
    /// How many there were so far.
    count: u32,
    died_young: bool,
}

impl Lot {
    /// None, of which each may wait so long.
    pub(super) fn new(max_age: Duration) -> Self {
        Lot { max_age, waiting: VecDeque::new(), count: 0, died_young: false }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// One more.
    pub(super) fn add(&mut self, kept: Kept) {
        self.count = self.count.wrapping_add(1);
        self.waiting.push_back((kept, may_wait(self.max_age, self.count)));
    }

    /// The youngest that is alive. Those found dead or too old on the way are closed.
    pub(super) fn take(&mut self, now: Instant) -> Option<TcpStream> {
        while let Some((mut kept, age)) = self.waiting.pop_back() {
            let state = kept.state(age, now);
            if state == State::Alive {
                return kept.stream.take();
            }
            self.died_young |= state == State::DiedYoung;
        }
        None
    }

    /// Closes those that are dead or too old.
    pub(super) fn look(&mut self, now: Instant) {
        let died_young = &mut self.died_young;
        self.waiting.retain(|(kept, age)| {
            let state = kept.state(*age, now);
            *died_young |= state == State::DiedYoung;
            state == State::Alive
        });
    }

    /// Whether one was found, since this was last asked, that the other side had ended as soon as it was open.
    pub(super) fn died_young(&mut self) -> bool {
        std::mem::take(&mut self.died_young)
    }

    /// When the next one will be too old.
    pub(super) fn next_too_old(&self) -> Option<Instant> {
        self.waiting.iter().filter_map(|(kept, age)| kept.since.checked_add(*age)).min()
    }

    /// Gives all of them away.
    pub(super) fn empty(&mut self) -> Vec<Kept> {
        self.waiting.drain(..).map(|(kept, _)| kept).collect()
    }
}

/// How long the nth may wait: up to a tenth less than the longest, so that those opened together are not all replaced
/// together.
fn may_wait(max_age: Duration, n: u32) -> Duration {
    const STEPS: u32 = 16;
    // Seven and sixteen have no divisor in common: each step comes once before one comes again.
    let step = (n % STEPS) * 7 % STEPS;
    max_age.saturating_sub(max_age / (STEPS * 10) * step)
}

/// Whether the other side has neither ended nor reset it, by what the kernel knows at this moment.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_alive(stream: &TcpStream) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let mut fds = [PollFd::new(stream, PollFlags::RDHUP)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    loop {
        match poll(&mut fds, Some(&at_once)) {
            Ok(0) => return true,
            Err(rustix::io::Errno::INTR) => {}
            // The end, or an error: neither is worth a client.
            _ => return false,
        }
    }
}

/// The same where the kernel cannot be asked for the end alone: an end behind bytes that wait is not seen.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn is_alive(stream: &TcpStream) -> bool {
    use rustix::io::Errno;
    use rustix::net::{RecvFlags, recv};

    match recv(stream, &mut [0_u8; 1][..], RecvFlags::PEEK) {
        Ok((read, _)) => read > 0,
        Err(error) => matches!(error, Errno::AGAIN | Errno::INTR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_opened_together_grow_old_one_after_the_other() {
        let max_age = Duration::from_secs(160);
        let mut ages: Vec<u64> = (1..=16).map(|n| may_wait(max_age, n).as_secs()).collect();
        let apart = |ages: &[u64]| ages.windows(2).all(|pair| pair[0].abs_diff(pair[1]) >= 7);
        assert!(apart(&ages), "{ages:?}");
        ages.sort_unstable();
        assert_eq!(ages, (145..=160).collect::<Vec<u64>>());
        assert_eq!(may_wait(Duration::MAX, 16), Duration::MAX);
    }
}
