//! Buffers that are borrowed while bytes are in hand and given back at once, so that an idle connection owns none.

use std::cell::RefCell;

/// Large enough to make system calls rare, small enough that a thousand stalled directions hold little.
pub(super) const SIZE: usize = 32 * 1024;

/// What a thread keeps for the next borrower.
const KEPT: usize = 32;

thread_local! {
    static FREE: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// A borrowed buffer; dropping it gives it back.
pub(super) struct Buffer(Option<Box<[u8]>>);

impl Buffer {
    pub(super) fn borrow() -> Self {
        let kept = FREE.with_borrow_mut(Vec::pop);
        Buffer(Some(kept.unwrap_or_else(|| vec![0; SIZE].into_boxed_slice())))
    }
}

impl std::ops::Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl std::ops::DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.0.as_deref_mut().unwrap_or_default()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(buffer) = self.0.take() {
            // While a thread ends its pool may be gone already; then the buffer is simply freed.
            let _ = FREE.try_with(|free| {
                let mut free = free.borrow_mut();
                if free.len() < KEPT {
                    free.push(buffer);
                }
            });
        }
    }
}
