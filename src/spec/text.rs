//! Text from outside, made fit to be shown: nothing that a terminal would obey or hide gets through raw.

use std::borrow::Cow;
use std::fmt::Write as _;

/// `text` with every character escaped that a terminal would act on, reorder by or not show at all.
///
/// Line breaks and tabs become `\n`, `\r` and `\t`, everything else `\u{…}`. Whatever a peer or a file can choose goes
/// through here before it reaches a log, a message or a table.
pub fn shown(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hostile) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        push_shown(&mut out, c);
    }
    Cow::Owned(out)
}

/// The first `most` characters of `text`, escaped, with `…` where something was left out.
pub fn shown_short(text: &str, most: usize) -> String {
    let mut out = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == most {
            out.push('…');
            break;
        }
        push_shown(&mut out, c);
    }
    out
}

/// Adds one character to `out`, escaped if it must be.
pub fn push_shown(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c if is_hostile(c) => {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        }
        c => out.push(c),
    }
}

/// Whether `c` is a control, reorders text, or has no width: the characters that can make a text look like another.
pub fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{70f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_left_alone() {
        assert!(matches!(shown("grüße, 世界"), Cow::Borrowed(_)));
    }

    #[test]
    fn what_a_terminal_obeys_is_escaped() {
        assert_eq!(shown("a\u{1b}[2Jb\n\t\u{9b}"), "a\\u{1b}[2Jb\\n\\t\\u{9b}");
        assert_eq!(shown("user\u{202e}nimda\u{200b}"), "user\\u{202e}nimda\\u{200b}");
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!(shown_short("abcdef", 3), "abc…");
        assert_eq!(shown_short("abc", 3), "abc");
    }
}
