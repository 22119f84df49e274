//! The paths of Toxiproxy's API, and what is asked for at each.

use hyper::{Method, StatusCode};

use super::State;
use super::faults;
use super::populate::populate;
use super::proxies::{self, Outcome};
use super::reply;
use crate::admin::reply::Reply;
use crate::spec::percent;

/// The Toxiproxy whose behaviour is met. From 2.6.0 on some clients send PATCH.
const VERSION: &str = "2.12.0";

/// The first part of each path.
const OWN: [&str; 4] = ["proxies", "populate", "reset", "version"];

/// What is asked for, by its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Proxies,
    Proxy(String),
    Toxics(String),
    Toxic(String, String),
    Populate,
    Reset,
    Version,
}

/// Whether a path is one of Toxiproxy's.
pub(super) fn own(path: &str) -> bool {
    let first = path.strip_prefix('/').and_then(|path| path.split('/').next());
    first.is_some_and(|first| OWN.contains(&first))
}

impl Asked {
    /// What stands at a path, if anything does. Names may hold anything, percent-encoded.
    pub(super) fn at(path: &str) -> Option<Asked> {
        let parts: Option<Vec<String>> = path.strip_prefix('/')?.split('/').map(percent::decode).collect();
        let parts = parts?;
        if parts.iter().any(String::is_empty) {
            return None;
        }
        let mut names = parts.iter().map(String::as_str);
        let (first, proxy, toxics, toxic) = (names.next()?, names.next(), names.next(), names.next());
        let owned = |name: &str| name.to_owned();
        match (first, proxy, toxics, toxic, names.next()) {
            ("proxies", None, ..) => Some(Asked::Proxies),
            ("proxies", Some(proxy), None, ..) => Some(Asked::Proxy(owned(proxy))),
            ("proxies", Some(proxy), Some("toxics"), None, _) => Some(Asked::Toxics(owned(proxy))),
            ("proxies", Some(proxy), Some("toxics"), Some(toxic), None) => {
                Some(Asked::Toxic(owned(proxy), owned(toxic)))
            }
            ("populate", None, ..) => Some(Asked::Populate),
            ("reset", None, ..) => Some(Asked::Reset),
            ("version", None, ..) => Some(Asked::Version),
            _ => None,
        }
    }

    /// Does what is asked for here.
    pub(super) async fn answer(&self, method: &Method, state: &State, body: &[u8]) -> Reply {
        match self.outcome(method.as_str(), state, body).await {
            Ok(reply) => reply,
            Err(refusal) => refusal.into_reply(),
        }
    }

    async fn outcome(&self, method: &str, state: &State, body: &[u8]) -> Outcome {
        match (self, method) {
            (Asked::Proxies, "GET") => proxies::list(state).await,
            (Asked::Proxies, "POST") => proxies::create(state, body).await,
            (Asked::Proxy(proxy), "GET") => proxies::show(state, proxy).await,
            (Asked::Proxy(proxy), "POST" | "PATCH") => proxies::update(state, proxy, body).await,
            (Asked::Proxy(proxy), "DELETE") => proxies::delete(state, proxy).await,
            (Asked::Toxics(proxy), "GET") => faults::list(state, proxy).await,
            (Asked::Toxics(proxy), "POST") => faults::create(state, proxy, body).await,
            (Asked::Toxic(proxy, toxic), "GET") => faults::show(state, proxy, toxic).await,
            (Asked::Toxic(proxy, toxic), "POST" | "PATCH") => faults::update(state, proxy, toxic, body).await,
            (Asked::Toxic(proxy, toxic), "DELETE") => faults::delete(state, proxy, toxic).await,
            (Asked::Populate, "POST") => Ok(populate(state, body).await),
            (Asked::Reset, "POST") => proxies::reset(state).await,
            (Asked::Version, "GET") => Ok(reply::version(VERSION)),
            _ => Ok(Reply::empty(StatusCode::METHOD_NOT_ALLOWED)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_hold_anything_percent_encoded() {
        let (a, b) = ("a/b ?#%+".to_owned(), "ü".to_owned());
        assert_eq!(Asked::at("/proxies/a%2Fb%20%3F%23%25+"), Some(Asked::Proxy(a.clone())));
        assert_eq!(Asked::at("/proxies/a%2Fb%20%3F%23%25+/toxics/%C3%BC"), Some(Asked::Toxic(a, b)));
        assert_eq!(Asked::at("/proxies/.."), Some(Asked::Proxy("..".to_owned())));
        assert_eq!(Asked::at("/proxies/x/toxics"), Some(Asked::Toxics("x".to_owned())));
    }

    #[test]
    fn what_is_not_there_is_not_there() {
        for path in [
            "/proxies/",
            "/proxies//toxics",
            "/proxies/x/",
            "/proxies/x/toxics/",
            "/proxies/x/toxics/y/z",
            "/proxies/x/faults",
            "/populate/x",
            "/reset/",
            "/version/1",
            "/proxies/%ff",
            "/proxies/%",
        ] {
            assert!(own(path), "{path}");
            assert_eq!(Asked::at(path), None, "{path}");
        }
        for path in ["/", "", "/v1/routes", "/Proxies", "/proxiesx", "proxies", "/metrics", "//proxies"] {
            assert!(!own(path), "{path}");
        }
    }
}
