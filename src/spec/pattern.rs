//! Patterns from which the schemas of several values are made: as exact as their readers, in the part of the language
//! of patterns that JSON Schema, Python and Rust have in common.

use serde_json::Value;

/// A port from 1 to 65535.
pub(crate) const PORT: &str =
    "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])";

/// An IPv4 address.
pub(crate) fn ipv4() -> String {
    let byte = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
    format!(r"({byte}\.){{3}}{byte}")
}

/// An IPv6 address without a zone.
pub(crate) fn ipv6() -> String {
    let (group, v4) = ("[0-9a-fA-F]{1,4}", ipv4());
    let mut forms = vec![
        format!("({group}:){{7}}{group}"),
        format!("({group}:){{1,7}}:"),
        format!(":((:{group}){{1,7}}|:)"),
        format!("({group}:){{6}}{v4}"),
        format!("({group}:){{1,5}}:{v4}"),
        format!("::({group}:){{0,5}}{v4}"),
    ];
    // Groups are left out in the middle: so many before, at most the rest but one behind.
    forms.extend((1..=6).map(|before| format!("({group}:){{{before}}}(:{group}){{1,{}}}", 7 - before)));
    format!("({})", forms.join("|"))
}

/// A number with at most so many digits before the point, and behind it.
pub(crate) fn decimal(whole: u32, fraction: u32) -> String {
    format!(r"([0-9]{{1,{whole}}}(\.[0-9]{{1,{fraction}}})?|\.[0-9]{{1,{fraction}}})")
}

/// A whole number in decimal, from zero to `most`.
pub(crate) fn up_to(most: u64) -> String {
    let digits = most.to_string();
    let mut forms = Vec::new();
    if digits.len() > 1 {
        forms.push(format!("[0-9]{{1,{}}}", digits.len() - 1));
    }
    for (i, digit) in digits.bytes().enumerate() {
        let (before, behind) = (digits.get(..i).unwrap_or_default(), digits.len() - i - 1);
        // The last digit may be the very one; the others are told apart by those behind them.
        let (least, most) = (if i == 0 && behind > 0 { b'1' } else { b'0' }, digit - u8::from(behind > 0));
        if least <= most {
            let any = if behind > 0 { format!("[0-9]{{{behind}}}") } else { String::new() };
            forms.push(format!("{before}[{}-{}]{any}", least as char, most as char));
        }
    }
    format!("({})", forms.join("|"))
}

/// Says how large a number of 64 bits may be, wherever a schema only names its format.
pub(crate) fn bound(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(bound),
        Value::Object(keys) => {
            keys.values_mut().for_each(bound);
            if keys.get("format").is_some_and(|format| format == "uint64") && !keys.contains_key("maximum") {
                keys.insert("maximum".to_owned(), u64::MAX.into());
            }
        }
        _ => {}
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    /// Texts of a schema's pattern.
    pub(crate) fn texts(pattern: &str) -> impl Strategy<Value = String> + use<> {
        let whole = pattern.strip_prefix('^').and_then(|pattern| pattern.strip_suffix('$'));
        proptest::string::string_regex(whole.unwrap_or(pattern)).unwrap()
    }

    #[test]
    fn what_is_no_digit_further_is_left_out() {
        assert_eq!(up_to(7), "([0-7])");
        assert_eq!(up_to(4095), "([0-9]{1,3}|[1-3][0-9]{3}|40[0-8][0-9]{1}|409[0-5])");
    }

    proptest! {
        #[test]
        fn addresses_are_addresses(v4 in texts(&ipv4()), v6 in texts(&ipv6()), port in texts(PORT)) {
            prop_assert!(v4.parse::<Ipv4Addr>().is_ok(), "{}", v4);
            prop_assert!(v6.parse::<Ipv6Addr>().is_ok(), "{}", v6);
            prop_assert!(port.parse::<u16>().is_ok_and(|port| port > 0), "{}", port);
        }

        #[test]
        fn numbers_stay_below_their_bound(
            (most, number) in any::<u64>().prop_flat_map(|most| (Just(most), texts(&up_to(most))))
        ) {
            prop_assert!(number.parse::<u64>().is_ok_and(|number| number <= most), "{} {}", number, most);
        }
    }
}
