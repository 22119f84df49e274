//! The endpoints of a route, and how they are, for cells of a table.

use serde::Deserialize;

use crate::spec::text::shown;
use crate::upstream::EndpointView;

/// An endpoint, as much as a table tells of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Endpoint {
    address: String,
    health: String,
    breaker: String,
    /// Why it is down.
    error: Option<String>,
    /// Present where it is asked after its health.
    checks: Option<serde_json::Value>,
}

impl From<EndpointView> for Endpoint {
    fn from(view: EndpointView) -> Endpoint {
        Endpoint {
            address: view.address.to_string(),
            health: view.health.word().to_owned(),
            breaker: view.breaker.unwrap_or_default().word().to_owned(),
            error: view.error.map(|error| error.to_string()),
            checks: view.checks.map(|_| serde_json::Value::Null),
        }
    }
}

/// The endpoints of an upstream: `a:1`, `a:1 +2`.
pub(super) fn upstream(endpoints: &[Endpoint]) -> String {
    let Some(first) = endpoints.first() else { return String::new() };
    let first = shown(&first.address);
    match endpoints.len() {
        1 => first.into_owned(),
        n => format!("{first} +{}", n - 1),
    }
}

/// `–` where nobody asks, `● up`, `○ down (connection refused)`, `◐ 2 of 3 up, breaker of b:1 open`.
pub(super) fn cell(endpoints: &[Endpoint]) -> String {
    let mut said = Vec::new();
    let asked: Vec<&Endpoint> = endpoints.iter().filter(|endpoint| endpoint.checks.is_some()).collect();
    match asked.as_slice() {
        [] => {}
        [alone] => said.push(match alone.health.as_str() {
            "up" => "● up".to_owned(),
            "down" => match &alone.error {
                Some(error) => format!("○ down ({})", shown(error)),
                None => "○ down".to_owned(),
            },
            _ => "… not known yet".to_owned(),
        }),
        all => {
            let up = all.iter().filter(|endpoint| endpoint.health == "up").count();
            let sign = match up {
                0 if all.iter().any(|endpoint| endpoint.health != "down") => "…",
                0 => "○",
                up if up == all.len() => "●",
                _ => "◐",
            };
            said.push(format!("{sign} {up} of {} up", all.len()));
        }
    }
    for endpoint in endpoints {
        let state = match endpoint.breaker.as_str() {
            "open" => "open",
            "halfOpen" => "half open",
            _ => continue,
        };
        let whose =
            if endpoints.len() > 1 { format!(" of {}", shown(&endpoint.address)) } else { String::new() };
        said.push(format!("breaker{whose} {state}"));
    }
    if said.is_empty() { "–".to_owned() } else { said.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(address: &str, health: &str, breaker: &str) -> Endpoint {
        let error = (health == "down").then(|| "connection refused".to_owned());
        let (health, breaker) = (health.to_owned(), breaker.to_owned());
        Endpoint { address: address.to_owned(), health, breaker, error, checks: Some(serde_json::json!({})) }
    }

    #[test]
    fn an_upstream_is_its_first_endpoint_and_how_many_more() {
        let endpoints = ["a:1", "b:2\u{1b}", "c:3"].map(|address| endpoint(address, "up", "closed"));
        assert_eq!((upstream(&endpoints[..1]).as_str(), upstream(&endpoints).as_str()), ("a:1", "a:1 +2"));
        assert_eq!(upstream(&endpoints[1..2]), "b:2\\u{1b}");
    }

    #[test]
    fn a_cell_says_what_an_operator_looks_for() {
        let (up, down) = (endpoint("a:1", "up", "closed"), endpoint("b:1", "down", "open"));
        let unknown = endpoint("c:1", "unknown", "closed");
        assert_eq!(cell(&[Endpoint { checks: None, ..unknown.clone() }]), "–");
        assert_eq!(cell(std::slice::from_ref(&up)), "● up");
        assert_eq!(cell(std::slice::from_ref(&down)), "○ down (connection refused), breaker open");
        assert_eq!(cell(std::slice::from_ref(&unknown)), "… not known yet");
        assert_eq!(cell(&[up.clone(), down.clone(), up.clone()]), "◐ 2 of 3 up, breaker of b:1 open");
        assert_eq!(cell(&[up.clone(), up]), "● 2 of 2 up");
        assert_eq!(cell(&[down, unknown]), "… 0 of 2 up, breaker of b:1 open");
    }
}
