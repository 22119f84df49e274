//! The control API: a small HTTP server, who may ask it, and what can be asked.
//!
//! Requests go through `api` in one order: size, guard, path, query, body, handler. What can be asked is one list,
//! `endpoints`; routing, `Allow` and `/openapi.json` are made from it. The paths of Toxiproxy's API go to `toxiproxy`. Everything that changes the daemon goes through
//! [`Control`].

mod api;
mod call;
mod configuration;
mod connections;
mod endpoint;
mod endpoints;
mod etag;
mod events;
mod exposition;
mod faults;
mod guard;
mod limits;
pub mod metrics;
mod openapi;
mod places;
mod problem;
mod query;
mod reply;
mod router;
mod routes;
mod schemas;
mod server;
#[cfg(test)]
mod server_tests;
mod state;
mod status;
mod token;
mod toxiproxy;
mod views;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use thiserror::Error;
use tokio_util::sync::CancellationToken;

pub use exposition::{Family, Format, Kind};
pub use token::{Token, TokenError, TokenSources};
pub use toxiproxy::{NotConverted, convert as convert_from_toxiproxy};

use crate::config;
use crate::daemon::Control;

/// The control API, bound and not yet served.
#[derive(Debug)]
pub struct Admin {
    listener: std::net::TcpListener,
    address: SocketAddr,
    policy: guard::Policy,
    toxiproxy: AsToxiproxy,
    notices: Vec<String>,
    elsewhere: Option<String>,
}

/// Why the control API cannot be served.
#[derive(Debug, Error)]
pub enum AdminError {
    /// Everybody who reaches the address could change the daemon.
    #[error(
        "the control API at {0} can be reached from other machines and has no token: set admin.tokenFile, \
         CHAOS_PROXY_TOKEN or CHAOS_PROXY_TOKEN_FILE, or let it listen on 127.0.0.1"
    )]
    NeedsToken(SocketAddr),
    /// There is a token that cannot be used.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The address cannot be had.
    #[error("the control API cannot listen on {address}: {why}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        why: io::Error,
    },
}

/// What who starts the program as if it were Toxiproxy asks for, beyond the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AsToxiproxy {
    /// Its paths are open to everybody who reaches them.
    pub open: bool,
    /// Its metrics stand beside ours.
    pub metrics: bool,
}

/// What handlers work on.
#[derive(Clone, Debug)]
struct State {
    control: Control,
    /// Whether Toxiproxy's metrics are told as well.
    toxiproxy_metrics: bool,
    /// Told when the daemon ends.
    stop: CancellationToken,
}

