//! What went wrong with a call, as `application/problem+json`: the same words and pointers as a file's report.

use hyper::StatusCode;
use hyper::header::{self, HeaderName};
use schemars::JsonSchema;
use serde::Serialize;

use super::reply::Reply;
use crate::config::{BodyError, Refused};
use crate::daemon::ControlError;
use crate::spec::text::shown;

/// The content type of every problem.
pub(super) const PROBLEM_JSON: &str = "application/problem+json";

/// What went wrong with a call. Rare, and large: therefore in a box.
#[derive(Clone, Debug)]
pub(super) struct Problem(Box<Inner>);

#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
struct Inner {
    /// Always `about:blank`: the status says what kind of problem it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The status.
    #[schemars(range(min = 400, max = 599))]
    status: u16,
    /// What is wrong, and where that can be said what to do instead.
    detail: String,
    /// The place of the first error in the body, as a JSON pointer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(with = "String")]
    pointer: Option<String>,
    /// Everything that is wrong with the body, or with the file.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    errors: Vec<ProblemError>,
    #[serde(skip)]
    headers: Vec<(HeaderName, String)>,
}

/// One thing that is wrong with a document.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct ProblemError {
    /// What is wrong.
    detail: String,
    /// What to write instead.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(with = "String")]
    advice: Option<String>,
    /// Where, as a JSON pointer.
    pointer: String,
    /// The line, from 1.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(with = "usize")]
    line: Option<usize>,
    /// The column, from 1, in characters.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(with = "usize")]
    column: Option<usize>,
}

impl Problem {
    /// A status and what it means here.
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Problem {
        Problem(Box::new(Inner {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            pointer: None,
            errors: Vec::new(),
            headers: Vec::new(),
        }))
    }

    /// What was asked for cannot be understood.
    pub(super) fn bad_request(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, detail)
    }

    /// There is nothing here.
    pub(super) fn not_found(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, detail)
    }

    /// A value cannot be.
    pub(super) fn refused(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// The address is longer than any there is.
    pub(super) fn uri_too_long() -> Problem {
        Problem::new(StatusCode::URI_TOO_LONG, "the address is longer than 8 KiB")
    }

    /// With the place of what is wrong.
    #[must_use]
    pub(super) fn at(mut self, pointer: impl Into<String>) -> Problem {
        self.0.pointer = Some(pointer.into());
        self
    }

    /// With a header of its reply.
    #[must_use]
    pub(super) fn with(mut self, name: HeaderName, value: impl Into<String>) -> Problem {
        self.0.headers.push((name, value.into()));
        self
    }

    /// The status.
    pub(super) fn status(&self) -> u16 {
        self.0.status
    }

    /// What is wrong.
    pub(super) fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The headers of its reply.
    pub(super) fn headers(&self) -> &[(HeaderName, String)] {
        &self.0.headers
    }

    /// As bytes on the wire of a connection that ends with it.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        Reply::from(self).into_bytes()
    }

    /// Everything that is wrong with a document.
    fn of_document(status: StatusCode, refused: &Refused) -> Problem {
        let problems = refused.problems();
        let more = match refused.total().saturating_sub(1) {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        let first = problems.first();
        let detail = first.map_or_else(|| refused.brief(), |first| format!("{}{more}", shown(&first.title)));
        let errors = problems.iter().map(|problem| ProblemError {
            detail: shown(&problem.title).into_owned(),
            advice: (!problem.advice.is_empty()).then(|| shown(&problem.advice).into_owned()),
            pointer: problem.pointer.clone(),
            line: problem.line,
            column: problem.column,
        });
        let mut problem = Problem::new(status, detail);
        problem.0.errors = errors.collect();
        problem.0.pointer = first.map(|first| first.pointer.clone());
        problem
    }
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Problem {
        Problem::from(&error)
    }
}

impl From<&BodyError> for Problem {
    fn from(error: &BodyError) -> Problem {
        match error {
            BodyError::NotJson(refused) => Problem::of_document(StatusCode::BAD_REQUEST, refused),
            BodyError::Refused(refused) => Problem::of_document(StatusCode::UNPROCESSABLE_ENTITY, refused),
            BodyError::Conflict(refused) => Problem::of_document(StatusCode::CONFLICT, refused),
        }
    }
}

impl From<ControlError> for Problem {
    fn from(error: ControlError) -> Problem {
        let text = error.to_string();
        let text = shown(&text);
        match error {
            ControlError::NoRoute(_) | ControlError::NoFault { .. } => Problem::not_found(text),
            ControlError::FaultExists { .. } | ControlError::Draining | ControlError::NoFile(_) => {
                Problem::new(StatusCode::CONFLICT, text)
            }
            ControlError::Bind(_) => Problem::new(StatusCode::CONFLICT, text),
            ControlError::Descriptors => Problem::new(StatusCode::CONFLICT, text),
            ControlError::Refused(refused) => {
                Problem::of_document(StatusCode::UNPROCESSABLE_ENTITY, &refused)
            }
            ControlError::Broken => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, text),
            ControlError::Body(error) => Problem::from(&*error),
            ControlError::File(refused) => {
                // What is wrong is in the file, not in what was sent: the name of the file says so.
                let mut problem = Problem::of_document(StatusCode::UNPROCESSABLE_ENTITY, &refused);
                (problem.0.detail, problem.0.pointer) = (refused.brief(), None);
                problem
            }
            ControlError::NeedsRestart(key) => {
                Problem::refused(text).at(format!("/{}", key.replace('.', "/")))
            }
            ControlError::FileOnly(key) => Problem::refused(text).at(format!("/{key}")),
            ControlError::Denied { place, .. } => {
                Problem::refused(text).at(format!("/routes/{place}/upstream"))
            }
            ControlError::Precondition => Problem::new(StatusCode::PRECONDITION_FAILED, text),
        }
    }
}

