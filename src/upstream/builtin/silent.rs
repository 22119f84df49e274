//! `builtin:silent`: accepts the connection, and never reads, answers or ends: a server that hangs.

use super::{Answer, Responder};

/// Nothing happens here.
pub(super) struct Silent;

impl Responder for Silent {
    fn accepts(&self) -> bool {
        false
    }

    fn take(&mut self, _: &[u8]) -> usize {
        0
    }

    fn finish(&mut self) {}

    fn has_answer(&self) -> bool {
        false
    }

    fn answer(&mut self, _: &mut [u8]) -> Answer {
        Answer::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_nothing_gives_nothing_and_outlives_the_client() {
        let mut silent = Silent;
        assert_eq!(silent.take(b"hello"), 0);
        silent.finish();
        assert!(!silent.accepts() && !silent.has_answer());
        assert_eq!(silent.answer(&mut [0; 9]), Answer::Nothing);
    }
}
