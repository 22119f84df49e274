//! From JSON text to the located tree, with messages for what people put into JSON that does not belong there.

use std::sync::Arc;

use super::builder::{Builder, here, too_deep};
use super::scalar::resolve;
use super::tree::{Entry, Kind, MAX_DEPTH};

use crate::spec::{Diagnostic, NodeId, Span};

/// Reads one document into `builder`.
pub(super) fn read(text: &str, builder: &mut Builder) -> Result<(), Diagnostic> {
    let mut reader = Reader { text, at: 0, builder };
    reader.blanks()?;
    reader.value(1)?;
    reader.blanks()?;
    match reader.peek() {
        None => Ok(()),
        Some(_) => Err(reader
            .problem("something stands after the end of the document", "the document ended before this")),
    }
}

struct Reader<'t, 'b> {
    text: &'t str,
    at: usize,
    builder: &'b mut Builder,
}

impl Reader<'_, '_> {
    fn value(&mut self, depth: usize) -> Result<NodeId, Diagnostic> {
        let start = self.at;
        match self.peek() {
            Some('{' | '[') if depth > MAX_DEPTH => Err(too_deep(self.here())),
            Some('{') => self.map(depth),
            Some('[') => self.list(depth),
            Some('"') => {
                let text = self.string()?;
                self.builder.add(Kind::Text(text), Span::new(start..self.at))
            }
            Some('\'') => Err(self.problem("JSON text stands in double quotes", "write \"…\"")),
            None => Err(self.problem("the document ends too early", "a value is missing")),
            Some(c) if c.is_alphanumeric() || matches!(c, '-' | '+' | '.' | '_' | '$') => self.word(),
            Some(c) => {
                Err(self.problem(&format!("`{c}` stands where a value belongs"), "a value is missing"))
            }
        }
    }

