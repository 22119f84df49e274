//! The text of a document, and where its lines are.

use std::borrow::Cow;
use std::ops::Range;

use super::Span;
use super::text::push_shown;

/// A text under a name, with lines and columns, and with the stretches of it that are never to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    name: String,
    text: String,
    lines: Vec<u32>,
    hidden: Vec<Range<usize>>,
}

impl Source {
    /// `text`, known to the user as `name`.
    pub fn new(name: &str, text: impl Into<String>) -> Source {
        let text = text.into();
        let mut lines = vec![0];
        let bytes = text.as_bytes();
        for (at, byte) in bytes.iter().enumerate() {
            if *byte == b'\n' || (*byte == b'\r' && bytes.get(at + 1) != Some(&b'\n')) {
                lines.push(u32::try_from(at + 1).unwrap_or(u32::MAX));
            }
        }
        Source { name: name.to_owned(), text, lines, hidden: Vec::new() }
    }

    /// What the user calls it; not yet escaped.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Marks a stretch as secret: `***` stands in its place from now on.
    pub fn hide(&mut self, span: Range<usize>) {
        let after = self.hidden.partition_point(|hidden| hidden.start <= span.start);
        self.hidden.insert(after, span);
    }

    /// Line and column of a byte, both from 1, columns in characters.
    pub fn line_column(&self, at: usize) -> (usize, usize) {
        let at = floor(&self.text, at);
        let line = self.line_of(at);
        let start = self.lines.get(line).map_or(0, |start| *start as usize).min(at);
        (line + 1, self.text[start..at].chars().count() + 1)
    }

    /// The bytes of the line `at` is on, without its ending.
    pub fn line_range(&self, at: usize) -> Range<usize> {
        let line = self.line_of(floor(&self.text, at));
        let start = self.lines.get(line).map_or(0, |start| *start as usize);
        let end = self.lines.get(line + 1).map_or(self.text.len(), |end| *end as usize);
        let end = start + self.text[start..end].trim_end_matches(['\n', '\r']).len();
        start..end
    }

    /// What stands at `span`: escaped, secrets hidden, one line of at most `most` characters.
    pub fn quote(&self, span: Span, most: usize) -> String {
        let range = span.range();
        let end = floor(&self.text, range.end).min(self.line_range(range.start).end);
        let start = floor(&self.text, range.start).min(end);
        let mut out = String::new();
        for (count, (offset, c)) in self.text[start..end].char_indices().enumerate() {
            if count == most {
                out.push('…');
                break;
            }
            match self.seen(start + offset) {
                Seen::Plain => push_shown(&mut out, c),
                Seen::Secret { first } if first => out.push_str("***"),
                Seen::Secret { .. } => {}
            }
        }
        out
    }

    /// One character as it is shown in a snippet: a tab as a blank, so that carets stay in line.
    pub(super) fn cell(&self, at: usize, c: char) -> Cow<'static, str> {
        match self.seen(at) {
            Seen::Secret { first: true } => Cow::Borrowed("***"),
            Seen::Secret { first: false } => Cow::Borrowed(""),
            Seen::Plain if c == '\t' => Cow::Borrowed(" "),
            Seen::Plain => {
                let mut out = String::new();
                push_shown(&mut out, c);
                Cow::Owned(out)
            }
        }
    }

    fn seen(&self, at: usize) -> Seen {
        let after = self.hidden.partition_point(|hidden| hidden.start <= at);
        match self.hidden[..after].last().filter(|hidden| hidden.contains(&at)) {
            Some(hidden) => Seen::Secret { first: hidden.start == at },
            None => Seen::Plain,
        }
    }

    fn line_of(&self, at: usize) -> usize {
        self.lines.partition_point(|start| *start as usize <= at).saturating_sub(1)
    }
}

enum Seen {
    Plain,
    Secret { first: bool },
}

/// The nearest character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_in_any_of_three_ways() {
        let source = Source::new("x", "a\r\nbü c\rd\n");
        assert_eq!(source.line_column(0), (1, 1));
        assert_eq!(source.line_column(6), (2, 3));
        assert_eq!(source.line_column(9), (3, 1));
        assert_eq!(source.line_column(99), (4, 1));
        assert_eq!(&source.text()[source.line_range(4)], "bü c");
    }

    #[test]
    fn secrets_are_not_quoted() {
        let mut source = Source::new("x", "at u:secret@h:1");
        source.hide(5..11);
        assert_eq!(source.quote(Span::new(3..15), 40), "u:***@h:1");
    }
}
