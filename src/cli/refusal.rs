//! What a daemon says when it refuses, laid out as the problems of a file are.

use std::fmt::Write;

use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;
use serde::Deserialize;

use super::client::{Client, Reply};
use super::stop::Stop;
use super::target::Target;
use super::{token, views};
use crate::spec::suggest::nearest;
use crate::spec::text::{shown, shown_short};

/// What is wrong, as problem+json has it.
#[derive(Debug, Deserialize)]
#[serde(default)]
struct Problem {
    title: String,
    detail: String,
    pointer: String,
    errors: Vec<Fault>,
}

impl Default for Problem {
    fn default() -> Problem {
        Problem {
            title: "refused".to_owned(),
            detail: String::new(),
            pointer: String::new(),
            errors: Vec::new(),
        }
    }
}

/// One thing that is wrong with what was sent or read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Fault {
    detail: String,
    advice: Option<String>,
    pointer: String,
    line: Option<u64>,
    column: Option<u64>,
}

/// Names that are listed at most.
const MOST_NAMES: usize = 20;

/// Why the daemon did not do it, and what to do instead.
pub(super) fn stop(client: &Client, target: &Target, reply: &Reply) -> Stop {
    let at = &client.address;
    if reply.status == StatusCode::UNAUTHORIZED {
        return Stop::failed(if client.has_token() {
            format!("{at} does not accept this token: see {} or {}", token::VARIABLE, token::FILE_VARIABLE)
        } else {
            format!(
                "{at} wants a token: set {}, or {} to the file that holds it",
                token::VARIABLE,
                token::FILE_VARIABLE
            )
        });
    }
    if reply.status == StatusCode::NOT_FOUND
        && let Some(missing) = missing(client, target)
    {
        return Stop::failed(missing);
    }
    let content =
        reply.headers.get(CONTENT_TYPE).and_then(|content| content.to_str().ok()).unwrap_or_default();
    if !content.starts_with("application/problem+json") {
        return Stop::failed(format!("{} (it said {})", client.stranger().why, reply.status));
    }
    client
        .understand(reply)
        .map_or_else(|stop| stop, |problem: Problem| Stop::failed(told(&problem, target.is_of_file())))
}

/// The same in one sentence, from the reply alone: for one call of many, when nobody is to be asked anything further.
pub(super) fn brief(reply: &Reply) -> String {
    let problem: Problem = serde_json::from_slice(&reply.body).unwrap_or_default();
    let Problem { title, detail, errors, .. } = problem;
    let first = errors.into_iter().next().map(|error| match error.advice {
        Some(advice) => format!("{} ({advice})", error.detail),
        None => error.detail,
    });
    let said = first.unwrap_or(if detail.is_empty() { title } else { detail });
    shown(&said).into_owned()
}

/// The problem as a report.
fn told(problem: &Problem, of_file: bool) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    for error in &problem.errors {
        let _ = writeln!(out, "error: {}", shown(&error.detail));
        let place = match (error.line, error.column) {
            // A body was made from flags: its lines are nobody's.
            (Some(line), Some(column)) if of_file => {
                format!("line {line}, column {column}  {}", shown(&error.pointer))
            }
            _ => shown(&error.pointer).into_owned(),
        };
        if !place.is_empty() {
            let _ = writeln!(out, " --> {}", place.trim_end());
        }
        if let Some(advice) = &error.advice {
            let _ = writeln!(out, "help: {}", shown(advice));
        }
    }
    if problem.errors.is_empty() {
        let what = if problem.detail.is_empty() { &problem.title } else { &problem.detail };
        let _ = writeln!(out, "error: {}", shown(what));
        if !problem.pointer.is_empty() {
            let _ = writeln!(out, " --> {}", shown(&problem.pointer));
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// What is not there, what was probably meant, and what there is.
fn missing(client: &Client, target: &Target) -> Option<String> {
    let route = target.route.as_deref()?;
    // A refusal of this question would only hide the first one.
    let reply = client.exchange(hyper::Method::GET, &Target::new("/v1/routes"), None).ok()?;
    let routes: views::Routes = client.understand(&reply).ok()?;
    let Some(found) = routes.routes.iter().find(|known| known.name == route) else {
        let names: Vec<&str> = routes.routes.iter().map(|route| route.name.as_str()).collect();
        return Some(absent(
            &format!("there is no route `{}`", shown_short(route, 128)),
            "routes",
            route,
            &names,
        ));
    };
    let fault = target.fault.as_deref()?;
    let views: Vec<_> = found.faults.iter().filter_map(views::Fault::read).collect();
    if views.iter().any(|known| known.name() == fault) {
        return None;
    }
    let names: Vec<&str> = views.iter().map(views::Fault::name).collect();
    let what = format!("route `{}` has no fault `{}`", shown(route), shown_short(fault, 128));
    Some(absent(&what, "its faults", fault, &names))
}

fn absent(what: &str, plural: &str, typed: &str, names: &[&str]) -> String {
    let guess = match nearest(typed, names.iter().copied()) {
        Some(name) => format!(": did you mean `{}`?", shown(name)),
        None => String::new(),
    };
    let mut listed: Vec<String> =
        names.iter().take(MOST_NAMES).map(|name| shown(name).into_owned()).collect();
    if names.len() > MOST_NAMES {
        listed.push(format!("and {} more", names.len() - MOST_NAMES));
    }
    let help = if listed.is_empty() {
        "there are none".to_owned()
    } else {
        format!("{plural} are {}", listed.join(", "))
    };
    format!("error: {what}{guess}\nhelp: {help}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_as_a_file_report_and_obeys_nobody() {
        let problem: Problem = serde_json::from_value(serde_json::json!({
            "title": "Unprocessable Content", "status": 422, "detail": "2 problems",
            "errors": [
                {"detail": "delay `200` has no unit", "advice": "write 200ms", "pointer": "/latency/delay"},
                {"detail": "evil\u{1b}[2J", "pointer": "/x", "line": 3, "column": 7},
            ]
        }))
        .unwrap();
        assert_eq!(
            told(&problem, true),
            "error: delay `200` has no unit\n --> /latency/delay\nhelp: write 200ms\n\
             error: evil\\u{1b}[2J\n --> line 3, column 7  /x"
        );
        assert_eq!(told(&Problem::default(), true), "error: refused");
    }

    #[test]
    fn what_is_missing_is_answered_with_what_there_is() {
        assert_eq!(
            absent("there is no route `dbb`", "routes", "dbb", &["db2", "web"]),
            "error: there is no route `dbb`: did you mean `db2`?\nhelp: routes are db2, web"
        );
        assert_eq!(absent("no", "routes", "x", &[]), "error: no\nhelp: there are none");
    }
}
