//! An alarm for what a fault promises: good to a fraction of a millisecond, where the runtime's own timer rounds up to a
//! whole one and more.

use std::future::poll_fn;
use std::task::{Context, Poll};

use tokio::time::Instant;

use super::Alarm;
use super::timer::Bell;

/// One pending deadline, exactly; owns nothing while none was ever asked for.
///
/// Where the runtime's clock is not the system's, because a test has stopped it, and where the system has no such timer,
/// it is an [`Alarm`].
#[derive(Default)]
pub struct FineAlarm {
    bell: Option<Bell>,
    plain: Alarm,
}

impl FineAlarm {
    /// Ready when `at` has come; otherwise the task is woken at the latest then.
    pub fn poll(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        let now = Instant::now();
        if now >= at {
            return Poll::Ready(());
        }
        if self.bell.as_ref().is_some_and(|bell| bell.rings_by(at, now, cx.waker())) {
            return Poll::Pending;
        }
        if clock_is_the_systems() {
            if self.bell.is_none() {
                self.bell = Bell::here();
            }
            if let Some(bell) = &mut self.bell {
                bell.set(at, cx.waker());
                return Poll::Pending;
            }
        }
        self.plain.poll(cx, at)
    }
}

/// Completes when `at` has come, as exactly as such an alarm rings.
pub async fn until(at: Instant) {
    let mut alarm = FineAlarm::default();
    poll_fn(|cx| alarm.poll(cx, at)).await;
}

/// Whether the runtime's clock runs, and tells the system's time.
#[allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "this is what is compared")]
fn clock_is_the_systems() -> bool {
    use std::time::Instant as System;
    let before = System::now();
    let told = Instant::now().into_std();
    (before..=System::now()).contains(&told)
}