impl From<Problem> for Reply {
    fn from(Problem(mut problem): Problem) -> Reply {
        let headers = std::mem::take(&mut problem.headers);
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let reply = Reply::serialized(status, PROBLEM_JSON, &problem);
        headers.into_iter().fold(reply, |reply, (name, value)| reply.with(name, value))
    }
}

impl JsonSchema for Problem {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Inner::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Inner::json_schema(generator)
    }
}

/// Nobody knows who asks. The same for every reason.
pub(super) fn unauthorized() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "a token is needed: send it as `Authorization: Bearer TOKEN`")
        .with(header::WWW_AUTHENTICATE, "Bearer")
}

/// The same where nobody has one.
pub(super) fn tokenless() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "other machines reach this, and there is no token: only Toxiproxy's paths are open. Start it with \
         CHAOS_PROXY_TOKEN or CHAOS_PROXY_TOKEN_FILE for the rest",
    )
    .with(header::WWW_AUTHENTICATE, "Bearer")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::Config;

    fn json(problem: Problem) -> serde_json::Value {
        let text = String::from_utf8(problem.into_bytes()).unwrap();
        assert!(text.contains("content-type: application/problem+json\r\n"), "{text}");
        serde_json::from_str(text.split("\r\n\r\n").nth(1).unwrap()).unwrap()
    }

    fn refused() -> Refused {
        Config::from_text(
            "routes: [{localPort: 1, upstream: 'a:1', dropRate: 7}, {localPort: 0, upstream: x}]",
        )
        .unwrap_err()
    }

    #[test]
    fn a_refused_body_says_every_error_with_its_pointer() {
        let json = json(Problem::from(BodyError::Refused(refused())));
        assert_eq!(json["status"], 422);
        assert_eq!(json["type"], "about:blank");
        assert_eq!(json["title"], "Unprocessable Entity");
        assert_eq!(json["pointer"], "/routes/0/dropRate");
        assert!(json["detail"].as_str().unwrap().ends_with("(and 2 more)"), "{json}");
        let pointers: Vec<_> = json["errors"].as_array().unwrap().iter().map(|e| &e["pointer"]).collect();
        assert_eq!(pointers, ["/routes/0/dropRate", "/routes/1/localPort", "/routes/1/upstream"]);
        assert_eq!(json["errors"][0]["line"], 1);
    }

    #[test]
    fn each_refusal_has_its_status() {
        let body = |error| ControlError::Body(Arc::new(error));
        let fault = || ("db".to_owned(), "latency".to_owned());
        let (route, upstream, why) = ("db".into(), "10.0.0.1:1".into(), crate::upstream::Denied::NotListed);
        let denied = ControlError::Denied { place: 2, route, upstream, why };
        let (route, name) = fault();
        for (error, status, pointer) in [
            (ControlError::NoRoute("db".into()), 404, None),
            (ControlError::NoFault { route, fault: name }, 404, None),
            (ControlError::FaultExists { route: "db".into(), fault: "f".into() }, 409, None),
            (ControlError::Descriptors, 409, None),
            (ControlError::Draining, 409, None),
            (ControlError::NoFile("there is no file"), 409, None),
            (ControlError::NeedsRestart("log.format"), 422, Some("/log/format")),
            (ControlError::FileOnly("allowedUpstreams"), 422, Some("/allowedUpstreams")),
            (denied, 422, Some("/routes/2/upstream")),
            (ControlError::Precondition, 412, None),
            (body(BodyError::NotJson(refused())), 400, Some("/routes/0/dropRate")),
            (body(BodyError::Conflict(refused())), 409, Some("/routes/0/dropRate")),
            (ControlError::File(Arc::new(refused())), 422, None),
        ] {
            let json = json(Problem::from(error.clone()));
            assert_eq!(json["status"], status, "{error}");
            assert_eq!(json["pointer"].as_str(), pointer, "{error}");
        }
    }

    #[test]
    fn hostile_text_is_never_raw() {
        let problem = Problem::from(ControlError::NoRoute("\u{1b}[2J\"\r\nX: y\u{202e}<img>".into()));
        let text = String::from_utf8(problem.into_bytes()).unwrap();
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}') && !text.contains("\nX: y"), "{text}");
    }

    #[test]
    fn a_problem_holds_only_what_it_has() {
        let json = json(Problem::new(StatusCode::NOT_FOUND, "gone"));
        assert_eq!(
            json,
            serde_json::json!({"type": "about:blank", "title": "Not Found", "status": 404, "detail": "gone"})
        );
    }
}
