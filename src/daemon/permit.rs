//! Where the control API may point routes: what it asks for is held against what the author of the configuration permits,
//! before anything is changed, and again when names are dialled.

use std::collections::HashSet;

use super::ControlError;
use super::change::as_it_runs;
use super::shared::Shared;
use crate::config::Config;
use crate::observe::By;
use crate::upstream::permits::{self, Rules};
use crate::upstream::{Address, Endpoint};

/// Whether this came through the control API, so that not everything is permitted.
pub(super) fn is_remote(by: By) -> bool {
    matches!(by, By::Api | By::Cli)
}

/// A whole configuration that comes through the control API, with what it leaves out as it runs. What only the author of the
/// file may say, it may repeat.
pub(crate) fn as_it_may_be(old: &Config, mut new: Config) -> Result<Config, ControlError> {
    if new.allowed_upstreams.is_some() && new.allowed_upstreams != old.allowed_upstreams {
        return Err(ControlError::FileOnly("allowedUpstreams"));
    }
    new.allowed_upstreams = old.allowed_upstreams.clone();
    as_it_runs(old, new)
}

/// Refuses a change that leads a route to where nothing leads yet, unless that is permitted. What stands in the file may
/// come back.
pub(super) fn demand(old: &Config, file: &Config, new: &Config) -> Result<(), ControlError> {
    let known: HashSet<&Address> = addresses(old).chain(addresses(file)).collect();
    for (place, route) in new.routes.iter().enumerate() {
        let asked = route.upstream.endpoints.iter().filter_map(|target| address(&target.endpoint));
        for address in asked.filter(|address| !known.contains(address)) {
            if let Err(why) = permits::may_name(new.allowed_upstreams.as_deref(), address) {
                let (route, upstream) = (route.name.to_string(), address.to_string());
                return Err(ControlError::Denied { place, route, upstream, why });
            }
        }
    }
    Ok(())
}

/// Before `new` is put in force: what it leads to may be dialled, as far as it is the author's own. Gives what held before, to
/// be taken back should nothing come of it.
pub(super) fn open(shared: &Shared, old: &Config, file: &Config, new: &Config, by: By) -> Rules {
    let known: HashSet<&Address> = addresses(old).collect();
    let added = addresses(new).filter(|address| !is_remote(by) && !known.contains(address));
    let own = addresses(file).chain(added).cloned();
    shared.common.dialer.permits().open(new.allowed_upstreams.as_deref(), own)
}

/// After that: what is written nowhere any more is forgotten.
pub(super) fn forget(shared: &Shared, file: &Config, new: &Config) {
    shared.common.dialer.permits().keep(&addresses(file).chain(addresses(new)).cloned().collect());
}

fn addresses(config: &Config) -> impl Iterator<Item = &Address> {
    let targets = config.routes.iter().flat_map(|route| &route.upstream.endpoints);
    targets.filter_map(|target| address(&target.endpoint))
}

