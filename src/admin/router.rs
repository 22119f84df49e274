//! From a method and a path to an endpoint, or to the reason why there is none.
use crate::spec::percent;

use hyper::{Method, StatusCode, header};

use super::endpoint::Endpoint;
use super::problem::Problem;

/// The endpoint, and what stands in the path for its names.
pub(super) fn find<'a, S>(
    endpoints: &'a [Endpoint<S>],
    method: &Method,
    path: &str,
) -> Result<(&'a Endpoint<S>, Vec<String>), Problem> {
    let nowhere = || Problem::not_found("there is nothing at this path; what there is, /openapi.json says");
    let segments = path.strip_prefix('/').ok_or_else(nowhere)?.split('/');
    let segments: Option<Vec<String>> = segments.map(percent::decode).collect();
    let segments = segments.ok_or_else(|| Problem::bad_request("the path is not percent-encoded UTF-8"))?;
    let mut here: Vec<_> =
        endpoints.iter().filter_map(|endpoint| Some((endpoint, names(endpoint.path, &segments)?))).collect();
    if here.is_empty() {
        return Err(nowhere());
    }
    let asked = if method == Method::HEAD { &Method::GET } else { method };
    if let Some(i) = here.iter().position(|(endpoint, _)| endpoint.method == *asked) {
        return Ok(here.swap_remove(i));
    }
    let allowed = allowed(here.iter().map(|(endpoint, _)| *endpoint));
    Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, format!("this path takes {allowed}"))
        .with(header::ALLOW, allowed))
}

/// What `Allow` says of endpoints with one path.
pub(super) fn allowed<'a, S: 'static>(endpoints: impl Iterator<Item = &'a Endpoint<S>>) -> String {
    let mut methods: Vec<&str> = Vec::new();
    for endpoint in endpoints {
        methods.push(endpoint.method.as_str());
        if endpoint.method == Method::GET {
            methods.push("HEAD");
        }
    }
    methods.join(", ")
}

/// What stands for each `{…}`, if the path is of this form.
fn names(template: &str, segments: &[String]) -> Option<Vec<String>> {
    let parts = template.strip_prefix('/')?.split('/');
    if parts.clone().count() != segments.len() {
        return None;
    }
    let mut names = Vec::new();
    for (part, segment) in parts.zip(segments) {
        if part.starts_with('{') {
            if segment.is_empty() {
                return None;
            }
            names.push(segment.clone());
        } else if part != segment {
            return None;
        }
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::super::endpoints::ENDPOINTS;
    use super::*;

    fn ask(method: &str, path: &str) -> Result<(&'static str, Vec<String>), u16> {
        find(ENDPOINTS, &method.parse().unwrap(), path)
            .map(|(endpoint, names)| (endpoint.id, names))
            .map_err(|problem| problem.status())
    }

    #[test]
    fn every_endpoint_is_found_at_its_own_path() {
        for endpoint in ENDPOINTS {
            let (id, names) = ask(endpoint.method.as_str(), endpoint.path).unwrap();
            assert_eq!(id, endpoint.id);
            assert_eq!(names.len(), endpoint.path.matches('{').count());
        }
    }

    #[test]
    fn names_are_decoded_once_and_may_hold_anything() {
        let names = |path| ask("GET", path).unwrap().1;
        assert_eq!(names("/v1/routes/a%2Fb"), ["a/b"]);
        assert_eq!(names("/v1/routes/%252F/faults/%C3%BC%20x"), ["%2F", "ü x"]);
        assert_eq!(names("/v1/routes/.."), [".."]);
        assert_eq!(names("/v1/routes/%2e%2e"), [".."]);
        assert_eq!(names("/v1/routes/%00"), ["\0"]);
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for path in [
            "/",
            "//",
            "",
            "*",
            "/v1",
            "/v1/",
            "/v1/routes/",
            "/v1//routes",
            "//v1/routes",
            "/v1/routes/db/",
            "/v1/routes//faults",
            "/v1/routes/db/faults/",
            "/v1/routes/db/faults/x/y",
            "/V1/routes",
            "/v1%2Froutes",
            "/v1/../v1/routes",
            "/livez/",
            "/etc/passwd",
        ] {
            assert_eq!(ask("GET", path), Err(404), "{path}");
            assert_eq!(ask("DELETE", path), Err(404), "{path}");
        }
        assert_eq!(ask("GET", "/v1/%72outes").unwrap().0, "listRoutes");
    }

    #[test]
    fn bad_encoding_is_said() {
        for path in ["/v1/routes/%", "/v1/routes/%zz", "/v1/routes/%ff", "/%"] {
            assert_eq!(ask("GET", path), Err(400), "{path}");
        }
    }

    #[test]
    fn a_wrong_method_is_told_the_right_ones() {
        for (path, allow) in [
            ("/v1/config", "GET, HEAD, PUT"),
            ("/v1/config/check", "POST"),
            ("/v1/routes", "GET, HEAD, POST"),
            ("/v1/routes/x", "GET, HEAD, PUT, PATCH, DELETE"),
            ("/v1/routes/x/open", "POST"),
            ("/v1/routes/x/faults", "GET, HEAD, POST"),
            ("/v1/routes/x/faults/y", "GET, HEAD, PUT, PATCH, DELETE"),
            ("/v1/connections/1", "GET, HEAD, DELETE"),
            ("/livez", "GET, HEAD"),
        ] {
            for method in ["OPTIONS", "TRACE", "CONNECT", "BREW"] {
                let problem = find(ENDPOINTS, &method.parse().unwrap(), path).err().unwrap();
                assert_eq!(problem.status(), 405, "{method} {path}");
                let reply = String::from_utf8(problem.into_bytes()).unwrap();
                assert!(reply.contains(&format!("\r\nallow: {allow}\r\n")), "{method} {path}: {reply}");
            }
        }
        assert_eq!(ask("HEAD", "/v1/routes").unwrap().0, "listRoutes");
        assert_eq!(ask("HEAD", "/v1/reload"), Err(405));
        assert_eq!(ask("GET", "/v1/reload"), Err(405));
    }
}
