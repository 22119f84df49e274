//! Sending a few bytes outside of a relay.

use std::future::poll_fn;
use std::io;

use super::Transport;

/// Writes all of it.
pub async fn send_all(transport: &impl Transport, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        poll_fn(|cx| transport.poll_writable(cx)).await?;
        match transport.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
