//! `builtin:chargen`: the old character generator. Lines of 72 printable characters, each line one character further,
//! without end.

use super::{Answer, Responder};

/// The printable characters of ASCII, space to tilde.
const PRINTABLE: usize = 95;
/// Characters on a line, before CR and LF.
const WIDTH: usize = 72;
const LINE: usize = WIDTH + 2;

/// Where in the pattern the stream stands. What the client sends is read and thrown away; after its FIN the line in hand
/// is completed and the stream ends.
#[derive(Default)]
pub(super) struct Chargen {
    line: usize,
    column: usize,
    ended: bool,
}

impl Chargen {
    fn next(&mut self) -> u8 {
        let byte = match self.column {
            WIDTH => b'\r',
            column if column > WIDTH => b'\n',
            // The sum is below 95, so the character is at most a tilde.
            column => b' ' + ((self.line + column) % PRINTABLE) as u8,
        };
        self.column += 1;
        if self.column == LINE {
            self.column = 0;
            self.line = (self.line + 1) % PRINTABLE;
        }
        byte
    }
}

impl Responder for Chargen {
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
        true
    }

    fn answer(&mut self, buf: &mut [u8]) -> Answer {
        let mut given = 0;
        for slot in buf {
            if self.ended && self.column == 0 {
                break;
            }
            *slot = self.next();
            given += 1;
        }
        if given == 0 { Answer::End } else { Answer::Bytes(given) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_is_the_classic_one_whatever_the_reads() {
        let mut whole = vec![0; LINE * 100];
        assert_eq!(Chargen::default().answer(&mut whole), Answer::Bytes(whole.len()));
        let first = "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefgh";
        assert_eq!(&whole[..LINE], format!(" {}\r\n", &first[..WIDTH - 1]).as_bytes());
        assert_eq!(&whole[LINE..2 * LINE], format!("{first}\r\n").as_bytes());
        assert_eq!(&whole[95 * LINE..96 * LINE], &whole[..LINE]);
        for line in whole.chunks(LINE) {
            assert!(line[..WIDTH].iter().all(|byte| (b' '..=b'~').contains(byte)));
            assert_eq!(&line[WIDTH..], b"\r\n");
        }

        let mut chargen = Chargen::default();
        let mut pieces = Vec::new();
        for size in (1..50).cycle() {
            let mut buf = vec![0; size];
            assert_eq!(chargen.answer(&mut buf), Answer::Bytes(size));
            pieces.extend(buf);
            if pieces.len() >= whole.len() {
                break;
            }
        }
        assert_eq!(pieces[..whole.len()], whole);
    }

    #[test]
    fn ends_at_a_line_after_the_clients_fin() {
        let mut chargen = Chargen::default();
        let mut buf = [0; 80];
        chargen.answer(&mut buf[..10]);
        assert_eq!(chargen.take(b"thrown away"), 11);
        chargen.finish();
        assert_eq!(chargen.answer(&mut buf), Answer::Bytes(LINE - 10));
        assert_eq!(chargen.answer(&mut buf), Answer::End);
    }
}
