//! The one way to standard error: a bounded queue and a thread behind it, so that talking never blocks work.

use std::io::Write;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// What may wait to be written; more is counted and not told.
const ROOM: usize = 4 * 1024 * 1024;

/// How long the program's last words may take when nobody reads them.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A handle to the one writer.
#[derive(Clone)]
pub struct Writer {
    queue: Sender<Message>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    waiting: AtomicUsize,
    dropped: AtomicU64,
}

enum Message {
    Lines(String),
    Flush(Sender<()>),
}

impl Writer {
    /// The writer to standard error, started when it is first asked for.
    pub fn stderr() -> Writer {
        static WRITER: OnceLock<Writer> = OnceLock::new();
        WRITER.get_or_init(|| Writer::to(std::io::stderr())).clone()
    }

    fn to(sink: impl Write + Send + 'static) -> Writer {
        let (queue, messages) = channel();
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        // Without a thread nothing is written, and everything else goes on.
        let _ =
            std::thread::Builder::new().name("log".into()).spawn(move || write_all(messages, sink, &theirs));
        Writer { queue, shared }
    }

    /// Queues a line, or several; a newline is added.
    pub fn line(&self, mut line: String) {
        line.push('\n');
        let length = line.len();
        if self.shared.waiting.fetch_add(length, Relaxed) + length > ROOM
            || self.queue.send(Message::Lines(line)).is_err()
        {
            self.shared.waiting.fetch_sub(length, Relaxed);
            self.shared.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Lines that nobody took in time.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Relaxed)
    }

    /// Waits a moment until everything queued is written.
    pub fn flush(&self) {
        let (done, wait) = channel();
        if self.queue.send(Message::Flush(done)).is_ok() {
            let _ = wait.recv_timeout(LAST_WORDS);
        }
    }
}

fn write_all(messages: Receiver<Message>, mut sink: impl Write, shared: &Shared) {
    let mut told = 0;
    while let Ok(message) = messages.recv() {
        match message {
            Message::Lines(lines) => {
                // A closed standard error is no reason to stop: the lines are gone, and that is counted.
                if sink.write_all(lines.as_bytes()).is_err() {
                    shared.dropped.fetch_add(1, Relaxed);
                }
                shared.waiting.fetch_sub(lines.len(), Relaxed);
                let dropped = shared.dropped.load(Relaxed);
                if dropped > told && shared.waiting.load(Relaxed) < ROOM / 2 {
                    let missed = dropped - told;
                    if writeln!(sink, "{}", missed_line(missed)).is_ok() {
                        told = dropped;
                    }
                }
            }
            Message::Flush(done) => {
                let _ = sink.flush();
                let _ = done.send(());
            }
        }
    }
}

/// Valid as a line of JSON and readable as text.
fn missed_line(missed: u64) -> String {
    format!("{{\"event\":\"missed\",\"level\":\"warn\",\"count\":{missed}}}")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;
    use std::sync::{Condvar, Mutex};

    use super::*;

    /// A sink that takes nothing until it is opened.
    #[derive(Clone, Default)]
    struct Gate(Arc<Inner>);

    #[derive(Default)]
    struct Inner {
        state: Mutex<State>,
        opened: Condvar,
    }

    #[derive(Default)]
    struct State {
        open: bool,
        written: Vec<u8>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let mut state = self.0.state.lock().unwrap();
            while !state.open {
                state = self.0.opened.wait(state).unwrap();
            }
            state.written.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_sink_that_blocks_costs_lines_and_never_time() {
        let gate = Gate::default();
        let writer = Writer::to(gate.clone());
        let line = "x".repeat(1023);
        let (done, wait) = sync_channel(1);
        let filler = writer.clone();
        std::thread::spawn(move || {
            (0..8192).for_each(|_| filler.line(line.clone()));
            done.send(()).unwrap();
        });
        wait.recv_timeout(Duration::from_secs(10)).expect("writing to a blocked sink must not block");
        assert_eq!(writer.dropped(), 4096);
        gate.0.state.lock().unwrap().open = true;
        gate.0.opened.notify_all();
        let written = || String::from_utf8(gate.0.state.lock().unwrap().written.clone()).unwrap();
        // Each flush waits half a second at most: enough of them for any machine.
        for _ in 0..20 {
            writer.flush();
            if written().contains("missed") {
                break;
            }
            writer.line("more".to_owned());
        }
        assert!(written().contains(&format!("\"level\":\"warn\",\"count\":{}", writer.dropped())));
        assert_eq!(written().lines().filter(|line| line.starts_with('x')).count(), 4096);
    }
}
