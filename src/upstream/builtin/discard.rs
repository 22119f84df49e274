//! `builtin:discard`: reads everything and answers nothing; ends when the client does.

use super::{Answer, Responder};

/// Knows only whether the client has ended.
#[derive(Default)]
pub(super) struct Discard {
    ended: bool,
}

impl Responder for Discard {
    fn accepts(&self) -> bool {
        true
    }

    fn take(&mut self, bytes: &[u8]) -> usize {
        bytes.len()
    }

    fn finish(&mut self) {
        self.ended = true;
    }

    fn has_answer(&self) -> bool {
        self.ended
    }

    fn answer(&mut self, _: &mut [u8]) -> Answer {
        if self.ended { Answer::End } else { Answer::Nothing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_all_gives_nothing_and_ends_with_the_client() {
        let mut discard = Discard::default();
        assert_eq!(discard.take(&[1; 100_000]), 100_000);
        assert!(discard.accepts() && !discard.has_answer());
        assert_eq!(discard.answer(&mut [0; 9]), Answer::Nothing);
        discard.finish();
        assert!(discard.has_answer());
        assert_eq!(discard.answer(&mut [0; 9]), Answer::End);
    }
}
