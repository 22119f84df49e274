//! For tests of what happens to a stream: both ends in hand, bytes both ways at once, and numbers made of many times.

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use super::{Client, Daemon, End, Listener, Pattern, connect, ms, read_end, send, shut};

/// What the client sends in [`both_ways`].
pub(crate) const UP: Pattern = Pattern(0x5eed_0001);

/// What the server sends in [`both_ways`].
pub(crate) const DOWN: Pattern = Pattern(0x5eed_0002);

/// `faults: […]` of a route, from items such as `latency: {delay: 20ms}`.
pub(crate) fn faults<S: AsRef<str>>(items: &[S]) -> String {
    let items: Vec<String> = items.iter().map(|item| format!("{{{}}}", item.as_ref())).collect();
    format!("faults: [{}]", items.join(", "))
}

/// Both ends of a new connection. Routes may share a listener: the upstream is dialled before the next client comes.
pub(crate) fn pair(daemon: &Daemon, route: &str, listener: &Listener) -> (Client, TcpStream) {
    (connect(daemon.address(route)), listener.accept())
}

/// Sends `size` bytes each way at once and ends both sides; every byte and both endings have to arrive.
pub(crate) fn both_ways(client: &TcpStream, server: &TcpStream, size: u64) {
    let sender = |stream: &TcpStream, pattern: Pattern| {
        send(stream, pattern, 0, size);
        shut(stream);
    };
    thread::scope(|scope| {
        scope.spawn(|| sender(client, UP));
        scope.spawn(|| sender(server, DOWN));
        let arrived = scope.spawn(|| read_end(server, UP, 0, ms(0)));
        assert_eq!(read_end(client, DOWN, 0, ms(0)), (size, End::Fin), "at the client");
        assert_eq!(arrived.join().expect("no panic"), (size, End::Fin), "at the server");
    });
}

/// Writes for as long as the stream takes it, and says how many bytes that were. It ends when the stream breaks, or when
/// nothing moves for the time of its write timeout.
pub(crate) fn flood(mut stream: &TcpStream, pattern: Pattern) -> u64 {
    let mut buf = vec![0; 64 << 10];
    let mut at = 0;
    loop {
        pattern.fill(at, &mut buf);
        match stream.write(&buf) {
            Ok(n) if n > 0 => at += n as u64,
            _ => return at,
        }
    }
}

/// The one in the middle.
pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// The median of what is above `delay`; a time below it fails at once, because a fault is never early.
pub(crate) fn lateness(times: &[Duration], delay: Duration) -> Duration {
    let late = |time: &Duration| {
        time.checked_sub(delay).unwrap_or_else(|| panic!("after {time:?} instead of {delay:?}"))
    };
    median(times.iter().map(late).collect())
}

/// How long `work` took.
pub(crate) fn timed(work: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    work();
    begun.elapsed()
}
