//! Which gear a direction without faults moves in: bytes in bulk go through a pipe, all others through a buffer.

use super::pool;

/// A splice that moves less than this costs more than the copy that it saves.
const WORTHWHILE: usize = 8 * 1024;

/// After splices that were not worthwhile, at most so many full reads in a row are waited for.
const MOST_WANTED: u8 = 64;

/// What the last reads were like. Every change of gear is safe at any byte, so this is about speed only.
#[derive(Debug)]
pub(super) struct Gear {
    /// Reads in a row that filled their buffer.
    full: u8,
    /// So many of them are taken for bulk. More after bulk that comes in small pieces: it fills a pipe with next to nothing.
    wanted: u8,
}

impl Default for Gear {
    fn default() -> Self {
        Gear { full: 0, wanted: 1 }
    }
}

impl Gear {
    /// Whether the next bytes are likely to be many.
    pub(super) fn is_bulk(&self) -> bool {
        self.wanted > 0 && self.full >= self.wanted
    }

    /// So many bytes were copied.
    pub(super) fn copied(&mut self, count: usize) {
        self.full = if count < pool::SIZE { 0 } else { self.full.saturating_add(1) };
    }

    /// So many bytes went into a pipe.
    pub(super) fn spliced(&mut self, count: usize) {
        if count < WORTHWHILE {
            self.full = 0;
            self.wanted = (self.wanted * 2).min(MOST_WANTED);
        } else if count >= pool::SIZE {
            self.wanted = 1;
        }
    }

    /// One of the ends cannot do it: never again.
    pub(super) fn cannot_splice(&mut self) {
        self.wanted = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_reads_are_bulk_until_a_read_is_not() {
        let mut gear = Gear::default();
        assert!(!gear.is_bulk());
        gear.copied(pool::SIZE);
        assert!(gear.is_bulk());
        gear.spliced(10 * pool::SIZE);
        gear.spliced(WORTHWHILE);
        assert!(gear.is_bulk());
        gear.copied(pool::SIZE - 1);
        assert!(!gear.is_bulk());
    }

    #[test]
    fn bulk_in_small_pieces_is_tried_ever_more_rarely() {
        let mut gear = Gear::default();
        let mut tries = 0;
        for _ in 0..1000 {
            gear.copied(pool::SIZE);
            if gear.is_bulk() {
                tries += 1;
                gear.spliced(100);
            }
        }
        assert!((10..25).contains(&tries), "{tries}");
        (0..100).for_each(|_| gear.copied(pool::SIZE));
        gear.spliced(pool::SIZE);
        gear.copied(0);
        gear.copied(pool::SIZE);
        assert!(gear.is_bulk(), "once it is worthwhile, it is at once");
    }

    #[test]
    fn what_cannot_be_done_is_not_tried_again() {
        let mut gear = Gear::default();
        gear.cannot_splice();
        (0..100).for_each(|_| gear.copied(pool::SIZE));
        gear.spliced(0);
        assert!(!gear.is_bulk());
    }
}
