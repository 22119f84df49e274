//! The one place where a relay waits for a moment.
//!
//! Whoever needs to act at a time hands that time to an alarm with every poll. The time may move: an alarm set earlier
//! than asked is left alone and set anew when it rings, so that a limit which every byte pushes back costs nothing.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn rings_at_its_time_wherever_it_was_moved() {
        let start = Instant::now();
        let mut alarm = Alarm::default();
        for (asked, expected) in [(5, 5), (7, 7), (20, 20)] {
            poll_fn(|cx| alarm.poll(cx, start + asked * SECOND)).await;
            assert_eq!(start.elapsed(), expected * SECOND);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_pushed_back_or_brought_forward_is_kept() {
        let start = Instant::now();
        let mut alarm = Alarm::default();
        let mut asked = [start + 10 * SECOND, start + 30 * SECOND, start + 2 * SECOND].into_iter();
        let mut at = asked.next().unwrap();
        poll_fn(|cx| {
            for next in asked.by_ref() {
                assert!(alarm.poll(cx, at).is_pending());
                at = next;
            }
            alarm.poll(cx, at)
        })
        .await;
        assert_eq!(start.elapsed(), 2 * SECOND);
    }
}
