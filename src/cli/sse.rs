//! Reads a stream of server-sent events.

/// The most bytes of one message; what is longer is passed over.
const MOST: usize = 1 << 20;

/// One message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    /// Its data; several lines are joined.
    pub(super) data: String,
}

/// Puts messages together from pieces cut anywhere.
#[derive(Debug, Default)]
pub(super) struct Lines {
    line: Vec<u8>,
    data: Vec<u8>,
    /// The message is too long: it is waited out.
    lost: bool,
}

impl Lines {
    /// The messages that this piece completes.
    pub(super) fn read(&mut self, piece: &[u8]) -> Vec<Message> {
        let mut messages = Vec::new();
        for byte in piece {
            match byte {
                // A line ends by CR LF or LF; a CR alone is not in use here.
                b'\n' => messages.extend(self.end_line()),
                _ if self.line.len() + self.data.len() < MOST => self.line.push(*byte),
                _ => self.lost = true,
            }
        }
        messages
    }

    fn end_line(&mut self) -> Option<Message> {
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        if let Some(data) = line.strip_prefix(b"data:") {
            if !self.data.is_empty() {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(data.strip_prefix(b" ").unwrap_or(data));
        }
        if !line.is_empty() {
            return None;
        }
        let data = std::mem::take(&mut self.data);
        let lost = std::mem::take(&mut self.lost);
        let complete = !lost && !data.is_empty();
        complete.then(|| Message { data: String::from_utf8_lossy(&data).into_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] =
        b": ping\n\nevent: a\nid: 1-1\ndata: {\"x\": 1}\n\ndata:1\r\ndata: 2\r\n\r\nid: 7\n\ndata: cut off";

    fn data(pieces: impl Iterator<Item = Vec<u8>>) -> Vec<String> {
        let mut lines = Lines::default();
        pieces.flat_map(|piece| lines.read(&piece)).map(|message| message.data).collect()
    }

    #[test]
    fn messages_do_not_depend_on_how_they_are_cut() {
        let expected = ["{\"x\": 1}", "1\n2"];
        assert_eq!(data(std::iter::once(STREAM.to_vec())), expected);
        assert_eq!(data(STREAM.iter().map(|byte| vec![*byte])), expected);
    }

    #[test]
    fn a_message_without_end_costs_no_memory_and_not_the_next_one() {
        let mut lines = Lines::default();
        lines.read(b"data: ");
        for _ in 0..40 {
            assert_eq!(lines.read(&[b'x'; 1 << 16]), []);
        }
        assert!(lines.line.len() <= MOST);
        assert_eq!(lines.read(b"\n\ndata: next\n\n"), [Message { data: "next".to_owned() }]);
    }
}
