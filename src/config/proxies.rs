//! A list of proxies as Toxiproxy's configuration has it, read as the routes that they are.
//!
//! Such a list is told from one of routes by the key `listen`. Keys that it may have beside those below are passed over,
//! as Toxiproxy does.

use std::fmt::Display;

use super::sheet::Sheet;
use super::tree::Kind;
use crate::route::{Bind, HELD_OF_PROXY, LimitsSpec, LocalPort, RouteSpec};
use crate::spec::{Diagnostic, Field, Name, NodeId, ProxyListen, Size, proxy_upstream};
use crate::upstream::UpstreamSpec;

/// The items of a list, if it is one of proxies.
pub(super) fn proxies(sheet: &Sheet) -> Option<Vec<NodeId>> {
    let Kind::List(items) = sheet.tree.kind(sheet.root()) else { return None };
    let has = |key: &str| items.iter().any(|item| get(sheet, *item, key).is_some());
    (has("listen") && !has("localPort")).then(|| items.clone())
}

/// The value of a key, in whatever case it is written, as Go reads it; the exact one goes first, and null is nothing.
fn get(sheet: &Sheet, item: NodeId, key: &str) -> Option<NodeId> {
    let Kind::Map(entries) = sheet.tree.kind(item) else { return None };
    let near = || entries.iter().find(|entry| entry.key.eq_ignore_ascii_case(key)).map(|entry| entry.value);
    let found = sheet.get(item, key).or_else(near)?;
    (!matches!(sheet.tree.kind(found), Kind::Null)).then_some(found)
}

/// The routes that these are; what is wrong with one is noted.
pub(super) fn routes(items: &[NodeId], sheet: &mut Sheet) -> Vec<Field<RouteSpec>> {
    items.iter().map(|item| route(*item, sheet)).collect()
}

fn route(item: NodeId, sheet: &mut Sheet) -> Field<RouteSpec> {
    if !matches!(sheet.tree.kind(item), Kind::Map(_)) {
        note(sheet, item, "this is no proxy", "a proxy is {\"name\": …, \"listen\": …, \"upstream\": …}");
        return Field::Bad;
    }
    let name = must(sheet, item, "name").and_then(|node| read::<Name>(sheet, node));
    let upstream = must(sheet, item, "upstream").and_then(|node| {
        let (node, text) = read::<String>(sheet, node)?;
        match proxy_upstream(&text) {
            Ok(endpoint) => Some((node, UpstreamSpec::One(endpoint))),
            Err(why) => refuse(sheet, node, "the upstream", &why),
        }
    });
    let listen = match get(sheet, item, "listen") {
        Some(node) => listen(sheet, node),
        None => Some((None, (Bind::Any, LocalPort::Auto))),
    };
    let enabled = get(sheet, item, "enabled").map(|node| read::<bool>(sheet, node));
    let (Some((name_at, name)), Some((upstream_at, upstream)), Some((at, (bind, port)))) =
        (name, upstream, listen)
    else {
        return Field::Bad;
    };
    let value = RouteSpec {
        name: good(Some(name_at), name),
        upstream: good(Some(upstream_at), upstream),
        bind: good(at, bind),
        local_port: good(at, port),
        enabled: match enabled {
            None => Field::Absent,
            Some(None) => Field::Bad,
            Some(Some((node, enabled))) => good(Some(node), enabled),
        },
        limits: Field::from(LimitsSpec {
            held: Size::new(HELD_OF_PROXY as u64).into(),
            ..LimitsSpec::default()
        }),
        ..RouteSpec::default()
    };
    good(Some(item), value)
}

fn listen(sheet: &mut Sheet, node: NodeId) -> Option<(Option<NodeId>, (Bind, LocalPort))> {
    let (node, text) = read::<String>(sheet, node)?;
    let listen: ProxyListen = match text.parse() {
        Ok(listen) => listen,
        Err(why) => return refuse(sheet, node, "this is nowhere to listen:", &why),
    };
    let Ok(bind) = Bind::of_proxy(listen.host) else {
        // Names are not looked up when a file is read.
        note(sheet, node, "a name cannot be listened on", "write an IP address, or localhost");
        return None;
    };
    Some((Some(node), (bind, LocalPort::of_proxy(listen.port))))
}

