//! The control API: a small HTTP server, who may ask it, and what can be asked.
//!
//! Requests go through `api` in one order: size, guard, path, query, body, handler. What can be asked is one list,
//! `endpoints`; routing, `Allow` and `/openapi.json` are made from it. Everything that changes the daemon goes through
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
pub mod stats;
mod status;
mod token;
mod views;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use thiserror::Error;
use tokio_util::sync::CancellationToken;

pub use exposition::{Family, Format, Kind};
pub use token::{Token, TokenError, TokenSources};

use crate::config;
use crate::daemon::Control;

/// The control API, bound and not yet served.
#[derive(Debug)]
pub struct Admin {
    listener: std::net::TcpListener,
    address: SocketAddr,
    policy: guard::Policy,
    notices: Vec<String>,
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

/// What handlers work on.
#[derive(Clone, Debug)]
struct State {
    control: Control,
    /// Told when the daemon ends.
    stop: CancellationToken,
}

impl Admin {
    /// Binds what the configuration says; None when it is off. `sources` is where a token comes from when the
    /// configuration names no file. The address nobody asked for by name gives way to a free one when it is taken.
    pub fn bind(at: &config::Admin, sources: &TokenSources) -> Result<Option<Admin>, AdminError> {
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
        if token.is_none() && !address.ip().to_canonical().is_loopback() {
            return Err(AdminError::NeedsToken(address));
        }
        let bind = |address| server::listen(address).map_err(|why| AdminError::Bind { address, why });
        let listener = match bind(address) {
            Err(AdminError::Bind { why, .. })
                if *at == config::Admin::Default && why.kind() == io::ErrorKind::AddrInUse =>
            {
                bind(SocketAddr::new(address.ip(), 0)).inspect(|listener| {
                    let elsewhere =
                        listener.local_addr().map_or_else(|_| "another port".to_owned(), |at| at.to_string());
                    notices.push(format!("{address} is taken: the control API listens on {elsewhere}"));
                })
            }
            bound => bound,
        }?;
        let address = listener.local_addr().map_err(|why| AdminError::Bind { address, why })?;
        Ok(Some(Admin { listener, address, policy: guard::Policy { token, allowed_hosts }, notices }))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a person should know of it.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Serves until told to stop. Replies under way are finished then, as far as that takes no more than a second.
    pub async fn serve(self, control: Control, stop: CancellationToken) {
        let (emitter, connections) = (control.emitter().clone(), control.places());
        let state = Arc::new(State { control, stop: stop.clone() });
        let api = api::Api {
            policy: self.policy,
            endpoints: endpoints::ENDPOINTS,
            state,
            count: |state, status| state.control.emitter().process().count_call(status.as_u16()),
            panicked: |state| state.control.emitter().process().count_panic(),
        };
        let limits = limits::Limits { connections, ..limits::Limits::default() };
        match tokio::net::TcpListener::from_std(self.listener) {
            Ok(listener) => server::serve(listener, limits, api.into_answer(), stop).await,
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
        let none = TokenSources::default();
        let some = TokenSources { token: Some("s3cret".into()), file: None };
        for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
            let error = Admin::bind(&on(listen), &none).unwrap_err();
            assert!(matches!(error, AdminError::NeedsToken(_)), "{listen}: {error}");
            assert!(error.to_string().contains("admin.tokenFile"), "{error}");
        }
        assert!(Admin::bind(&on("0.0.0.0:0"), &some).unwrap().is_some());
        assert!(Admin::bind(&on("127.0.0.1:0"), &none).unwrap().is_some());
        assert!(Admin::bind(&config::Admin::Off, &none).unwrap().is_none());
    }

    #[tokio::test]
    async fn an_address_that_was_asked_for_is_not_replaced() {
        let none = TokenSources::default();
        let first = Admin::bind(&on("127.0.0.1:0"), &none).unwrap().unwrap();
        let taken = first.address().to_string();
        let error = Admin::bind(&on(&taken), &none).unwrap_err();
        assert!(error.to_string().contains(&taken), "{error}");
    }
}