    /// A number, or one of the three words.
    fn word(&mut self) -> Result<NodeId, Diagnostic> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = rest
            .find(|c: char| {
                c.is_whitespace()
                    || c.is_control()
                    || matches!(c, ',' | ':' | ']' | '}' | '[' | '{' | '"' | '/' | '#')
            })
            .unwrap_or(rest.len());
        let word = rest.get(..length).unwrap_or_default();
        let span = Span::new(self.at..self.at + length);
        let kind = match word {
            "null" => Kind::Null,
            "true" => Kind::Bool(true),
            "false" => Kind::Bool(false),
            _ => match resolve(word) {
                kind @ (Kind::Int(_) | Kind::Float(_)) if is_number(word) => kind,
                Kind::Odd(odd) => Kind::Odd(odd),
                _ => {
                    let (title, label) = match word {
                        "NaN" | "Infinity" | "-Infinity" | ".nan" | ".inf" | "-.inf" => {
                            ("JSON has no such number", "write a finite number")
                        }
                        "True" | "False" | "None" | "TRUE" | "FALSE" => {
                            ("JSON's words are true, false and null", "write it in small letters")
                        }
                        word if word
                            .starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) =>
                        {
                            ("this is not a number of JSON", "write it like 12, -3, 0.5 or 1e-3")
                        }
                        _ => ("JSON text stands in double quotes", "write it in double quotes"),
                    };
                    return Err(Diagnostic::new(title).at(Some(here(span))).label(label));
                }
            },
        };
        self.at += length;
        self.builder.add(kind, span)
    }

    fn list(&mut self, depth: usize) -> Result<NodeId, Diagnostic> {
        let open = self.here();
        let list = self.builder.add(Kind::Null, open)?;
        let mut items = Vec::new();
        self.at += 1;
        self.blanks()?;
        while self.peek() != Some(']') {
            items.push(self.value(depth + 1)?);
            self.comma(']', open)?;
        }
        self.at += 1;
        self.builder.finish_list(list, items);
        self.close(list);
        Ok(list)
    }

    fn map(&mut self, depth: usize) -> Result<NodeId, Diagnostic> {
        let open = self.here();
        let map = self.builder.add(Kind::Null, open)?;
        let mut entries = Vec::new();
        self.at += 1;
        self.blanks()?;
        while self.peek() != Some('}') {
            let start = self.at;
            match self.peek() {
                Some('"') => {}
                Some('\'') => return Err(self.problem("JSON keys stand in double quotes", "write \"…\"")),
                None => return Err(self.unclosed(open)),
                Some(_) => {
                    return Err(self.problem("JSON keys stand in double quotes", "a key belongs here").help(
                        "what begins with `{` or `[` is read as JSON; for YAML put `---` on the line before",
                    ));
                }
            }
            let key = self.string()?;
            let span = Span::new(start..self.at);
            self.blanks()?;
            if self.peek() != Some(':') {
                return Err(self.problem("`:` is missing after a key", "write \"key\": value"));
            }
            self.at += 1;
            self.blanks()?;
            let value = self.value(depth + 1)?;
            entries.push(Entry { key, span, value });
            self.comma('}', open)?;
        }
        self.at += 1;
        self.builder.finish_map(map, entries, Vec::new());
        self.close(map);
        Ok(map)
    }

    /// Passes over the comma before a next item, and sees that there is one.
    fn comma(&mut self, end: char, open: Span) -> Result<(), Diagnostic> {
        self.blanks()?;
        match self.peek() {
            Some(',') => {
                let comma = self.here();
                self.at += 1;
                self.blanks()?;
                if self.peek() == Some(end) {
                    return Err(Diagnostic::new(format!("a comma stands before `{end}`"))
                        .at(Some(here(comma)))
                        .label("JSON has no comma after the last item"));
                }
                if self.peek().is_none() {
                    return Err(self.unclosed(open));
                }
                Ok(())
            }
            Some(c) if c == end => Ok(()),
            None => Err(self.unclosed(open)),
            Some(_) => Err(self
                .problem(&format!("`,` or `{end}` is missing"), "before this")
                .note("the bracket is opened", Some(here(open)))),
        }
    }

    fn string(&mut self) -> Result<Arc<str>, Diagnostic> {
        let open = self.here();
        self.at += 1;
        let mut out = String::new();
        loop {
            let Some(c) = self.peek() else {
                return Err(Diagnostic::new("a quote is not closed")
                    .at(Some(here(open)))
                    .label("it is opened here"));
            };
            match c {
                '"' => {
                    self.at += 1;
                    return Ok(Arc::from(out));
                }
                '\\' => out.push(self.escape()?),
                '\n' | '\r' => {
                    return Err(Diagnostic::new("a quote is not closed on its line")
                        .at(Some(here(open)))
                        .label("it is opened here; a line break inside is written \\n"));
                }
                c if c < ' ' => {
                    let title = format!("the control character U+{:04X} stands in the text", u32::from(c));
                    return Err(self.problem(&title, "write it as an escape"));
                }
                c => {
                    out.push(c);
                    self.at += c.len_utf8();
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, Diagnostic> {
        let start = self.at;
        let rest = self.text.get(start + 1..).unwrap_or_default();
        let simple = match rest.chars().next() {
            Some(c @ ('"' | '\\' | '/')) => c,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => return self.unicode(start),
            _ => {
                return Err(Diagnostic::new("an unknown escape in a text")
                    .at(Some(here(Span::new(start..start + 1))))
                    .label("write \\\\ for a backslash"));
            }
        };
        self.at += 2;
        Ok(simple)
    }

    fn unicode(&mut self, start: usize) -> Result<char, Diagnostic> {
        let unit = |at: usize| -> Option<u32> {
            let digits = self.text.get(at..at + 6)?.strip_prefix("\\u")?;
            digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
        };
        let (code, length) = match unit(start) {
            Some(high @ 0xd800..=0xdbff) => match unit(start + 6) {
                Some(low @ 0xdc00..=0xdfff) => (Some(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)), 12),
                _ => (None, 6),
            },
            code => (code, 6),
        };
        match code.and_then(char::from_u32) {
            Some(c) => {
                self.at += length;
                Ok(c)
            }
            None => {
                let span = Span::new(start..(start + 6).min(self.text.len()));
                Err(Diagnostic::new("an escape that stands for no character")
                    .at(Some(here(span)))
                    .label("half of a pair, or not four hex digits"))
            }
        }
    }

    fn blanks(&mut self) -> Result<(), Diagnostic> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
        match self.peek() {
            Some('/' | '#') => Err(self.problem("JSON has no comments", "take it away, or write YAML")),
            _ => Ok(()),
        }
    }

    fn close(&mut self, node: NodeId) {
        let end = Span::new(self.at..self.at).end;
        if let Some(span) = self.builder.span_mut(node) {
            span.end = end;
        }
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at..).and_then(|rest| rest.chars().next())
    }

    fn here(&self) -> Span {
        Span::new(self.at..self.at + self.peek().map_or(0, char::len_utf8))
    }

    fn problem(&self, title: &str, label: &str) -> Diagnostic {
        Diagnostic::new(title).at(Some(here(self.here()))).label(label)
    }

    fn unclosed(&self, open: Span) -> Diagnostic {
        Diagnostic::new("a bracket is not closed").at(Some(here(open))).label("it is opened here")
    }
}

/// Whether a word that YAML takes for a number is one in JSON: no `+`, digits on both sides of the point.
fn is_number(word: &str) -> bool {
    let body = word.strip_prefix('-').unwrap_or(word);
    let (mantissa, _) = body.split_once(['e', 'E']).unwrap_or((body, ""));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    !whole.is_empty() && !fraction.is_empty() && whole.bytes().all(|b| b.is_ascii_digit())
}
