//! How a peer that has vanished without a word is found: the system asks it for signs of life.

use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// How a vanished peer is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// Silence before it is asked for a sign of life.
    pub idle: Duration,
    /// From one question to the next.
    pub interval: Duration,
    /// So many without an answer, and it is gone.
    pub count: u32,
    /// Bytes it has not taken for so long, and it is gone. To the system one that is there and does not read is no better.
    pub user_timeout: Option<Duration>,
}

/// The longest silence, and the longest time between two questions: systems know no more than some thousand whole seconds.
pub const LONGEST_SILENCE: Duration = Duration::from_secs(9 * 3600);

/// The most questions that systems ask.
pub const MOST_QUESTIONS: u32 = 127;

/// The longest user timeout: systems count it in milliseconds, and not many of them.
pub const LONGEST_USER_TIMEOUT: Duration = Duration::from_secs(24 * 24 * 3600);

impl KeepAlive {
    /// Finds the peer of this stream so from now on. Seconds are rounded up; what is more than the system can do becomes the
    /// most it can do.
    pub fn apply(&self, stream: &TcpStream) {
        let socket = SockRef::from(stream);
        let keepalive = TcpKeepalive::new()
            .with_time(whole_seconds(self.idle))
            .with_interval(whole_seconds(self.interval))
            .with_retries(self.count.clamp(1, MOST_QUESTIONS));
        // Where they cannot be set the socket is gone already, and whoever uses it hears of that.
        let _ = socket.set_tcp_keepalive(&keepalive);
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(timeout) = self.user_timeout {
            let _ = socket.set_tcp_user_timeout(Some(whole_millis(timeout)));
        }
    }
}

fn whole_seconds(time: Duration) -> Duration {
    let seconds = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0));
    Duration::from_secs(seconds.max(1)).min(LONGEST_SILENCE)
}

/// Nothing at all would mean the system's own limit.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn whole_millis(time: Duration) -> Duration {
    time.clamp(Duration::from_millis(1), LONGEST_USER_TIMEOUT)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    /// What the system has of these: idle, interval, count, user timeout.
    async fn applied(keepalive: KeepAlive) -> (Duration, Duration, u32, Option<Duration>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let socket = SockRef::from(&stream);
        assert!(!socket.keepalive().unwrap());
        keepalive.apply(&stream);
        assert!(socket.keepalive().unwrap());
        let retries = socket.tcp_keepalive_retries().unwrap();
        let (idle, interval) =
            (socket.tcp_keepalive_time().unwrap(), socket.tcp_keepalive_interval().unwrap());
        (idle, interval, retries, socket.tcp_user_timeout().unwrap())
    }

    #[tokio::test]
    async fn the_system_is_told_what_was_set() {
        let (idle, interval) = (Duration::from_secs(60), Duration::from_secs(10));
        let keepalive = KeepAlive { idle, interval, count: 6, user_timeout: None };
        assert_eq!(applied(keepalive).await, (idle, interval, 6, None));
        let user_timeout = Some(Duration::from_millis(30_500));
        assert_eq!(applied(KeepAlive { user_timeout, ..keepalive }).await, (idle, interval, 6, user_timeout));
    }

    #[tokio::test]
    async fn what_the_system_cannot_do_becomes_the_nearest_it_can() {
        let (idle, interval) = (Duration::from_millis(1_001), Duration::from_micros(1));
        let user_timeout = Some(Duration::from_nanos(1));
        let keepalive = KeepAlive { idle, interval, count: 0, user_timeout };
        let second = Duration::from_secs(1);
        assert_eq!(applied(keepalive).await, (2 * second, second, 1, Some(Duration::from_millis(1))));

        let (idle, interval) = (Duration::MAX, Duration::from_secs(100_000));
        let keepalive = KeepAlive { idle, interval, count: u32::MAX, user_timeout: Some(Duration::MAX) };
        let longest = Some(LONGEST_USER_TIMEOUT);
        assert_eq!(applied(keepalive).await, (LONGEST_SILENCE, LONGEST_SILENCE, MOST_QUESTIONS, longest));
    }
}
