//! A daemon elsewhere, as something that a scenario is played on.

use hyper::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::cli::client::{Client, Reply};
use crate::cli::refusal;
use crate::cli::target::Target;
use crate::config::{Config, body};
use crate::daemon::{Live, Stats};
use crate::scenario::edit::{Edit, What};
use crate::scenario::target::{self, Trouble};

/// A daemon that is spoken to.
pub(super) struct Remote<'a>(pub(super) &'a Client);

impl Remote<'_> {
    pub(super) async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, Trouble> {
        let reply = self.ask(Method::GET, &Target::new(path), None).await?;
        self.0.understand(&reply).map_err(|stop| Trouble::Lost(stop.why))
    }

    async fn ask(&self, method: Method, target: &Target, body: Option<&Value>) -> Result<Reply, Trouble> {
        let reply = self.0.exchanged(method, target, body).await.map_err(|stop| Trouble::Lost(stop.why))?;
        if reply.status.is_success() {
            return Ok(reply);
        }
        Err(match reply.status {
            // What to do about it is said by what every client says.
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Trouble::Lost(refusal::stop(self.0, target, &reply).why)
            }
            StatusCode::NOT_FOUND => Trouble::Gone(refusal::brief(&reply)),
            _ => Trouble::Refused(refusal::brief(&reply)),
        })
    }
}

impl target::Target for Remote<'_> {
    async fn config(&self) -> Result<Config, Trouble> {
        let reply = self.ask(Method::GET, &Target::new("/v1/config"), None).await?;
        body::config(&reply.body).map_err(|error| {
            let why = error.refused().brief();
            Trouble::Lost(format!("the configuration of {} cannot be read: {why}", self.0.address))
        })
    }

    async fn make(&self, edit: &Edit) -> Result<(), Trouble> {
        let (method, target, body) = call(edit);
        self.ask(method, &target, body.as_ref()).await.map(|_| ())
    }

    async fn stats(&self) -> Result<Stats, Trouble> {
        self.read("/v1/stats").await
    }
}

/// The call that makes a change.
fn call(edit: &Edit) -> (Method, Target, Option<Value>) {
    let Some(route) = &edit.route else { return (Method::POST, Target::new("/v1/restore"), None) };
    match &edit.what {
        What::Insert { item, at } => {
            let target = Target::faults(route);
            let target = match at {
                Some(at) => target.with("at", &at.to_string()),
                None => target,
            };
            (Method::POST, target, Some(item.clone()))
        }
        What::Patch { fault, patch } => (Method::PATCH, Target::fault(route, fault), Some(patch.clone())),
        What::Remove { fault } => (Method::DELETE, Target::fault(route, fault), None),
        What::Open => (Method::POST, Target::route(route).then("open"), None),
        What::Close(live) => {
            let body = json!({"connections": word(*live)});
            (Method::POST, Target::route(route).then("close"), Some(body))
        }
        What::Restore => (Method::POST, Target::new("/v1/restore"), None),
    }
}

fn word(live: Live) -> &'static str {
    Live::WORDS.iter().find(|word| Live::named(word) == Some(live)).copied().unwrap_or("close")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_edit_is_one_call() {
        let said = |what| {
            let (method, target, body) = call(&Edit { route: Some("a b".into()), what });
            let body = body.map(|body| format!(" {body}")).unwrap_or_default();
            format!("{method} {}{body}", target.uri().unwrap())
        };
        let item = json!({"noop": {}});
        let fault = || "x/y".into();
        assert_eq!(
            said(What::Insert { item: item.clone(), at: None }),
            "POST /v1/routes/a%20b/faults {\"noop\":{}}"
        );
        assert_eq!(
            said(What::Insert { item: item.clone(), at: Some(2) }),
            "POST /v1/routes/a%20b/faults?at=2 {\"noop\":{}}"
        );
        assert_eq!(
            said(What::Patch { fault: fault(), patch: item }),
            "PATCH /v1/routes/a%20b/faults/x%2Fy {\"noop\":{}}"
        );
        assert_eq!(said(What::Remove { fault: fault() }), "DELETE /v1/routes/a%20b/faults/x%2Fy");
        assert_eq!(said(What::Open), "POST /v1/routes/a%20b/open");
        for (live, word) in [(Live::Keep, "keep"), (Live::Close, "close"), (Live::Reset, "reset")] {
            let expected = format!("POST /v1/routes/a%20b/close {{\"connections\":\"{word}\"}}");
            assert_eq!(said(What::Close(live)), expected);
        }
        assert_eq!(call(&Edit { route: None, what: What::Restore }).1.uri().unwrap(), "/v1/restore");
    }
}
