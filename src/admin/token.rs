//! The token that opens the control API: where it comes from, and how it is compared.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A file with a token is no longer than this.
const MOST: u64 = 64 << 10;

/// A secret. Shown, it shows nothing.
#[derive(Clone)]
pub struct Token(Box<[u8]>);

/// Where a token may come from when the configuration names no file.
#[derive(Clone, Default)]
pub struct TokenSources {
    /// What `CHAOS_PROXY_TOKEN` holds.
    pub token: Option<String>,
    /// The file that `CHAOS_PROXY_TOKEN_FILE` names.
    pub file: Option<PathBuf>,
}

/// Why there is no token although one was meant.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read.
    #[error("the token file {} cannot be read: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
    /// There is nothing but blanks.
    #[error("{0} holds no token: it is empty")]
    Empty(String),
    /// It could never be sent.
    #[error("{0} holds a token with blanks or characters that no header can carry")]
    Unsendable(String),
}

impl TokenSources {
    /// Whether a token can be had from them, if one is meant.
    pub fn check(&self) -> Result<(), TokenError> {
        Token::find(None, self).map(|_| ())
    }
}

impl Token {
    /// A token without the blanks around it; `source` is what it is called in messages.
    pub fn new(text: &str, source: &str) -> Result<Token, TokenError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(TokenError::Empty(source.to_owned()));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Unsendable(source.to_owned()));
        }
        Ok(Token(text.as_bytes().into()))
    }

    /// The token of the file in the configuration, or else of the environment. Beside it what should be told of it.
    pub fn find(
        file: Option<&Path>,
        sources: &TokenSources,
    ) -> Result<Option<(Token, Option<String>)>, TokenError> {
        match (file, &sources.token, sources.file.as_deref()) {
            (Some(file), _, _) | (None, None, Some(file)) => Token::read(file).map(Some),
            (None, Some(token), _) => Ok(Some((Token::new(token, "CHAOS_PROXY_TOKEN")?, None))),
            (None, None, None) => Ok(None),
        }
    }

    fn read(path: &Path) -> Result<(Token, Option<String>), TokenError> {
        let unreadable = |why| TokenError::Unreadable { path: path.to_owned(), why };
        let meta = std::fs::metadata(path).map_err(unreadable)?;
        // A pipe would make the start wait for somebody.
        if !meta.is_file() {
            return Err(unreadable(io::Error::other("it is not a file")));
        }
        if meta.len() > MOST {
            return Err(unreadable(io::Error::other("it is larger than any token")));
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let token = Token::new(&text, &format!("the token file {}", path.display()))?;
        Ok((token, open_to_others(path, &meta)))
    }

    /// Whether this is it. The time this takes does not depend on where the two differ.
    pub fn is(&self, other: &[u8]) -> bool {
        let mut differs = usize::from(self.0.len() != other.len());
        for (i, byte) in other.iter().enumerate() {
            let own = self.0.get(i % self.0.len().max(1)).copied().unwrap_or_default();
            differs = std::hint::black_box(differs | usize::from(own ^ byte));
        }
        differs == 0
    }
}

/// What to say of a file that others can read.
fn open_to_others(path: &Path, meta: &std::fs::Metadata) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = meta.permissions().mode();
    (mode & 0o077 != 0).then(|| {
        format!(
            "others may read the token file {}: `chmod 600` it (now {:03o})",
            path.display(),
            mode & 0o777
        )
    })
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

impl fmt::Debug for TokenSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = self.token.as_ref().map(|_| "…");
        f.debug_struct("TokenSources").field("token", &token).field("file", &self.file).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_the_very_token_is_it() {
        let token = Token::new(" s3cret\n", "x").unwrap();
        assert!(token.is(b"s3cret"));
        for wrong in [&b""[..], b"s3cre", b"s3creT", b"s3crets", b"S3cret", b"s3crets3cret", b"\0s3cret"] {
            assert!(!token.is(wrong), "{wrong:?}");
        }
        assert!(!token.is(&vec![b's'; 1 << 20]));
    }

    #[test]
    fn nothing_shows_it() {
        let token = Token::new("s3cret", "x").unwrap();
        let sources = TokenSources { token: Some("s3cret".into()), file: None };
        assert!(!format!("{token:?} {sources:?}").contains("s3cret"));
        let error = Token::new("s3\u{7}cret", "CHAOS_PROXY_TOKEN").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("cret"));
    }

    #[test]
    fn the_configuration_goes_before_the_environment() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str, mode: u32| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        let configured = file("a", "one\n", 0o600);
        let named = file("b", " two ", 0o640);
        let both = TokenSources { token: Some("three".into()), file: Some(named.clone()) };
        let only_file = TokenSources { token: None, file: Some(named) };

        let (token, warning) = Token::find(Some(&configured), &both).unwrap().unwrap();
        assert!(token.is(b"one") && warning.is_none());
        assert!(Token::find(None, &both).unwrap().unwrap().0.is(b"three"));
        let (token, warning) = Token::find(None, &only_file).unwrap().unwrap();
        assert!(token.is(b"two") && warning.unwrap().contains("chmod 600"));
        assert!(Token::find(None, &TokenSources::default()).unwrap().is_none());
    }

    #[test]
    fn an_empty_or_missing_token_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let empty = dir.path().join("empty");
        std::fs::write(&empty, "\n \n").unwrap();
        let none = TokenSources::default();
        assert!(matches!(Token::find(Some(&empty), &none), Err(TokenError::Empty(_))));
        let missing = dir.path().join("missing");
        assert!(matches!(Token::find(Some(&missing), &none), Err(TokenError::Unreadable { .. })));
        assert!(matches!(Token::find(Some(dir.path()), &none), Err(TokenError::Unreadable { .. })));
        let blank = TokenSources { token: Some(" ".into()), file: None };
        assert!(matches!(Token::find(None, &blank), Err(TokenError::Empty(_))));
    }
}
