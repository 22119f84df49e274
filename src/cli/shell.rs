//! Words for a POSIX shell, so that what is printed can be typed.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;

use crate::spec::text::is_hostile;

/// A word that any shell reads as this one. What a terminal would obey, and what is no text at all, is left to `printf`
/// to make.
pub(super) fn quoted(word: &OsStr) -> String {
    match word.to_str() {
        Some(text) if !text.chars().any(is_hostile) => quoted_text(text),
        _ => printed(word.as_bytes()),
    }
}

fn quoted_text(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn printed(word: &[u8]) -> String {
    // `$(…)` would take them off: they stand behind it as they are.
    let kept = word.len() - word.iter().rev().take_while(|byte| **byte == b'\n').count();
    let (word, breaks) = word.split_at(kept);
    let mut format = String::new();
    for chunk in word.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' => format.push_str("\\n"),
                '\\' => format.push_str("\\\\"),
                '%' => format.push_str("%%"),
                // A quote ends it, a shell that people type into takes `!` for a command, and `-` begins an option.
                '\'' | '!' => octal(&mut format, c.encode_utf8(&mut [0; 4]).as_bytes()),
                '-' if format.is_empty() => octal(&mut format, b"-"),
                c if is_hostile(c) => octal(&mut format, c.encode_utf8(&mut [0; 4]).as_bytes()),
                c => format.push(c),
            }
        }
        octal(&mut format, chunk.invalid());
    }
    let mut out = String::new();
    if !format.is_empty() {
        let _ = write!(out, "\"$(printf '{format}')\"");
    }
    if !breaks.is_empty() {
        let _ = write!(out, "'{}'", "\n".repeat(breaks.len()));
    }
    out
}

fn octal(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        let _ = write!(out, "\\{byte:03o}");
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const WORDS: [&[u8]; 16] = [
        b"plain-1.0/a:b=c@d%e+f,g",
        b"",
        b"it's $5 `x` \"y\" \\ !z",
        b"two words",
        "grüße, 世界".as_bytes(),
        b"a\nb",
        b"echo a\necho b\n\n",
        b"\n",
        b"\x1b[2Jred\x07 100% \\n 'q' !h",
        b"-n\x01",
        b"--\n",
        b"not \xff\xfe utf-8",
        "right\u{202e}left".as_bytes(),
        b"\x7f123",
        b"*?[~]#&;|<>(){}",
        b"~",
    ];

    #[test]
    fn the_shell_reads_what_was_meant() {
        let line: Vec<String> = WORDS.iter().map(|word| quoted(OsStr::from_bytes(word))).collect();
        let line = line.join(" ");
        assert!(line.chars().all(|c| c == '\n' || !is_hostile(c)), "{line:?}");
        // Whichever are there; `sh` always is.
        for shell in ["sh", "dash", "bash"] {
            let Ok(output) = Command::new(shell).args(["-c", &format!("printf '%s\\0' {line}")]).output()
            else {
                continue;
            };
            let read: Vec<&[u8]> = output.stdout.split(|byte| *byte == 0).collect();
            assert_eq!(read[..read.len() - 1], WORDS, "{shell}: {output:?}");
        }
    }

    #[test]
    fn it_is_as_plain_as_it_can_be() {
        let quoted = |word: &[u8]| super::quoted(OsStr::from_bytes(word));
        assert_eq!([quoted(b"a-b"), quoted(b"a b"), quoted(b"it's")], ["a-b", "'a b'", r"'it'\''s'"]);
        assert_eq!(quoted(b"a\nb\n"), "\"$(printf 'a\\nb')\"'\n'");
    }
}
