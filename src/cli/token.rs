//! The token a daemon may ask for: from the environment or a file, never from a flag, which others could see.

use std::path::Path;

use hyper::header::HeaderValue;

use super::stop::Stop;

/// The variable that holds the token.
pub(super) const VARIABLE: &str = "CHAOS_PROXY_TOKEN";
/// The variable that names the file that holds it.
pub(super) const FILE_VARIABLE: &str = "CHAOS_PROXY_TOKEN_FILE";

/// The header that shows the token, if there is one. An empty variable is as good as none.
pub(super) fn header(env: impl Fn(&str) -> Option<String>) -> Result<Option<HeaderValue>, Stop> {
    let set = |name| env(name).filter(|value| !value.trim().is_empty());
    let (token, from) = match (set(VARIABLE), set(FILE_VARIABLE)) {
        (Some(token), _) => (token, VARIABLE),
        (None, Some(path)) => (read(Path::new(&path))?, FILE_VARIABLE),
        (None, None) => return Ok(None),
    };
    let mut header = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
        .map_err(|_| Stop::wrong(format!("{from}: a token is one line of visible characters")))?;
    header.set_sensitive(true);
    Ok(Some(header))
}

fn read(path: &Path) -> Result<String, Stop> {
    let name = path.display().to_string();
    let name = crate::spec::text::shown(&name);
    match std::fs::read_to_string(path) {
        Ok(token) if token.trim().is_empty() => Err(Stop::wrong(format!("{FILE_VARIABLE}: {name} is empty"))),
        Ok(token) => Ok(token),
        Err(error) => Err(Stop::wrong(format!("{FILE_VARIABLE}: cannot read {name}: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn shown(variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let env = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let header = header(env).map_err(|stop| stop.why)?;
        Ok(header.map(|header| header.to_str().unwrap().to_owned()))
    }

    #[test]
    fn the_variable_beats_the_file() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"from-file\n").unwrap();
        let path = file.path().to_str().unwrap();
        assert_eq!(shown(&[]), Ok(None));
        assert_eq!(shown(&[(VARIABLE, "a"), (FILE_VARIABLE, path)]), Ok(Some("Bearer a".to_owned())));
        assert_eq!(shown(&[(VARIABLE, ""), (FILE_VARIABLE, path)]), Ok(Some("Bearer from-file".to_owned())));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_token() {
        let why = shown(&[(VARIABLE, "hun\nter2")]).unwrap_err();
        assert!(why.starts_with(VARIABLE) && !why.contains("ter2"), "{why}");
        let why = shown(&[(FILE_VARIABLE, "/nowhere/token")]).unwrap_err();
        assert!(why.starts_with("CHAOS_PROXY_TOKEN_FILE: cannot read /nowhere/token"), "{why}");
    }
}
