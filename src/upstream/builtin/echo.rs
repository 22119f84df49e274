//! `builtin:echo`: sends back what it is sent.

use super::pending::Pending;
use super::{Answer, Responder};

/// What came and was not yet sent back. After the client's FIN its own FIN follows the last byte.
#[derive(Default)]
pub(super) struct Echo {
    pending: Pending,
}

impl Responder for Echo {
    fn accepts(&self) -> bool {
        self.pending.room() > 0
    }

    fn take(&mut self, bytes: &[u8]) -> usize {
        let n = bytes.len().min(self.pending.room());
        self.pending.push(&bytes[..n]);
        n
    }

    fn finish(&mut self) {
        self.pending.end();
    }

    fn has_answer(&self) -> bool {
        self.pending.has_answer()
    }

    fn answer(&mut self, buf: &mut [u8]) -> Answer {
        self.pending.give(buf)
    }
}

#[cfg(test)]
mod tests {
    use super::super::CAPACITY;
    use super::*;

    #[test]
    fn gives_back_everything_and_then_ends() {
        let mut echo = Echo::default();
        let mut buf = [0; 8];
        assert_eq!(echo.answer(&mut buf), Answer::Nothing);
        assert_eq!(echo.take(b"hello world"), 11);
        echo.finish();
        assert_eq!(echo.answer(&mut buf), Answer::Bytes(8));
        assert_eq!(&buf, b"hello wo");
        assert!(echo.has_answer());
        assert_eq!(echo.answer(&mut buf), Answer::Bytes(3));
        assert_eq!(&buf[..3], b"rld");
        assert_eq!(echo.answer(&mut buf), Answer::End);
        assert_eq!(echo.answer(&mut buf), Answer::End);
    }

    #[test]
    fn takes_no_more_than_it_may_hold() {
        let mut echo = Echo::default();
        assert_eq!(echo.take(&vec![1; CAPACITY + 5]), CAPACITY);
        assert!(!echo.accepts());
        assert_eq!(echo.take(b"x"), 0);
        assert_eq!(echo.answer(&mut [0; 10]), Answer::Bytes(10));
        assert!(echo.accepts());
        assert_eq!(echo.take(&[2; 20]), 10);
    }

    #[test]
    fn owns_no_buffer_when_all_is_sent_back() {
        let mut echo = Echo::default();
        echo.take(&[7; 1000]);
        assert_eq!(echo.answer(&mut [0; 2000]), Answer::Bytes(1000));
        assert_eq!(echo.pending.owned(), 0);
    }
}
