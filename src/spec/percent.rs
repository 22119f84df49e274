//! Percent-encoding: what may stand in one segment of a path, and back.

use std::fmt::Write;

/// A segment of a path, decoded once. None: it is not percent-encoded UTF-8.
pub(crate) fn decode(text: &str) -> Option<String> {
    decode_bytes(text.bytes())
}

/// The same for a part of a query, where a plus stands for a blank.
pub(crate) fn decode_form(text: &str) -> Option<String> {
    decode_bytes(text.bytes().map(|byte| if byte == b'+' { b' ' } else { byte }))
}

fn decode_bytes(mut bytes: impl Iterator<Item = u8>) -> Option<String> {
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => digit(bytes.next()?)? << 4 | digit(bytes.next()?)?,
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

fn digit(byte: u8) -> Option<u8> {
    let value = char::from(byte).to_digit(16)?;
    u8::try_from(value).ok()
}

/// Text as one segment of a path.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_encoded_is_decoded_once() {
        assert_eq!(decode("a%2Fb%20%C3%bc+"), Some("a/b ü+".into()));
        assert_eq!(decode("%2541"), Some("%41".into()));
        assert_eq!(decode_form("a+b%2B"), Some("a b+".into()));
        for bad in ["%", "%2", "%2g", "%+1", "%ff", "%C3", "%é"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_name_comes_back(name in ".*") {
            prop_assert_eq!(decode(&encode(&name)), Some(name));
        }
    }
}
