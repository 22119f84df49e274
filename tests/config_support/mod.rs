//! What the tests of the configuration share.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses some of it")]

use chaos_proxy::config::{self, Config, Refused};

/// An environment with one secret in it.
pub fn env(name: &str) -> Option<String> {
    match name {
        "SECRET" => Some("hunter2".to_owned()),
        "PORT" => Some("15432".to_owned()),
        _ => None,
    }
}

pub fn parse(text: &[u8]) -> Result<Config, Refused> {
    config::parse(text, "routes.yaml", &env)
}

pub fn accepted(text: &str) -> Config {
    parse(text.as_bytes()).unwrap_or_else(|refused| panic!("refused:\n{text}\n{refused}"))
}

/// The message a document is refused with; it never holds the secret.
pub fn refused(text: &[u8]) -> String {
    match parse(text) {
        Ok(_) => format!("ACCEPTED: {}", String::from_utf8_lossy(text)),
        Err(refused) => {
            let message = refused.to_string();
            assert!(!message.contains("hunter2") && !refused.brief().contains("hunter2"), "{message}");
            assert!(!refused.brief().contains('\n'));
            assert_eq!(refused.problems().len(), refused.total().min(1000));
            message
        }
    }
}

/// A document of one good route with a line more.
pub fn route(line: &str) -> String {
    format!("routes:\n  - name: db\n    localPort: 15432\n    upstream: db.internal:5432\n    {line}\n")
}
