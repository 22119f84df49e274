//! Durations counted in buckets with fixed bounds: two atomic additions each, no lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// How many durations fell into each bucket.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [Duration],
    /// One for each bound, and one for what is beyond the last.
    counts: Box<[AtomicU64]>,
    sum_micros: AtomicU64,
}

/// A histogram as it was at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Each bound, and how many durations were not above it.
    pub buckets: Vec<(Duration, u64)>,
    /// How many durations there were.
    pub count: u64,
    /// All of them together.
    pub sum: Duration,
}

impl Histogram {
    /// With these bounds, which must rise.
    pub fn new(bounds: &'static [Duration]) -> Self {
        debug_assert!(bounds.is_sorted_by(|a, b| a < b));
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Histogram { bounds, counts, sum_micros: AtomicU64::new(0) }
    }

    /// Counts a duration.
    pub fn count(&self, duration: Duration) {
        // The bounds belong to the buckets below them.
        let bucket = self.bounds.partition_point(|bound| *bound < duration);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Relaxed);
        }
        self.sum_micros.fetch_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// What has been counted. The count is made of the buckets, so that these always agree.
    pub fn snapshot(&self) -> Snapshot {
        let mut count = 0;
        let mut cumulative = self.counts.iter().map(|n| {
            count += n.load(Relaxed);
            count
        });
        let buckets = self.bounds.iter().copied().zip(&mut cumulative).collect();
        cumulative.for_each(drop);
        Snapshot { buckets, count, sum: Duration::from_micros(self.sum_micros.load(Relaxed)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_counted_in_the_first_bucket_that_holds_it() {
        const BOUNDS: [Duration; 2] = [Duration::from_millis(1), Duration::from_secs(1)];
        let histogram = Histogram::new(&BOUNDS);
        let micros = [0, 999, 1_000, 1_001, 1_000_000, 1_000_001, 90_000_000];
        micros.iter().for_each(|micros| histogram.count(Duration::from_micros(*micros)));
        let Snapshot { buckets, count, sum } = histogram.snapshot();
        assert_eq!(buckets, [(BOUNDS[0], 3), (BOUNDS[1], 5)]);
        assert_eq!((count, sum), (7, Duration::from_micros(micros.iter().sum())));
    }
}
