//! A time limit around every test, which also ends the programs the test started.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

/// The programs that run, each with the test that started it.
static RUNNING: Mutex<Vec<(u64, Pid)>> = Mutex::new(Vec::new());
static NEXT: AtomicU64 = AtomicU64::new(1);
static HEAVY: Mutex<()> = Mutex::new(());
static RAISE: Once = Once::new();

thread_local! {
    static TEST: Cell<u64> = const { Cell::new(0) };
}

/// Runs a test; after `limit` it has failed, and the programs it started are killed so that nothing outlives it.
pub(crate) fn within(limit: Duration, test: impl FnOnce() + Send + 'static) {
    RAISE.call_once(raise_descriptor_limit);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let (done, wait) = channel::<Result<(), Box<dyn Any + Send>>>();
    thread::spawn(move || {
        TEST.set(number);
        // Who waits may have given up; then nobody wants to know.
        let _ = done.send(catch_unwind(AssertUnwindSafe(test)));
    });
    match wait.recv_timeout(limit) {
        Ok(Ok(())) => {}
        Ok(Err(panic)) => resume_unwind(panic),
        Err(RecvTimeoutError::Timeout) => {
            for (_, pid) in running().iter().filter(|(test, _)| *test == number) {
                let _ = kill_process(*pid, Signal::KILL);
            }
            panic!("the test took longer than {limit:?}");
        }
        Err(RecvTimeoutError::Disconnected) => panic!("the test's thread is gone"),
    }
}

/// Tests that fill the machine hold this, so that they run one after the other.
pub(crate) fn heavy() -> MutexGuard<'static, ()> {
    HEAVY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number of the test that runs on this thread.
pub(super) fn current() -> u64 {
    TEST.get()
}

/// Remembers a program, until it is forgotten.
pub(super) fn remember(test: u64, pid: Pid) {
    running().push((test, pid));
}

/// The program has been waited for: its number may belong to another one soon.
pub(super) fn forget(pid: Pid) {
    running().retain(|(_, known)| *known != pid);
}

fn running() -> MutexGuard<'static, Vec<(u64, Pid)>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(why) = setrlimit(Resource::Nofile, raised) {
        eprintln!("the descriptor limit stays as it is: {why}");
    }
}
