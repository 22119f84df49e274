//! A transport in memory whose peer is played by a test.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use super::{PeerEnd, Pipe, Transport};

/// The end the relay holds.
pub(super) struct Fake {
    state: Arc<Mutex<State>>,
    splices: bool,
}

/// The end the test holds.
#[derive(Clone)]
pub(super) struct Peer(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// What the peer sent and the relay has not read.
    incoming: VecDeque<u8>,
    finished: bool,
    reset: bool,
    /// As on a real socket, whoever meets the reset first is told of it; others see a plain end.
    reset_told: bool,
    /// What the relay wrote, in the kernel's hands.
    unsent: VecDeque<u8>,
    /// What has reached the peer.
    arrived: Vec<u8>,
    /// How much the kernel takes.
    room: usize,
    fin_arrived: bool,
    aborted: bool,
    dropped: bool,
    /// How often it was asked to splice.
    spliced: usize,
    wakers: Vec<Waker>,
}

/// A transport whose kernel takes `room` bytes that the peer has not read yet.
pub(super) fn fake(room: usize) -> (Fake, Peer) {
    let state = Arc::new(Mutex::new(State { room, ..State::default() }));
    (Fake { state: state.clone(), splices: false }, Peer(state))
}

impl Fake {
    /// The same where there are pipes to the kernel.
    pub(super) fn splicing(mut self) -> Self {
        self.splices = cfg!(target_os = "linux");
        self
    }
}

fn wake(mut state: MutexGuard<'_, State>) {
    let wakers = std::mem::take(&mut state.wakers);
    drop(state);
    wakers.into_iter().for_each(Waker::wake);
}

impl Peer {
    pub(super) fn send(&self, bytes: &[u8]) {
        let mut state = self.0.lock().unwrap();
        state.incoming.extend(bytes);
        wake(state);
    }

    pub(super) fn finish(&self) {
        let mut state = self.0.lock().unwrap();
        state.finished = true;
        wake(state);
    }

    pub(super) fn reset(&self) {
        let mut state = self.0.lock().unwrap();
        state.reset = true;
        wake(state);
    }

    /// Reads up to so many bytes.
    pub(super) fn read(&self, most: usize) {
        let mut state = self.0.lock().unwrap();
        let n = most.min(state.unsent.len());
        let bytes: Vec<u8> = state.unsent.drain(..n).collect();
        state.arrived.extend(bytes);
        wake(state);
    }

    /// How many bytes it has sent that the relay has not read.
    pub(super) fn unread(&self) -> usize {
        self.0.lock().unwrap().incoming.len()
    }

    /// Everything that has reached the peer.
    pub(super) fn arrived(&self) -> Vec<u8> {
        self.0.lock().unwrap().arrived.clone()
    }

    /// Whether the stream ended after what arrived.
    pub(super) fn saw_fin(&self) -> bool {
        let state = self.0.lock().unwrap();
        state.fin_arrived && state.unsent.is_empty()
    }

    /// Whether it was ended by RST.
    pub(super) fn saw_reset(&self) -> bool {
        self.0.lock().unwrap().aborted
    }

    /// How many splices the relay's end was asked for.
    pub(super) fn spliced(&self) -> usize {
        self.0.lock().unwrap().spliced
    }

    /// Whether the relay has let go of its end.
    pub(super) fn gone(&self) -> bool {
        self.0.lock().unwrap().dropped
    }
}

fn broken() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

fn wait(mut state: MutexGuard<'_, State>, cx: &Context<'_>) {
    state.wakers.push(cx.waker().clone());
}

impl Transport for Fake {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let state = self.state.lock().unwrap();
        if !state.incoming.is_empty() || state.finished || state.reset {
            return Poll::Ready(Ok(()));
        }
        wait(state, cx);
        Poll::Pending
    }

    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state.lock().unwrap();
        let n = buf.len().min(state.incoming.len());
        if n > 0 {
            for (to, from) in buf.iter_mut().zip(state.incoming.drain(..n)) {
                *to = from;
            }
            return Ok(n);
        }
        if state.reset && !state.reset_told {
            state.reset_told = true;
            return Err(broken());
        }
        if state.finished || state.reset { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let state = self.state.lock().unwrap();
        if state.unsent.len() < state.room || state.reset {
            return Poll::Ready(Ok(()));
        }
        wait(state, cx);
        Poll::Pending
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.state.lock().unwrap();
        assert!(!state.fin_arrived, "a byte after FIN");
        if state.reset {
            state.reset_told = true;
            return Err(broken());
        }
        let n = bytes.len().min(state.room - state.unsent.len());
        if n == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        state.unsent.extend(&bytes[..n]);
        Ok(n)
    }

    fn splices(&self) -> bool {
        self.splices
    }

    #[cfg(target_os = "linux")]
    fn splice_in(&self, pipe: &mut Pipe) -> io::Result<usize> {
        let mut state = self.state.lock().unwrap();
        state.spliced += 1;
        // As at an urgent byte: now and then it moves nothing although there is something, and it may look like an end.
        let balks = state.spliced.is_multiple_of(3);
        if !state.incoming.is_empty() && !balks {
            let count = pipe.put(state.incoming.make_contiguous())?;
            state.incoming.drain(..count);
            return Ok(count);
        }
        if state.incoming.is_empty() && state.reset && !state.reset_told {
            state.reset_told = true;
            return Err(broken());
        }
        if state.finished || state.reset { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }

    #[cfg(target_os = "linux")]
    fn splice_out(&self, pipe: &mut Pipe) -> io::Result<usize> {
        let room = {
            let state = self.state.lock().unwrap();
            if state.reset { 1 } else { state.room - state.unsent.len() }
        };
        if room == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut bytes = vec![0; room.min(pipe.holds())];
        let count = pipe.take(&mut bytes)?;
        self.write(&bytes[..count])
    }

    fn shut_write(&self) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        state.fin_arrived = true;
        Ok(())
    }

    fn poll_sent(&self, cx: &mut Context<'_>) -> Poll<()> {
        let state = self.state.lock().unwrap();
        // As with a real socket: after FIN nobody says what has not been sent.
        if state.unsent.is_empty() || state.reset || state.fin_arrived {
            return Poll::Ready(());
        }
        wait(state, cx);
        Poll::Pending
    }

    async fn broken(&self) -> io::Error {
        poll_fn(|cx| {
            let state = self.state.lock().unwrap();
            if state.reset {
                return Poll::Ready(broken());
            }
            wait(state, cx);
            Poll::Pending
        })
        .await
    }

    fn peer_ended(&self) -> Option<PeerEnd> {
        let state = self.state.lock().unwrap();
        match (state.reset, state.finished) {
            (true, _) => Some(PeerEnd::Reset),
            (_, true) => Some(PeerEnd::Fin),
            _ => None,
        }
    }

    fn abort(self) {
        let mut state = self.state.lock().unwrap();
        state.aborted = true;
        // RST takes away what the kernel has not sent.
        state.unsent.clear();
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        if let Ok(mut state) = self.state.lock() {
            state.dropped = true;
        }
    }
}
