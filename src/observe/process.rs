//! Counters of the process as a whole.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::writer::Writer;

/// Status codes of HTTP have three digits and begin with 1 to 5.
const FIRST_CODE: u16 = 100;
const LAST_CODE: u16 = 599;
const CODES: usize = (LAST_CODE - FIRST_CODE + 1) as usize;

/// What happened in the process since its start, apart from its routes.
#[derive(Debug)]
pub struct ProcessStats {
    panics: AtomicU64,
    reloads: [AtomicU64; 2],
    calls: [AtomicU64; CODES],
}

impl Default for ProcessStats {
    fn default() -> Self {
        ProcessStats {
            panics: AtomicU64::new(0),
            reloads: Default::default(),
            calls: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

impl ProcessStats {
    /// A task broke an invariant and was ended; the others go on.
    pub fn count_panic(&self) {
        self.panics.fetch_add(1, Relaxed);
    }

    /// The configuration was read again, and came into force or was refused.
    pub fn count_reload(&self, ok: bool) {
        self.reloads[usize::from(ok)].fetch_add(1, Relaxed);
    }

    /// A call of the control API was answered with this status code.
    pub fn count_call(&self, code: u16) {
        let code = code.clamp(FIRST_CODE, LAST_CODE);
        if let Some(calls) = self.calls.get(usize::from(code - FIRST_CODE)) {
            calls.fetch_add(1, Relaxed);
        }
    }

    /// Tasks that were ended by a broken invariant.
    pub fn panics(&self) -> u64 {
        self.panics.load(Relaxed)
    }

    /// Reloads that came into force, or that were refused.
    pub fn reloads(&self, ok: bool) -> u64 {
        self.reloads[usize::from(ok)].load(Relaxed)
    }

    /// The status codes that were answered with, and how often each.
    pub fn calls(&self) -> impl Iterator<Item = (u16, u64)> {
        let counted = (FIRST_CODE..).zip(&self.calls).map(|(code, calls)| (code, calls.load(Relaxed)));
        counted.filter(|(_, calls)| *calls > 0)
    }

    /// Lines of the log that nobody took in time.
    pub fn log_lines_dropped(&self) -> u64 {
        Writer::stderr().dropped()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_code_it_is_counted_in_its_bounds() {
        let stats = ProcessStats::default();
        [200, 200, 99, 0, 600, u16::MAX, 404].into_iter().for_each(|code| stats.count_call(code));
        assert_eq!(stats.calls().collect::<Vec<_>>(), [(100, 2), (200, 2), (404, 1), (599, 2)]);
    }

    #[test]
    fn reloads_are_told_apart() {
        let stats = ProcessStats::default();
        [true, false, true].into_iter().for_each(|ok| stats.count_reload(ok));
        assert_eq!((stats.reloads(true), stats.reloads(false)), (2, 1));
    }
}
