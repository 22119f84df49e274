//! Toxiproxy's list of proxies as routes: what its configuration file holds, or what its API tells of all proxies.

use serde_json::Value;

use super::go_json::{self, Object};
use super::proxy::{NewProxy, literal_spot};
use super::refusal::Refusal;
use super::toxics::NewToxic;
use crate::route::RouteConfig;

/// Why a text cannot be converted, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotConverted(String);

/// The routes that a list of proxies means, with their toxics as faults. A mapping of names to proxies will do as well.
pub fn convert(text: &[u8]) -> Result<Vec<RouteConfig>, NotConverted> {
    let without = |refusal: Refusal| {
        let message = refusal.message();
        NotConverted(message.strip_prefix("bad request body: ").unwrap_or(message).to_owned())
    };
    let proxies = match go_json::first_value(text).map_err(without)? {
        Value::Array(proxies) => proxies,
        Value::Object(proxies) => proxies.into_iter().map(|(_, proxy)| proxy).collect(),
        other => return Err(without(go_json::wrong("the document", &other, "a list of proxies"))),
    };
    let route = |(place, value): (usize, Value)| {
        let name = value.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        read(value).map_err(|refusal| {
            let name = if name.is_empty() {
                String::new()
            } else {
                format!(" `{}`", crate::spec::text::shown_short(&name, 40))
            };
            NotConverted(format!("proxy {}{name}: {}", place + 1, without(refusal)))
        })
    };
    proxies.into_iter().enumerate().map(route).collect()
}

fn read(value: Value) -> Result<RouteConfig, Refusal> {
    let proxy = Object::of(value, "a proxy")?;
    let new = NewProxy::read(&proxy)?;
    let mut route = new.route(literal_spot(&new.listen).map_err(Refusal::bad_body)?)?;
    for (place, toxic) in proxy.list("toxics")?.into_iter().enumerate() {
        let add = || NewToxic::read(&Object::of(toxic, "a toxic")?)?.add_to(&mut route.faults);
        add().map_err(|refusal| refusal.of_toxic(place + 1))?;
    }
    Ok(route)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::FaultSpec;
    use crate::route::RouteSpec;

    #[test]
    fn proxies_become_routes_and_toxics_their_faults() {
        let text = br#"[
            {"name": "redis", "listen": "[::]:26379", "upstream": "redis:6379", "enabled": true, "toxics": [
                {"type": "latency", "name": "slow", "stream": "upstream", "toxicity": 0.5, "attributes": {"latency": 100, "jitter": 10}}
            ]},
            {"name": "web", "listen": "localhost:8001", "upstream": ":8000", "enabled": false}
        ]"#;
        let routes = convert(text).unwrap();
        let shown = serde_json::to_value(routes.iter().map(RouteSpec::from).collect::<Vec<_>>()).unwrap();
        assert_eq!(shown[0]["bind"], "*");
        assert_eq!(shown[0]["localPort"], 26379);
        assert_eq!(shown[1]["enabled"], false);
        assert_eq!(
            (&shown[1]["bind"], &shown[1]["upstream"]),
            (&"127.0.0.1".into(), &"localhost:8000".into())
        );
        let fault = serde_json::to_value(FaultSpec::from(&routes[0].faults[0])).unwrap();
        assert_eq!(
            (&fault["latency"]["delay"], &fault["latency"]["direction"]),
            (&"100ms".into(), &"upstream".into())
        );
        let one = br#"{"web": {"name": "web", "listen": "127.0.0.1:0", "upstream": "x:1"}}"#;
        assert_eq!(convert(one).unwrap().len(), 1);
    }

    #[test]
    fn what_cannot_be_is_told_with_its_place() {
        for (text, words) in [
            ("", "EOF"),
            ("7", "the document must be a list of proxies"),
            ("[{}]", "proxy 1: missing required field: name"),
            (
                r#"[{"name": "a", "upstream": "x:1"}, {"name": "b"}]"#,
                "proxy 2 `b`: missing required field: upstream",
            ),
            (r#"[{"name": "a", "upstream": "x"}]"#, "proxy 1 `a`: the upstream `x` has no port"),
            (r#"[{"name": "a", "upstream": "x:1", "listen": "y"}]"#, "proxy 1 `a`: address y: missing port"),
            (r#"[{"name": "a", "upstream": "x:1", "listen": "db:1"}]"#, "write an IP address"),
            (
                r#"[{"name": "a", "upstream": "x:1", "toxics": [{"type": "z"}]}]"#,
                "proxy 1 `a`: toxic 1: invalid toxic type",
            ),
        ] {
            let why = convert(text.as_bytes()).unwrap_err().to_string();
            assert!(why.contains(words), "{text}: {why}");
        }
    }
}
