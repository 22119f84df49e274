//! What went wrong with a call, in the statuses and words that Toxiproxy's clients look for.

use std::fmt::Display;
use std::io;

use hyper::StatusCode;
use serde_json::json;

use super::reply;
use crate::admin::reply::Reply;
use crate::daemon::ControlError;

/// Why a call was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    message: String,
}

impl Refusal {
    /// A status, and why.
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Refusal {
        Refusal { status, message: message.into() }
    }

    /// The body is not what it must be.
    pub(super) fn bad_body(why: impl Display) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, format!("bad request body: {why}"))
    }

    /// A key that must be there is not.
    pub(super) fn missing(key: &str) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, format!("missing required field: {key}"))
    }

    /// There is no such proxy.
    pub(super) fn no_proxy() -> Refusal {
        Refusal::new(StatusCode::NOT_FOUND, "proxy not found")
    }

    /// There is no such toxic.
    pub(super) fn no_toxic() -> Refusal {
        Refusal::new(StatusCode::NOT_FOUND, "toxic not found")
    }

    /// A proxy of this name is there already.
    pub(super) fn proxy_exists() -> Refusal {
        Refusal::new(StatusCode::CONFLICT, "proxy already exists")
    }

    /// A toxic of this name is there already.
    pub(super) fn toxic_exists() -> Refusal {
        Refusal::new(StatusCode::CONFLICT, "toxic already exists")
    }

    /// It cannot listen where it should.
    pub(super) fn not_listening(address: impl Display, error: &io::Error) -> Refusal {
        let why = match error.kind() {
            io::ErrorKind::AddrInUse => "address already in use".to_owned(),
            io::ErrorKind::AddrNotAvailable => "cannot assign requested address".to_owned(),
            io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            _ => error.to_string(),
        };
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, format!("listen tcp {address}: bind: {why}"))
    }

    /// The same with the place of a proxy in a list, from 1.
    #[must_use]
    pub(super) fn at(self, place: usize) -> Refusal {
        let message = match self.message.strip_prefix("bad request body: ") {
            Some(rest) => format!("bad request body: proxy {place}: {rest}"),
            None => format!("{} at proxy {place}", self.message),
        };
        Refusal { message, ..self }
    }

    /// The same with the place of a toxic in a list, from 1.
    #[must_use]
    pub(super) fn of_toxic(self, place: usize) -> Refusal {
        let message = self.message.strip_prefix("bad request body: ").unwrap_or(&self.message);
        Refusal { message: format!("toxic {place}: {message}"), ..self }
    }

    /// Why.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// As a reply.
    pub(super) fn into_reply(self) -> Reply {
        let body = json!({"error": self.message, "status": self.status.as_u16()});
        reply::json(self.status, &body)
    }

    /// As a reply that tells what had been done before.
    pub(super) fn into_reply_after<T: serde::Serialize>(self, proxies: &[T]) -> Reply {
        let body = json!({"error": self.message, "status": self.status.as_u16(), "proxies": proxies});
        reply::json(self.status, &body)
    }
}

impl From<ControlError> for Refusal {
    fn from(error: ControlError) -> Refusal {
        let failed = |why: &dyn Display| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, why.to_string());
        match &error {
            ControlError::NoRoute(_) => Refusal::no_proxy(),
            ControlError::Bind(failures) => match failures.first() {
                Some(failure) => {
                    Refusal::not_listening(failure.address.replacen("*:", "[::]:", 1), &failure.error)
                }
                None => failed(&error),
            },
            ControlError::Refused(_) | ControlError::Body(_) => Refusal::bad_body(&error),
            ControlError::Denied { .. } => Refusal::new(StatusCode::FORBIDDEN, error.to_string()),
            ControlError::Draining => Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            _ => failed(&error),
        }
    }
}
