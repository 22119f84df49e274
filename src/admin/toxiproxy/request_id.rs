//! The header by which Toxiproxy tells its replies apart.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Its name.
pub(super) const HEADER: &str = "x-toxiproxy-request-id";

const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";

/// Twenty characters that no other reply has: the time, the process and a number of its own.
pub(super) fn next() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let id = u128::from(seconds as u32) << 64 | u128::from(std::process::id()) << 32 | u128::from(number);
    // 96 bits in digits of five bits, as if four more followed.
    let digit = |place: u32| char::from(DIGITS[((id << 4 >> (95 - 5 * place)) & 31) as usize]);
    (0..20).map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_the_same() {
        let ids: Vec<String> = (0..100).map(|_| next()).collect();
        let mut others = ids.clone();
        others.sort();
        others.dedup();
        assert_eq!(others.len(), 100);
        assert!(ids.iter().all(|id| id.len() == 20 && id.bytes().all(|digit| DIGITS.contains(&digit))));
    }
}
