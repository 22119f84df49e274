//! JSON as Toxiproxy reads it: keys in any case, unknown ones and what follows the first value passed over, `null` as if
//! it were not there; but a number is a number and an integer is written as one.

use serde_json::{Map, Value};

use super::refusal::Refusal;

/// An object of a body.
#[derive(Clone, Debug, Default)]
pub(super) struct Object(Map<String, Value>);

/// The first value of a body.
pub(super) fn first_value(body: &[u8]) -> Result<Value, Refusal> {
    match serde_json::Deserializer::from_slice(body).into_iter().next() {
        None => Err(Refusal::bad_body("EOF")),
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => Err(Refusal::bad_body(error)),
    }
}

/// The object that a body is; `null` is an empty one.
pub(super) fn object(body: &[u8]) -> Result<Object, Refusal> {
    Object::of(first_value(body)?, "the body")
}

impl Object {
    /// A value that must be an object; `null` is an empty one. `what` it is called in messages.
    pub(super) fn of(value: Value, what: &str) -> Result<Object, Refusal> {
        match value {
            Value::Object(map) => Ok(Object(map)),
            Value::Null => Ok(Object::default()),
            other => Err(wrong(what, &other, "an object")),
        }
    }

    /// The value of a key, in whatever case it is written; the exact one goes first.
    fn get(&self, key: &str) -> Option<&Value> {
        let near = || self.0.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value);
        self.0.get(key).or_else(near).filter(|value| !value.is_null())
    }

    /// A text.
    pub(super) fn text(&self, key: &str) -> Result<Option<String>, Refusal> {
        self.read(key, "a text", |value| value.as_str().map(str::to_owned))
    }

    /// A yes or no.
    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, Refusal> {
        self.read(key, "true or false", Value::as_bool)
    }

    /// A number.
    pub(super) fn number(&self, key: &str) -> Result<Option<f64>, Refusal> {
        self.read(key, "a number", Value::as_f64)
    }

    /// A whole number, not below nothing. Toxiproxy's are of 64 bits with a sign.
    pub(super) fn whole(&self, key: &str) -> Result<Option<u64>, Refusal> {
        let whole = self.read(key, "a whole number", Value::as_i64)?;
        let natural = |number| u64::try_from(number);
        whole.map(natural).transpose().map_err(|_| Refusal::bad_body(format_args!("`{key}` is below 0")))
    }

    /// An object within the object.
    pub(super) fn object(&self, key: &str) -> Result<Object, Refusal> {
        Object::of(self.get(key).cloned().unwrap_or_default(), &format!("`{key}`"))
    }

    /// The values of a list.
    pub(super) fn list(&self, key: &str) -> Result<Vec<Value>, Refusal> {
        Ok(self.read(key, "a list", |value| value.as_array().cloned())?.unwrap_or_default())
    }

    fn read<T>(
        &self,
        key: &str,
        wanted: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        let Some(value) = self.get(key) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| wrong(&format!("`{key}`"), value, wanted))
    }
}

/// Something is not what it must be.
pub(super) fn wrong(what: &str, is: &Value, wanted: &str) -> Refusal {
    let is = match is {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) if wanted.ends_with("number") => "another kind of number",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    Refusal::bad_body(format_args!("{what} must be {wanted} and is {is}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_may_be_written_in_any_case_and_the_exact_one_wins() {
        let body = br#"{"NAME": "a", "Listen": "x", "listen": "y", "what": [1], "upstream": null} trailing"#;
        let read = object(body).unwrap();
        assert_eq!(read.text("name").unwrap().as_deref(), Some("a"));
        assert_eq!(read.text("listen").unwrap().as_deref(), Some("y"));
        assert_eq!(read.text("upstream").unwrap(), None);
        assert_eq!(read.flag("enabled").unwrap(), None);
    }

    #[test]
    fn integers_are_written_as_integers() {
        let number =
            |text: &str| object(format!("{{\"n\": {text}}}").as_bytes()).and_then(|it| it.whole("n"));
        assert_eq!(number("5").unwrap(), Some(5));
        assert_eq!(number("9223372036854775807").unwrap(), Some(i64::MAX as u64));
        for text in ["1.5", "1e3", "1.0", "\"5\"", "true", "[]", "{}", "9223372036854775808", "-1"] {
            assert!(number(text).is_err(), "{text}");
        }
        assert_eq!(number("null").unwrap(), None);
    }

    #[test]
    fn what_is_no_object_is_told() {
        for (body, words) in [
            ("", "EOF"),
            (" \n", "EOF"),
            ("g", "expected value"),
            ("{", "EOF"),
            ("[]", "the body must be an object and is a list"),
            ("\"x\"", "the body must be an object and is a text"),
            ("{\"a\": {\"b\": 1}", "EOF"),
        ] {
            let refusal = object(body.as_bytes()).unwrap_err();
            assert!(refusal.message().starts_with("bad request body: "), "{refusal:?}");
            assert!(refusal.message().contains(words), "{body}: {refusal:?}");
        }
        let deep = "[".repeat(100_000);
        assert!(first_value(deep.as_bytes()).is_err());
    }
}
