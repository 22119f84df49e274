//! The ending that is called `close` everywhere.

use std::future::poll_fn;
use std::io;
use std::time::Duration;

use super::Transport;
use super::pool::Buffer;

const AT_MOST: Duration = Duration::from_secs(1);
const BYTES_AT_MOST: usize = 256 * 1024;

/// Ends a transport by FIN: shuts the write side, reads and discards for up to a second or 256 KiB, and closes.
///
/// Closing with unread bytes would send RST, and RST could take away what was just written.
pub async fn close(transport: impl Transport) {
    if transport.shut_write().is_ok() {
        let _ = tokio::time::timeout(AT_MOST, discard(&transport, BYTES_AT_MOST, |_| {})).await;
    }
}

/// Reads and discards until the peer ends its stream (true) or has sent too much (false).
pub async fn discard(
    transport: &impl Transport,
    at_most: usize,
    mut tell: impl FnMut(usize),
) -> io::Result<bool> {
    let mut left = at_most;
    while left > 0 {
        poll_fn(|cx| transport.poll_readable(cx)).await?;
        match transport.read(&mut Buffer::borrow()) {
            Ok(0) => return Ok(true),
            Ok(n) => {
                tell(n);
                left = left.saturating_sub(n);
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(false)
}
