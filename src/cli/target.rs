//! What a call is about: its path and query, safely encoded, and the route and fault in it.

use hyper::Uri;

use super::stop::Stop;
use crate::spec::percent;

/// A path of the API with its query.
#[derive(Clone, Debug, Default)]
pub(super) struct Target {
    text: String,
    asked: bool,
    /// The route it is about, if it is about one.
    pub(super) route: Option<String>,
    /// The fault it is about.
    pub(super) fault: Option<String>,
}

impl Target {
    /// A path of our own words.
    pub(super) fn new(path: &str) -> Target {
        Target { text: path.to_owned(), ..Target::default() }
    }

    /// One route.
    pub(super) fn route(name: &str) -> Target {
        Target { route: Some(name.to_owned()), ..Target::new("/v1/routes").then(name) }
    }

    /// The faults of one route.
    pub(super) fn faults(route: &str) -> Target {
        Target::route(route).then("faults")
    }

    /// One fault.
    pub(super) fn fault(route: &str, name: &str) -> Target {
        Target { fault: Some(name.to_owned()), ..Target::faults(route).then(name) }
    }

    /// Whether what can be wrong stands in a file.
    pub(super) fn is_of_file(&self) -> bool {
        ["/v1/reload", "/v1/restore"].contains(&self.text.as_str())
    }

    /// One step further down.
    #[must_use]
    pub(super) fn then(mut self, segment: &str) -> Target {
        self.text.push('/');
        self.text.push_str(&percent::encode(segment));
        self
    }

    /// Only what is about this route.
    #[must_use]
    pub(super) fn only(self, route: &str) -> Target {
        Target { route: Some(route.to_owned()), ..self.with("route", route) }
    }

    /// With a parameter of its query.
    #[must_use]
    pub(super) fn with(mut self, name: &str, value: &str) -> Target {
        self.text.push(if self.asked { '&' } else { '?' });
        self.asked = true;
        self.text.push_str(name);
        self.text.push('=');
        self.text.push_str(&percent::encode(value));
        self
    }

    /// As it stands in a request.
    pub(super) fn uri(&self) -> Result<Uri, Stop> {
        self.text.parse().map_err(|_| Stop::wrong("what was typed is too long to be asked for"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let target = Target::fault("a/b c", "50%ü?").with("at", "0").with("x", "&=");
        assert_eq!(target.uri().unwrap(), "/v1/routes/a%2Fb%20c/faults/50%25%C3%BC%3F?at=0&x=%26%3D");
        assert!(Target::route(&"x".repeat(1 << 20)).uri().is_err());
    }
}
