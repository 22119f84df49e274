//! How often is too often: a bucket that fills at a rate, holds a burst, and gives one token for each connection.
//!
//! It counts in whole numbers that no step rounds, so that nothing drifts: whoever floods it from its first moment on is
//! given in any time exactly the burst and what the rate makes of that time.

use std::time::Duration;

use tokio::time::Instant;

use crate::spec::Frequency;

/// A bucket of tokens. It has no clock: it is handed `now`.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    rate: Frequency,
    burst: u32,
    /// In parts of a token: what one of the rate's times yields in a nanosecond is one part.
    level: u128,
    /// When the level was that.
    at: Instant,
}

impl Bucket {
    /// A full one.
    pub(super) fn new(rate: Frequency, burst: u32, now: Instant) -> Self {
        let mut bucket = Bucket { rate, burst, level: 0, at: now };
        bucket.level = bucket.most();
        bucket
    }

    /// The rate at which it fills.
    pub(super) fn rate(&self) -> Frequency {
        self.rate
    }

    /// Whether there is a token now.
    pub(super) fn has_one(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.level >= self.token()
    }

    /// Takes a token, if there is one.
    pub(super) fn take(&mut self) {
        self.level = self.level.saturating_sub(self.token());
    }

    /// Takes a token back that was of no use.
    pub(super) fn give_back(&mut self) {
        self.level = self.level.saturating_add(self.token()).min(self.most());
    }

    /// When there will be a token, if none is taken before.
    pub(super) fn next(&self) -> Option<Instant> {
        let missing = self.token().saturating_sub(self.level);
        let nanos = missing.div_ceil(u128::from(self.rate.times_in().0).max(1));
        self.at.checked_add(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// From now on it fills otherwise and holds another burst. What is in it stays, so far as it fits.
    pub(super) fn change(&mut self, rate: Frequency, burst: u32, now: Instant) {
        self.fill(now);
        let tokens = |level: u128, from: u128, to: u128| {
            // Whole tokens and the broken one apart, which cannot overflow.
            (level / from).saturating_mul(to).saturating_add((level % from).saturating_mul(to) / from)
        };
        let before = self.token();
        (self.rate, self.burst) = (rate, burst);
        self.level = tokens(self.level, before, self.token()).min(self.most());
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_nanos();
        let gained = passed.saturating_mul(u128::from(self.rate.times_in().0));
        // A token is there a fraction of a nanosecond before the clock can say so; the rest of that nanosecond is kept.
        let rest = u128::from(self.rate.times_in().0).saturating_sub(1);
        self.level = self.level.saturating_add(gained).min(self.most().saturating_add(rest));
        self.at = self.at.max(now);
    }

    /// The parts of one token.
    fn token(&self) -> u128 {
        self.rate.times_in().1.as_nanos().max(1)
    }

    fn most(&self) -> u128 {
        self.token().saturating_mul(u128::from(self.burst))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(times: u32) -> Frequency {
        Frequency::per_second(times).unwrap()
    }

    /// Floods a new bucket for so long, trying whenever there may be a token and at other times too.
    fn flood(times: u32, burst: u32, time: Duration) -> u64 {
        let start = Instant::now();
        let end = start + time;
        let (mut bucket, mut now, mut given) = (Bucket::new(rate(times), burst, start), start, 0);
        loop {
            while bucket.has_one(now) {
                bucket.take();
                given += 1;
            }
            let next = bucket.next().unwrap();
            assert!(next > now, "a token was there and was not given");
            assert!(!bucket.clone().has_one(next - Duration::from_nanos(1)), "there was one earlier");
            if next > end {
                return given;
            }
            now = next;
        }
    }

    #[test]
    fn a_flood_gets_exactly_the_burst_and_what_the_rate_makes() {
        let secs = Duration::from_secs;
        assert_eq!(flood(100, 10, secs(10)), 1_010);
        assert_eq!(flood(100, 1, secs(600)), 60_001);
        // A third of a second is no whole number of nanoseconds, and yet nothing is lost.
        assert_eq!(flood(3, 1, secs(1_000)), 3_001);
        assert_eq!(flood(7, 20, secs(1_000) - Duration::from_nanos(1)), 7_019);
        assert_eq!(flood(7, 20, secs(1_000)), 7_020);
    }

    #[test]
    fn a_bucket_holds_no_more_than_the_burst() {
        let start = Instant::now();
        let mut bucket = Bucket::new(rate(10), 3, start);
        let now = start + Duration::from_secs(3_600);
        let given = std::iter::from_fn(|| bucket.has_one(now).then(|| bucket.take())).count();
        assert_eq!((given, bucket.next()), (3, Some(now + Duration::from_millis(100))));
        assert!(!bucket.has_one(start), "a clock that goes back gives nothing");
        bucket.give_back();
        assert!(bucket.has_one(now));
    }

    #[test]
    fn a_change_of_the_rate_makes_no_new_burst() {
        let start = Instant::now();
        let mut bucket = Bucket::new(rate(10), 4, start);
        for _ in 0..3 {
            bucket.take();
        }
        bucket.change(rate(1_000), 100, start);
        assert!(bucket.has_one(start));
        bucket.take();
        assert_eq!(bucket.next(), Some(start + Duration::from_millis(1)));
        bucket.change(rate(1), 2, start + Duration::from_secs(9));
        let given = std::iter::from_fn(|| bucket.has_one(start).then(|| bucket.take())).count();
        assert_eq!(given, 2, "what fits into the smaller one");
    }

    proptest! {
        #[test]
        fn any_flood_is_exact(times in 1..5_000u32, burst in 1..50u32, millis in 0..3_000u64) {
            let let_in = u64::from(times) * millis / 1_000 + u64::from(burst);
            prop_assert_eq!(flood(times, burst, Duration::from_millis(millis)), let_in);
        }

        #[test]
        fn nothing_overflows(times in 1..u32::MAX, burst in 1..u32::MAX, secs in 0..u64::from(u32::MAX)) {
            let start = Instant::now();
            let mut bucket = Bucket::new(rate(times), burst, start);
            bucket.change(rate(u32::MAX), u32::MAX, start + Duration::from_secs(secs));
            prop_assert!(bucket.has_one(start) && bucket.next().is_some());
        }
    }
}