fn address(endpoint: &Endpoint) -> Option<&Address> {
    match endpoint {
        Endpoint::Address(address) => Some(address),
        Endpoint::Builtin(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Origin, Overrides};
    use crate::daemon::{Daemon, Handle, Live};
    use crate::upstream::Denied;

    fn config(top: &str, upstreams: &[&str]) -> Config {
        let routes: Vec<String> = upstreams
            .iter()
            .enumerate()
            .map(|(n, upstream)| format!("{{name: r{n}, localPort: auto, upstream: '{upstream}'}}"))
            .collect();
        Config::from_text(&format!("---\n{top}\nroutes: [{}]\n", routes.join(", "))).unwrap()
    }

    fn denied(old: &Config, file: &Config, new: &Config) -> Option<(usize, Denied)> {
        match demand(old, file, new) {
            Ok(()) => None,
            Err(ControlError::Denied { place, why, .. }) => Some((place, why)),
            Err(other) => panic!("{other}"),
        }
    }

    const METADATA: &str = "169.254.169.254:80";

    #[test]
    fn only_what_is_new_is_asked_about() {
        let (plain, meta) = (config("", &["a:1"]), config("", &["a:1", METADATA]));
        assert_eq!(denied(&plain, &plain, &meta), Some((1, Denied::Metadata)));
        // It leads there already, or stands in the file and was only taken away meanwhile.
        assert_eq!(denied(&meta, &plain, &meta), None);
        assert_eq!(denied(&plain, &meta, &meta), None);
        assert_eq!(denied(&plain, &plain, &config("", &["builtin:echo", "b:2"])), None);
    }

    #[test]
    fn a_list_permits_what_is_on_it() {
        let top = "allowedUpstreams: [127.0.0.0/8, '*.internal']";
        let file = config(top, &["elsewhere:1"]);
        let new = |upstream: &str| config(top, &["elsewhere:1", upstream]);
        assert_eq!(denied(&file, &file, &new("127.0.0.1:1")), None);
        assert_eq!(denied(&file, &file, &new("db.internal:1")), None);
        assert_eq!(denied(&file, &file, &new("builtin:http")), None);
        assert_eq!(denied(&file, &file, &new("db:1")), Some((1, Denied::NotListed)));
        assert_eq!(denied(&file, &file, &new("10.0.0.1:1")), Some((1, Denied::NotListed)));
    }

    #[test]
    fn the_list_may_be_repeated_and_not_changed() {
        let old = config("allowedUpstreams: [127.0.0.0/8]", &["a:1"]);
        let left_out = as_it_may_be(&old, config("", &["a:1"])).unwrap();
        assert_eq!(left_out.allowed_upstreams, old.allowed_upstreams);
        assert!(as_it_may_be(&old, old.clone()).is_ok());
        for text in ["allowedUpstreams: [0.0.0.0/0]", "allowedUpstreams: []"] {
            let error = as_it_may_be(&old, config(text, &["a:1"])).unwrap_err();
            assert!(matches!(error, ControlError::FileOnly("allowedUpstreams")), "{error}");
        }
    }

    /// Whether an address that a name may turn out to lead to is dialled as the author's own.
    fn is_own(daemon: &Handle, upstream: &str) -> bool {
        let permits = daemon.shared.common.dialer.permits();
        permits.dialled(&upstream.parse().unwrap(), &["169.254.169.254".parse().unwrap()]).is_ok()
    }

    #[tokio::test]
    async fn a_reload_decides_whose_an_address_is_also_when_it_fails_or_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("routes.yaml");
        let write = |routes: &str| {
            std::fs::write(&path, format!("seed: 1\nadmin: off\nroutes: [{routes}]\n")).unwrap();
            Origin { path: path.clone(), overrides: Overrides::default(), env: |_| None }
        };
        let [a, b] =
            ["a", "b"].map(|name| format!("{{name: {name}, localPort: auto, upstream: '{name}:80'}}"));
        let origin = write(&a);
        let daemon = Daemon::start_from(origin.read().unwrap(), Some(origin)).await.unwrap();
        let control = daemon.control();
        assert_eq!([is_own(&daemon, "a:80"), is_own(&daemon, "b:80")], [true, false]);

        // A port that another has: nothing of the file comes into force, nor what it leads to.
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        write(&format!("{b}, {{name: c, localPort: {port}, bind: 127.0.0.1, upstream: 'c:80'}}"));
        control.reload(By::Api).await.unwrap_err();
        assert_eq!(["a:80", "b:80", "c:80"].map(|upstream| is_own(&daemon, upstream)), [true, false, false]);

        // Somebody asked the API for what the file says only later, at first in vain.
        let asked = Config::from_text(&format!("routes: [{b}]")).unwrap().routes;
        control
            .edit(By::Api, Live::Drain, move |config| {
                config.routes.extend(asked);
                Ok(())
            })
            .await
            .unwrap();
        assert!(!is_own(&daemon, "b:80"));
        write(&format!("{b}, {{name: c, localPort: {port}, bind: 127.0.0.1, upstream: 'c:80'}}"));
        control.reload(By::Api).await.unwrap_err();
        assert!(!is_own(&daemon, "b:80"));
        write(&format!("{a}, {b}"));
        assert!(control.reload(By::Api).await.unwrap().changes.is_empty());
        assert!(is_own(&daemon, "b:80"));
        write(&a);
        control.reload(By::Api).await.unwrap();
        assert_eq!([is_own(&daemon, "a:80"), is_own(&daemon, "b:80")], [true, false]);
    }
}
