//! Proxies as Toxiproxy's clients send them: routes come of them that go together with their own full form, or words that
//! say why not and are fit for a terminal.

use chaos_proxy::admin::convert_from_toxiproxy;
use chaos_proxy::config::{self, Config};

/// What is taken means a configuration, unless its parts do not go together.
pub fn target(data: &[u8]) {
    match convert_from_toxiproxy(data) {
        Ok(routes) => {
            let config = Config { routes, ..Config::default() };
            if config.check().is_ok() && !config.routes.is_empty() {
                let text = serde_json::to_string(&config.document()).expect("it can be written");
                let read = config::body::config(text.as_bytes()).expect("it can be read");
                assert_eq!(read.routes, config.routes);
            }
        }
        Err(why) => {
            let words = why.to_string();
            assert!(words.len() < 2000 && !words.chars().any(|c| c.is_control() && c != '\n'), "{words:?}");
        }
    }
}
