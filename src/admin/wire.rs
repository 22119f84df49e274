//! A connection's stream as the server reads and writes it: it notes when a request begins, refuses a first line that
//! does not end, and gives up on a client that takes nothing.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::limits;
use super::places::Place;

/// What stands beside the URI on the first line.
const AROUND_URI: usize = 64;

/// How long, and how much of, what a client still sends is read after the last reply, so that it can read that.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 256 << 10;

/// A stream that watches its peer.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    place: Arc<Place>,
    stuck: Option<Pin<Box<Sleep>>>,
    /// How much of a first line has come; None once it has ended.
    line: Option<usize>,
    line_too_long: bool,
}

impl Wire {
    /// A stream whose doings are noted at a place.
    pub(super) fn new(stream: TcpStream, place: Arc<Place>) -> Wire {
        Wire { stream, place, stuck: None, line: None, line_too_long: false }
    }

    /// Whether reading ended because a first line did not.
    pub(super) fn line_too_long(&self) -> bool {
        self.line_too_long
    }

    /// Says something last, if it can be said at once.
    pub(super) async fn last_words(&mut self, words: &[u8]) {
        let _ = tokio::time::timeout(LINGER, self.stream.write_all(words)).await;
    }

    /// Ends by FIN, and reads what still comes for a while: a reset would take the last reply from the client.
    pub(super) async fn close(mut self) {
        let _ = tokio::time::timeout(LINGER, async {
            self.stream.shutdown().await?;
            let mut left = LINGER_BYTES;
            let mut buffer = [0; 4096];
            while left > 0 {
                match self.stream.read(&mut buffer).await? {
                    0 => break,
                    read => left = left.saturating_sub(read),
                }
            }
            Ok::<(), io::Error>(())
        })
        .await;
    }

    /// Follows the first line of a head until it ends. False: it is too long.
    fn follow_line(&mut self, bytes: &[u8]) -> bool {
        if self.place.heard() {
            self.line = Some(0);
        }
        let Some(line) = self.line else { return true };
        if bytes.iter().take(limits::URI + AROUND_URI).any(|byte| *byte == b'\n') {
            self.line = None;
            return true;
        }
        let line = line.saturating_add(bytes.len());
        self.line = Some(line);
        self.line_too_long = line > limits::URI + AROUND_URI;
        !self.line_too_long
    }

    /// Ready with an error once the client has taken nothing for too long.
    fn poll_stuck(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let Wire { stuck, place, .. } = self;
        let stuck = stuck.get_or_insert_with(|| Box::pin(tokio::time::sleep(place.limits.stuck)));
        ready!(stuck.as_mut().poll(cx));
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "the client does not take the reply"))
    }

    fn written(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match outcome {
            Poll::Ready(written) => {
                self.stuck = None;
                Poll::Ready(written)
            }
            Poll::Pending => self.poll_stuck(cx).map(Err),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let new = buffer.filled().get(before..).unwrap_or_default();
        if !new.is_empty() && !self.follow_line(new) {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the first line of the request does not end",
            )));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.written(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
