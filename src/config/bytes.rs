//! From bytes to text: which encodings are read, and what the others are called.

use crate::spec::source::Source;
use crate::spec::{Diagnostic, Place, Span};

use super::tree::MAX_TEXT;

/// The text of a document, or the problem and as much of the text as can be shown.
pub(super) fn decode(bytes: &[u8], name: &str) -> Result<Source, Box<(Source, Diagnostic)>> {
    let refuse =
        |title: String, help: &str| Err(Box::new((Source::new(name, ""), Diagnostic::new(title).help(help))));
    if bytes.len() > MAX_TEXT {
        return refuse("the document is larger than 1 MiB".to_owned(), "it may have at most 1,048,576 bytes");
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let utf8 = "save it as UTF-8";
    if let Some(encoding) = other_encoding(bytes) {
        return refuse(format!("the document is {encoding}, not UTF-8"), utf8);
    }
    if bytes.starts_with(b"\x1f\x8b") {
        return refuse("the document is compressed with gzip".to_owned(), "unpack it first");
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = error.valid_up_to();
            let byte = bytes.get(at).copied().unwrap_or_default();
            let control = bytes.iter().filter(|b| **b < 32 && !matches!(b, b'\n' | b'\r' | b'\t')).count();
            if control > 0 {
                return refuse(
                    format!("the document is binary: byte 0x{byte:02x} at offset {at} is not text"),
                    utf8,
                );
            }
            let source = Source::new(name, String::from_utf8_lossy(bytes));
            let latin = if byte >= 0xa0 { "; it looks like Latin-1" } else { "" };
            let problem = Diagnostic::new(format!("byte 0x{byte:02x} at offset {at} is not UTF-8{latin}"))
                .at(Some(Place { span: Span::new(at..at + '\u{fffd}'.len_utf8()), ..Place::default() }))
                .label("this byte")
                .help(utf8);
            return Err(Box::new((source, problem)));
        }
    };
    let source = Source::new(name, text);
    match text.find('\0') {
        Some(at) => {
            let problem =
                Diagnostic::new(format!("a NUL byte at offset {at}: the document is binary or cut off"))
                    .at(Some(Place { span: Span::new(at..at + 1), ..Place::default() }))
                    .label("this byte");
            Err(Box::new((source, problem)))
        }
        None => Ok(source),
    }
}

fn other_encoding(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xfe, 0, 0, ..] => Some("UTF-32 (little endian)"),
        [0, 0, 0xfe, 0xff, ..] => Some("UTF-32 (big endian)"),
        [0xff, 0xfe, ..] => Some("UTF-16 (little endian)"),
        [0xfe, 0xff, ..] => Some("UTF-16 (big endian)"),
        [a, 0, b, 0, ..] if *a != 0 && *b != 0 => Some("UTF-16 (little endian)"),
        [0, a, 0, b, ..] if *a != 0 && *b != 0 => Some("UTF-16 (big endian)"),
        _ => None,
    }
}
