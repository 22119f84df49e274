//! What this program is: its version, the commit it was built from, of what day, and how. `build.rs` found that out.

use std::sync::LazyLock;
use std::time::{Duration, UNIX_EPOCH};

use super::clock::date;

/// The version: `0.1.0`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit it was built from, short; empty where that could not be found out.
pub const COMMIT: &str = env!("CHAOS_PROXY_BUILD_COMMIT");

/// `debug` or `release`.
const PROFILE: &str = env!("CHAOS_PROXY_BUILD_PROFILE");

/// The version for a line with other things in it: `0.1.0 (9f2c1ab)`.
pub fn brief() -> &'static str {
    static BRIEF: LazyLock<String> = LazyLock::new(|| told(&[COMMIT]));
    &BRIEF
}

/// All of it: `0.1.0 (9f2c1ab, 2026-11-21, release)`.
pub fn full() -> &'static str {
    static FULL: LazyLock<String> = LazyLock::new(|| told(&[COMMIT, day(), PROFILE]));
    &FULL
}

/// The day of the commit, or the one that the builder asked for: `2026-11-21`; empty where there is neither.
pub fn day() -> &'static str {
    static DAY: LazyLock<String> = LazyLock::new(|| day_of(env!("CHAOS_PROXY_BUILD_SECONDS")));
    &DAY
}

/// The version, with what is known beside it.
fn told(details: &[&str]) -> String {
    let known: Vec<&str> = details.iter().copied().filter(|detail| !detail.is_empty()).collect();
    if known.is_empty() { VERSION.to_owned() } else { format!("{VERSION} ({})", known.join(", ")) }
}

fn day_of(seconds: &str) -> String {
    let time = seconds.parse().ok().and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
    time.map(date).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_not_told() {
        assert_eq!(
            told(&["9f2c1ab", "2026-11-21", "release"]),
            format!("{VERSION} (9f2c1ab, 2026-11-21, release)")
        );
        assert_eq!(told(&["", "", "release"]), format!("{VERSION} (release)"));
        assert_eq!(told(&[""]), VERSION);
        assert!(full().starts_with(VERSION) && full().contains(brief().trim_end_matches(')')));
    }

    #[test]
    fn a_day_is_that_of_its_seconds() {
        assert_eq!(day_of("1795220000"), "2026-11-21");
        assert_eq!([day_of(""), day_of("yesterday"), day_of("99999999999999999999")], ["", "", ""]);
    }
}
