//! "Did you mean": the known word nearest to the one that was typed.

/// The known word that was probably meant by `typed`, if one is near enough: the same but for case, `_` and `-`, or a
/// few slips of the finger away.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if typed.chars().count() > 64 {
        return None;
    }
    let typed = plain(typed);
    known
        .into_iter()
        .map(|word| (distance(&typed, &plain(word)), word))
        .filter(|(distance, word)| *distance <= allowed(typed.len().min(word.len())))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// How many slips a word of this length may hold and still be the same word.
fn allowed(length: usize) -> usize {
    match length {
        0..=2 => 0,
        3..=5 => 1,
        6..=8 => 2,
        _ => 3,
    }
}

fn plain(word: &str) -> Vec<char> {
    word.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect()
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        for (j, y) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    const KEYS: [&str; 5] = ["localPort", "dropRate", "upstream", "routes", "bind"];

    #[test]
    fn case_and_separators_do_not_count() {
        assert_eq!(nearest("droprate", KEYS), Some("dropRate"));
        assert_eq!(nearest("drop_rate", KEYS), Some("dropRate"));
        assert_eq!(nearest("LOCAL-PORT", KEYS), Some("localPort"));
    }

    #[test]
    fn slips_are_forgiven() {
        assert_eq!(nearest("route", KEYS), Some("routes"));
        assert_eq!(nearest("upstraem", KEYS), Some("upstream"));
        assert_eq!(nearest("bnid", KEYS), Some("bind"));
    }

    #[test]
    fn far_words_are_not_guessed() {
        assert_eq!(nearest("colour", KEYS), None);
        assert_eq!(nearest("", KEYS), None);
        assert_eq!(nearest(&"x".repeat(100_000), KEYS), None);
    }
}