impl Admin {
    /// Binds what the configuration says; None when it is off. `sources` is where a token comes from when the
    /// configuration names no file. The address nobody asked for by name gives way to a free one when it is taken.
    pub fn bind(
        at: &config::Admin,
        sources: &TokenSources,
        toxiproxy: AsToxiproxy,
    ) -> Result<Option<Admin>, AdminError> {
        let (address, file, allowed_hosts) = match at {
            config::Admin::Off => return Ok(None),
            config::Admin::Default => (config::AdminSpec::DEFAULT, None, Vec::new()),
            config::Admin::On { listen, token_file, allowed_hosts } => {
                (*listen, token_file.as_deref(), allowed_hosts.clone())
            }
        };
        let (token, mut notices) = match Token::find(file, sources)? {
            Some((token, notice)) => (Some(token), Vec::from_iter(notice)),
            None => (None, Vec::new()),
        };
        let beyond = !address.ip().to_canonical().is_loopback();
        if token.is_none() && beyond && !toxiproxy.open {
            return Err(AdminError::NeedsToken(address));
        }
        let bind = |address| server::listen(address).map_err(|why| AdminError::Bind { address, why });
        let mut elsewhere = None;
        let listener = match bind(address) {
            Err(AdminError::Bind { why, .. })
                if *at == config::Admin::Default && why.kind() == io::ErrorKind::AddrInUse =>
            {
                bind(SocketAddr::new(address.ip(), 0)).inspect(|listener| {
                    let at =
                        listener.local_addr().map_or_else(|_| "another port".to_owned(), |at| at.to_string());
                    elsewhere = Some(format!("{address} is taken: the control API listens on {at}"));
                })
            }
            bound => bound,
        }?;
        let address = listener.local_addr().map_err(|why| AdminError::Bind { address, why })?;
        if toxiproxy.open && (beyond || token.is_some()) {
            let rest = if token.is_some() { "needs the token" } else { "is closed: there is no token" };
            notices.push(format!(
                "whoever reaches {address} may change everything through Toxiproxy's API, without a token; /v1 {rest}"
            ));
        }
        let policy = guard::Policy { token, allowed_hosts, beyond, open_to_toxiproxy: toxiproxy.open };
        Ok(Some(Admin { listener, address, policy, toxiproxy, notices, elsewhere }))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a person should know of it.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// That it had to give way to somebody, if it had.
    pub fn elsewhere(&self) -> Option<&str> {
        self.elsewhere.as_deref()
    }

    /// Serves until told to stop. Replies under way are finished then, as far as that takes no more than a second.
    pub async fn serve(self, control: Control, stop: CancellationToken) {
        let (emitter, connections) = (control.emitter().clone(), control.places());
        let policy = Arc::new(self.policy);
        let toxiproxy = Arc::new(toxiproxy::Toxiproxy::new(policy.clone(), control.clone()));
        let state =
            Arc::new(State { control, toxiproxy_metrics: self.toxiproxy.metrics, stop: stop.clone() });
        let api = api::Api {
            policy,
            endpoints: endpoints::ENDPOINTS,
            state,
            count: |state, status| state.control.emitter().process().count_call(status.as_u16()),
            panicked: |state| state.control.emitter().process().count_panic(),
        };
        let limits = limits::Limits { connections, ..limits::Limits::default() };
        match tokio::net::TcpListener::from_std(self.listener) {
            Ok(listener) => {
                let native = api.into_answer();
                let answer: server::Answer = Arc::new(move |arrived| {
                    if !toxiproxy::owns(arrived.head.uri.path()) {
                        return native(arrived);
                    }
                    let toxiproxy = toxiproxy.clone();
                    Box::pin(async move { toxiproxy.answer(arrived).await })
                });
                server::serve(listener, limits, answer, stop).await;
            }
            Err(error) => emitter.emit(crate::observe::Fact::Notice {
                route: None,
                message: format!("the control API is not served: {error}").into(),
            }),
        }
    }
}

/// The description of the API, OpenAPI 3.1.
pub fn openapi() -> serde_json::Value {
    openapi::document(endpoints::ENDPOINTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(listen: &str) -> config::Admin {
        config::Admin::On { listen: listen.parse().unwrap(), token_file: None, allowed_hosts: Vec::new() }
    }

    #[tokio::test]
    async fn beyond_loopback_there_must_be_a_token() {
        let (none, plain) = (TokenSources::default(), AsToxiproxy::default());
        let some = TokenSources { token: Some("s3cret".into()), file: None };
        for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
            let error = Admin::bind(&on(listen), &none, plain).unwrap_err();
            assert!(matches!(error, AdminError::NeedsToken(_)), "{listen}: {error}");
            assert!(error.to_string().contains("admin.tokenFile"), "{error}");
        }
        assert!(Admin::bind(&on("0.0.0.0:0"), &some, plain).unwrap().is_some());
        assert!(Admin::bind(&on("127.0.0.1:0"), &none, plain).unwrap().is_some());
        assert!(Admin::bind(&config::Admin::Off, &none, plain).unwrap().is_none());
        // Its clients know no token: who says so lets them in, and is told what that means.
        let open = AsToxiproxy { open: true, ..plain };
        for (sources, word) in [(&none, "closed"), (&some, "needs the token")] {
            let opened = Admin::bind(&on("0.0.0.0:0"), sources, open).unwrap().unwrap();
            assert!(opened.notices()[0].contains(word), "{:?}", opened.notices());
        }
        assert!(Admin::bind(&on("127.0.0.1:0"), &none, open).unwrap().unwrap().notices().is_empty());
        let past = Admin::bind(&on("127.0.0.1:0"), &some, open).unwrap().unwrap();
        assert!(past.notices()[0].contains("without a token"), "{:?}", past.notices());
    }

    #[tokio::test]
    async fn an_address_that_was_asked_for_is_not_replaced() {
        let (none, plain) = (TokenSources::default(), AsToxiproxy::default());
        let first = Admin::bind(&on("127.0.0.1:0"), &none, plain).unwrap().unwrap();
        let taken = first.address().to_string();
        let error = Admin::bind(&on(&taken), &none, plain).unwrap_err();
        assert!(error.to_string().contains(&taken), "{error}");
    }
}
