//! How much of something there must be: `">= 100"`, `"< 5%"`, `"10..20"`, or a number alone.

use std::fmt;

/// What a number is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound<T> {
    /// `< n`
    Less(T),
    /// `<= n`
    AtMost(T),
    /// `== n`, or the number alone.
    Exactly(T),
    /// `!= n`
    Not(T),
    /// `>= n`
    AtLeast(T),
    /// `> n`
    More(T),
    /// `n..m`, both included.
    Between(T, T),
}

impl<T: Copy> Bound<T> {
    /// The largest that is not too much; none: there is no such.
    pub fn most(&self) -> Option<T> {
        match *self {
            Bound::Less(n) | Bound::AtMost(n) | Bound::Exactly(n) | Bound::Between(_, n) => Some(n),
            Bound::Not(_) | Bound::AtLeast(_) | Bound::More(_) => None,
        }
    }
}

impl<T: PartialOrd> Bound<T> {
    /// Whether this much is enough, and not too much.
    pub fn holds(&self, found: &T) -> bool {
        match self {
            Bound::Less(n) => found < n,
            Bound::AtMost(n) => found <= n,
            Bound::Exactly(n) => found == n,
            Bound::Not(n) => found != n,
            Bound::AtLeast(n) => found >= n,
            Bound::More(n) => found > n,
            Bound::Between(n, m) => n <= found && found <= m,
        }
    }
}

impl<T: fmt::Display> fmt::Display for Bound<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::Less(n) => write!(f, "< {n}"),
            Bound::AtMost(n) => write!(f, "<= {n}"),
            Bound::Exactly(n) => write!(f, "== {n}"),
            Bound::Not(n) => write!(f, "!= {n}"),
            Bound::AtLeast(n) => write!(f, ">= {n}"),
            Bound::More(n) => write!(f, "> {n}"),
            Bound::Between(n, m) => write!(f, "{n}..{m}"),
        }
    }
}

/// A part of a whole, within 0..1, written as a percentage.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Share(pub f64);

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // At most two places, and none that say nothing.
        let percent = (self.0 * 10_000.0).round() / 100.0;
        write!(f, "{percent}%")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_says_what_it_takes() {
        let takes = |bound: Bound<u64>| (0..=6).filter(|n| bound.holds(n)).collect::<Vec<u64>>();
        assert_eq!(takes(Bound::Less(2)), [0, 1]);
        assert_eq!(takes(Bound::AtMost(2)), [0, 1, 2]);
        assert_eq!(takes(Bound::Exactly(2)), [2]);
        assert_eq!(takes(Bound::Not(2)), [0, 1, 3, 4, 5, 6]);
        assert_eq!(takes(Bound::AtLeast(4)), [4, 5, 6]);
        assert_eq!(takes(Bound::More(4)), [5, 6]);
        assert_eq!(takes(Bound::Between(2, 4)), [2, 3, 4]);
        assert_eq!(Bound::Between(Share(0.125), Share(1.0)).to_string(), "12.5%..100%");
    }
}
