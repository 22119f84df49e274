//! Bugs of this program: one ends what it happened in, is counted, and takes nobody along.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::task::JoinHandle;

use super::Emitter;

/// Counts a panic that passes it by.
struct Witness(Emitter);

impl Drop for Witness {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.process().count_panic();
        }
    }
}

impl Emitter {
    /// Spawns a task. Should a bug end it, that is counted.
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        tokio::spawn(self.watched(task))
    }

    /// The same for what somebody else spawns.
    pub fn watched<F: Future>(&self, task: F) -> impl Future<Output = F::Output> + use<F> {
        let witness = Witness(self.clone());
        async move {
            let _witness = witness;
            task.await
        }
    }

    /// Does what must not take its caller along; nothing comes of it if a bug ended it, and that is counted.
    pub fn survive<T>(&self, act: impl FnOnce() -> T) -> Option<T> {
        // What it was about is not looked at again, or is behind a lock that heals.
        let done = catch_unwind(AssertUnwindSafe(act));
        if done.is_err() {
            self.process().count_panic();
        }
        done.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bug_is_counted_and_goes_no_further() {
        let emitter = Emitter::default();
        assert_eq!(emitter.survive(|| 1), Some(1));
        assert_eq!(emitter.process().panics(), 0);
        assert_eq!(emitter.survive(|| -> i32 { panic!("on purpose") }), None);
        assert_eq!(emitter.process().panics(), 1);
    }

    #[tokio::test]
    async fn a_bug_in_a_task_is_counted_once_and_an_end_or_an_abort_is_none() {
        let emitter = Emitter::default();
        assert_eq!(emitter.spawn(async { 1 }).await.ok(), Some(1));
        let endless = emitter.spawn(std::future::pending::<()>());
        endless.abort();
        assert!(endless.await.is_err());
        assert_eq!(emitter.process().panics(), 0);
        assert!(emitter.spawn(async { panic!("on purpose") }).await.is_err());
        assert_eq!(emitter.process().panics(), 1);
    }
}