fn must(sheet: &mut Sheet, item: NodeId, key: &str) -> Option<NodeId> {
    let found = get(sheet, item, key);
    if found.is_none() {
        note(sheet, item, &format!("`{key}` is missing"), &format!("this proxy needs `{key}`"));
    }
    found
}

fn read<T: serde::de::DeserializeOwned>(sheet: &mut Sheet, node: NodeId) -> Option<(NodeId, T)> {
    match sheet.read_as::<Field<T>>(node) {
        Some(Field::Good { value, .. }) => Some((node, value)),
        _ => None,
    }
}

/// `why`: words that follow, and on a second line what to write.
fn refuse<T>(sheet: &mut Sheet, node: NodeId, what: &str, why: &impl Display) -> Option<T> {
    let why = why.to_string();
    let (words, advice) = why.split_once('\n').unwrap_or((&why, "write an address such as 127.0.0.1:26379"));
    note(sheet, node, &format!("{what} {words}"), advice);
    None
}

fn note(sheet: &mut Sheet, node: NodeId, title: &str, label: &str) {
    let place = sheet.place(Some(node));
    sheet.note(Diagnostic::new(title).at(place).label(label));
}

fn good<T>(node: Option<NodeId>, value: T) -> Field<T> {
    Field::Good { node, value }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, parse};
    use crate::route::{Bind, LocalPort};

    fn read(text: &str) -> Result<Config, String> {
        parse(text.as_bytes(), "toxiproxy.json", &|_| None).map_err(|refused| refused.to_string())
    }

    #[test]
    fn a_list_of_proxies_is_read_as_routes() {
        let config = read(
            r#"[
                {"name": "redis", "listen": "[::]:26379", "upstream": "redis:6379", "enabled": true, "toxics": []},
                {"name": "web", "listen": "localhost:8001", "upstream": ":8000", "enabled": false},
                {"NAME": "any", "Listen": null, "Upstream": "x:1", "enabled": null}
            ]"#,
        )
        .unwrap();
        let [redis, web, any] = config.routes.as_slice() else { unreachable!() };
        assert_eq!((redis.bind, redis.local_port, redis.enabled), (Bind::Any, LocalPort::Fixed(26379), true));
        assert_eq!((web.local_port, web.enabled), (LocalPort::Fixed(8001), false));
        assert_eq!(web.bind.to_string(), "127.0.0.1");
        assert_eq!(web.upstream.to_string(), "localhost:8000");
        assert_eq!((any.bind, any.local_port), (Bind::Any, LocalPort::Auto));
    }

    #[test]
    fn what_is_wrong_is_shown_where_it_stands() {
        for (text, words) in [
            (r#"[{"listen": "localhost:1", "upstream": "x:1"}]"#, "`name` is missing"),
            (r#"[{"name": "a", "listen": "localhost:1"}]"#, "`upstream` is missing"),
            (r#"[{"name": "a", "listen": "local373", "upstream": "x:1"}]"#, "missing port in address"),
            (r#"[{"name": "a", "listen": "db:1", "upstream": "x:1"}]"#, "write an IP address"),
            (r#"[{"name": "a", "listen": 8000, "upstream": "x:1"}]"#, "listen"),
            (r#"[{"name": "a", "listen": ":1", "upstream": "x"}]"#, "has no port"),
            (r#"[{"name": "a", "listen": ":1", "upstream": "x:1", "enabled": "yes"}]"#, "enabled"),
            (r#"[{"name": "a", "listen": ":1", "upstream": "x:1"}, 7]"#, "this is no proxy"),
            (
                r#"[{"name": "a", "listen": ":1", "upstream": "x:1"}, {"name": "b", "listen": ":1", "upstream": "y:1"}]"#,
                "localPort",
            ),
        ] {
            let refused = read(text).unwrap_err();
            assert!(refused.contains(words) && refused.contains("toxiproxy.json:1:"), "{text}\n{refused}");
        }
    }
}
