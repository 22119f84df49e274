//! The one place where a relay waits for a moment.
//!
//! Whoever needs to act at a time hands that time to an alarm with every poll. The time may move: an alarm set earlier
//! than asked is left alone and set anew when it rings, so that a limit which every byte pushes back costs nothing.
//!
//! There are two. Limits are kept by the runtime's own timer, where a millisecond more does not matter; what faults
//! promise is kept by a [`FineAlarm`].

mod fine;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod queue;
#[cfg(test)]
mod tests;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod timer;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "alarm/no_timer.rs"]
mod timer;

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

pub use fine::{FineAlarm, until};

/// One pending deadline; owns nothing while none was ever asked for.
#[derive(Default)]
pub struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// Ready when `at` has come; otherwise the task is woken at the latest then.
    pub fn poll(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if sleep.deadline() > at {
            sleep.as_mut().reset(at);
        }
        while sleep.as_mut().poll(cx).is_ready() {
            if sleep.deadline() >= at || Instant::now() >= at {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(at);
        }
        Poll::Pending
    }
}
