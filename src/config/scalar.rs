//! What a plain scalar is: nothing, true or false, a number, or text.

use std::sync::Arc;

use super::tree::Kind;

/// The meaning of an unquoted scalar (YAML 1.2's core rules; JSON's words are among them). Numbers in notations that
/// are easily misread stay apart, so that they can be refused wherever they matter.
pub(super) fn resolve(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
        "true" | "True" | "TRUE" => return Kind::Bool(true),
        "false" | "False" | "FALSE" => return Kind::Bool(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Kind::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Kind::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Kind::Float(f64::NAN),
        _ => {}
    }
    number(text).unwrap_or_else(|| Kind::Text(Arc::from(text)))
}

/// The same as JSON. What JSON has no number for, and notations that are easily misread, stay text.
pub(crate) fn to_json(text: &str) -> serde_json::Value {
    use serde_json::{Number, Value};
    let number = match resolve(text) {
        Kind::Null => return Value::Null,
        Kind::Bool(value) => return Value::Bool(value),
        Kind::Int(value) => Number::from_i128(value),
        Kind::Float(value) => Number::from_f64(value),
        _ => None,
    };
    number.map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

fn number(text: &str) -> Option<Kind> {
    let body = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !body.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        || !body.bytes().any(|b| b.is_ascii_digit())
    {
        return None;
    }
    let odd = || Some(Kind::Odd(Arc::from(text)));
    let based = body.get(..2).map(str::to_ascii_lowercase).unwrap_or_default();
    if matches!(based.as_str(), "0x" | "0o" | "0b") {
        let digits = body.get(2..).unwrap_or_default();
        let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit() || b == b'_');
        return if is_number { odd() } else { None };
    }
    if body.bytes().all(|b| b.is_ascii_digit() || b == b'_') {
        if body.contains('_') || (body.len() > 1 && body.starts_with('0')) {
            return odd();
        }
        return Some(match text.parse::<i128>() {
            Ok(number) => Kind::Int(number),
            Err(_) => Kind::Float(text.parse().unwrap_or(f64::INFINITY)),
        });
    }
    // What is left of a number is a fraction, an exponent, or both.
    let (mantissa, exponent) = match body.find(['e', 'E']) {
        Some(at) => (body.get(..at)?, Some(body.get(at + 1..)?)),
        None => (body, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    if let Some(exponent) = exponent {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if exponent.is_empty() || !digits(exponent) {
            return None;
        }
    }
    if whole.len() > 1 && whole.starts_with('0') {
        return odd();
    }
    text.parse().ok().map(Kind::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_mean_what_yaml_says() {
        for (text, kind) in [
            ("~", Kind::Null),
            ("true", Kind::Bool(true)),
            ("8080", Kind::Int(8080)),
            ("-1", Kind::Int(-1)),
            ("0", Kind::Int(0)),
            ("1.0", Kind::Float(1.0)),
            ("1e3", Kind::Float(1000.0)),
            ("1.", Kind::Float(1.0)),
            (".5", Kind::Float(0.5)),
            ("1e400", Kind::Float(f64::INFINITY)),
        ] {
            assert_eq!(resolve(text), kind, "{text}");
        }
    }

    #[test]
    fn odd_notations_stay_apart() {
        for text in ["0x1F90", "0o17", "017", "00", "1_000", "-010", "01.5", "0b1"] {
            assert!(matches!(resolve(text), Kind::Odd(_)), "{text}");
        }
    }

    #[test]
    fn everything_else_is_text() {
        for text in
            ["yes", "off", "1.2.3", "127.0.0.1:80", "5s", ".", "-", "e5", "1e", "0xyz", "12:30", "é", "0é"]
        {
            assert!(matches!(resolve(text), Kind::Text(_)), "{text}");
        }
    }
}
