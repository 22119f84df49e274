//! Configurations, YAML and JSON.

use chaos_proxy::config;

/// No panic, a bounded message for a refusal, and what is accepted means the same when it is written in full.
pub fn target(data: &[u8]) {
    let variable = |name: &str| (name.len() < 4).then(|| "15432".to_owned());
    match config::parse(data, "fuzz.yaml", &variable) {
        Ok(meant) => {
            let text = serde_json::to_string(&meant.document()).expect("a document can be written");
            let again = config::body::config(text.as_bytes());
            assert_eq!(again.ok().as_ref(), Some(&meant), "in full it means something else: {text}");
            assert_eq!(config::changes(&meant, &meant), []);
        }
        Err(refused) => {
            let text = refused.to_string();
            assert!(text.len() < 256 << 10, "a message of {} bytes", text.len());
            assert!(!refused.brief().contains('\n'), "not on one line: {}", refused.brief());
            assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "raw controls in {text:?}");
        }
    }
}
