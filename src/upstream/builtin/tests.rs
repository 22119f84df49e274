//! The stream around the responders: readiness, wakers and bounds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use super::*;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Count {
    fn so_far(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

fn would_block<T: std::fmt::Debug>(result: io::Result<T>) -> bool {
    result.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

#[test]
fn one_direction_wakes_the_other() {
    let stream = BuiltinStream::new(Builtin::Echo);
    let (reader, writer) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let (read_waker, write_waker) = (reader.clone().into(), writer.clone().into());
    let mut read_cx = Context::from_waker(&read_waker);
    let mut write_cx = Context::from_waker(&write_waker);
    let mut buf = vec![0; 2 * CAPACITY];

    assert!(stream.poll_readable(&mut read_cx).is_pending());
    assert!(would_block(stream.read(&mut buf)));
    assert_eq!(stream.write(&buf).unwrap(), CAPACITY);
    assert_eq!(reader.so_far(), 1);
    assert!(stream.poll_readable(&mut read_cx).is_ready());

    assert!(would_block(stream.write(&buf)));
    assert!(stream.poll_writable(&mut write_cx).is_pending());
    assert_eq!(stream.read(&mut buf).unwrap(), CAPACITY);
    assert_eq!(writer.so_far(), 1);
    assert!(stream.poll_writable(&mut write_cx).is_ready());

    assert!(stream.poll_readable(&mut read_cx).is_pending());
    stream.shut_write().unwrap();
    assert_eq!(reader.so_far(), 2);
    assert_eq!(stream.read(&mut buf).unwrap(), 0);
    assert_eq!(stream.write(b"late").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert!(stream.poll_sent(&mut read_cx).is_ready());
}

#[test]
fn every_kind_behaves_as_its_name_says() {
    let end = |kind| {
        let stream = BuiltinStream::new(kind);
        let mut buf = [0; 2000];
        let written = stream.write(b"GET / HTTP/1.1\r\n\r\n").ok();
        let first = stream.read(&mut buf).ok();
        stream.shut_write().unwrap();
        let last = (0..3).map(|_| stream.read(&mut buf).ok()).last().flatten();
        (written, first, last)
    };
    assert_eq!(end(Builtin::Echo), (Some(18), Some(18), Some(0)));
    assert_eq!(end(Builtin::Discard), (Some(18), None, Some(0)));
    assert_eq!(end(Builtin::Chargen), (Some(18), Some(2000), Some(0)));
    assert_eq!(end(Builtin::Silent), (None, None, None));
    let (written, first, last) = end(Builtin::Http);
    assert!(written == Some(18) && first > Some(100) && last == Some(0));
}

#[test]
fn silence_wakes_nobody() {
    let stream = BuiltinStream::new(Builtin::Silent);
    let count = Arc::new(Count::default());
    let waker = count.clone().into();
    let mut cx = Context::from_waker(&waker);
    assert!(stream.poll_writable(&mut cx).is_pending());
    assert!(stream.poll_readable(&mut cx).is_pending());
    assert!(would_block(stream.write(b"hello")));
    assert!(would_block(stream.read(&mut [0; 8])));
    assert_eq!(count.so_far(), 0);
    stream.abort();
}
