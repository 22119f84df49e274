//! A laboratory for chains: a source, a sink and a clock that are plain values, so that what a chain does with bytes can
//! be told to the nanosecond.
//!
//! It does what a pump does, in the same order: faults whose time has come, the source's FIN, writes, endings, reads.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use super::chain::Chain;
use super::held::Front;
use super::link::Deed;
use super::stream::{Cut, Intake};
use super::{Active, Effect, Fault};
use crate::observe::Direction;

/// Something that came out, and when, counted from the start.
pub(super) type Event = (Duration, Out);

/// What came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Out {
    /// One write.
    Bytes(Vec<u8>),
    Fin,
    /// An ending, and the name of the fault whose it is, when that is still there.
    Cut(Cut, Option<String>),
}

/// One direction with a chain on it.
pub(super) struct Lab {
    pub(super) chain: Chain,
    pub(super) start: Instant,
    pub(super) now: Instant,
    /// How many bytes may be held.
    pub(super) most: usize,
    /// Whether the sink takes anything.
    pub(super) sink_open: bool,
    /// What the source has sent and nobody has read: one entry is what one read gives at most.
    pub(super) waiting: VecDeque<Vec<u8>>,
    finished: bool,
    /// What was read, and when.
    pub(super) reads: Vec<(Duration, Vec<u8>)>,
    pub(super) out: Vec<Event>,
    /// The most that was held at any time.
    pub(super) peak: usize,
    /// The names of the faults that fired, in the order in which it was told.
    pub(super) told: Vec<String>,
}

/// A fault on every connection, as a configuration writes it, with dice from a seed. Its parameters alone are read: what
/// stands beside them, but for the name, is a matter of triggers.
pub(super) fn active(item: Value, seed: u64) -> Arc<Active> {
    let Value::Object(item) = item else { panic!("not a mapping: {item}") };
    let (word, mut body) = item.into_iter().next().expect("a key");
    let name = body.as_object_mut().and_then(|body| body.remove("name"));
    let mut fault = Fault::new(effect(&word, body));
    if let Some(Value::String(name)) = name {
        fault.name = name.into();
    }
    Arc::new(Active::of(fault, Direction::Downstream, seed))
}

fn effect(word: &str, body: Value) -> Effect {
    fn read<E: DeserializeOwned>(effect: fn(E) -> Effect, body: Value) -> Effect {
        effect(serde_json::from_value(body).expect("parameters"))
    }
    match word {
        "latency" => read(Effect::Latency, body),
        "bandwidth" => read(Effect::Bandwidth, body),
        "slice" => read(Effect::Slice, body),
        "corrupt" => read(Effect::Corrupt, body),
        "loss" => read(Effect::Loss, body),
        "limit" => read(Effect::Limit, body),
        "reset" => read(Effect::Reset, body),
        "blackhole" => read(Effect::Blackhole, body),
        "stall" => read(Effect::Stall, body),
        "slowClose" => read(Effect::SlowClose, body),
        "noop" => read(Effect::Noop, body),
        _ => panic!("not a stream fault: {word}"),
    }
}

/// The byte at an offset of the stream that tests send: neighbours differ, and so do the same places of all pages.
pub(super) fn byte_at(offset: u64) -> u8 {
    (offset.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8
}

/// So many bytes of that stream, from an offset on.
pub(super) fn bytes_from(offset: u64, count: usize) -> Vec<u8> {
    (offset..).take(count).map(byte_at).collect()
}

pub(super) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

impl Lab {
    /// A direction with these effects on it, from the very start.
    pub(super) fn new<const N: usize>(items: [Value; N]) -> Self {
        Lab::of(&items.map(|item| active(item, 42)))
    }

    /// The same, with faults that are known.
    pub(super) fn of(plan: &[Arc<Active>]) -> Self {
        let start = Instant::now();
        let mut lab = Lab {
            chain: Chain::from(0),
            start,
            now: start,
            most: 1 << 20,
            sink_open: true,
            waiting: VecDeque::new(),
            finished: false,
            reads: Vec::new(),
            out: Vec::new(),
            peak: 0,
            told: Vec::new(),
        };
        lab.adopt(plan);
        lab
    }

    /// Puts a plan in force. True when the connection cannot go on.
    pub(super) fn adopt(&mut self, plan: &[Arc<Active>]) -> bool {
        self.chain.adopt(plan, self.now)
    }

    /// The source sends bytes that will be read at once, if at all.
    pub(super) fn send(&mut self, bytes: impl Into<Vec<u8>>) -> &mut Self {
        self.waiting.push_back(bytes.into());
        self
    }

    /// The source sends the next bytes of the test stream, in reads of this size, unless it has said FIN.
    pub(super) fn send_in(&mut self, total: usize, read: usize) -> &mut Self {
        if self.finished {
            return self;
        }
        let sent: usize = self.reads.iter().map(|(_, bytes)| bytes.len()).sum();
        let all = bytes_from((sent + self.unread()) as u64, total);
        self.waiting.extend(all.chunks(read).map(<[u8]>::to_vec));
        self
    }

    /// The source says FIN.
    pub(super) fn finish(&mut self) -> &mut Self {
        self.finished = true;
        self
    }

    /// Bytes that the source has sent and nobody has read.
    pub(super) fn unread(&self) -> usize {
        self.waiting.iter().map(Vec::len).sum()
    }

    /// Runs until this time after the start.
    pub(super) fn run_to(&mut self, at: Duration) -> &mut Self {
        let end = self.start + at;
        self.run_while(|next| next <= end);
        self.now = end.max(self.now);
        self
    }

    /// Runs until nothing happens any more.
    pub(super) fn run(&mut self) -> &mut Self {
        self.run_while(|_| true);
        self
    }

    fn run_while(&mut self, goes_on: impl Fn(Instant) -> bool) {
        while let Some(next) = self.turn().filter(|next| goes_on(*next)) {
            assert!(next > self.now, "it wants to be looked at again and again");
            self.now = next;
        }
    }

    /// Runs, and tells what came out.
    pub(super) fn events(&mut self) -> Vec<Event> {
        self.run();
        std::mem::take(&mut self.out)
    }

    /// Does what can be done now; when there is more to do.
    pub(super) fn turn(&mut self) -> Option<Instant> {
        if self.is_cut() {
            return None;
        }
        loop {
            let now = self.now;
            self.chain.on_time(now);
            if self.finished && self.waiting.is_empty() {
                self.chain.on_fin(now);
            }
            self.peak = self.peak.max(self.chain.holds());
            match self.chain.front(now) {
                Front::Bytes(bytes) if self.sink_open => {
                    let bytes = bytes.to_vec();
                    self.chain.wrote(bytes.len());
                    self.emit(Out::Bytes(bytes));
                    continue;
                }
                Front::Fin if self.sink_open => {
                    self.chain.passed_fin();
                    self.emit(Out::Fin);
                    continue;
                }
                Front::Cut(cut, by) => {
                    let by = self.chain.ended_by(by).map(|active| active.fault.name.to_string());
                    self.emit(Out::Cut(cut, by));
                    self.tell();
                    return None;
                }
                _ => {}
            }
            self.tell();
            let wake = self.chain.wake_at(now);
            if self.waiting.is_empty() {
                return wake;
            }
            match self.chain.intake(now, self.most) {
                Intake::Any => self.read(usize::MAX),
                Intake::AtMost(room) => self.read(room),
                Intake::From(at) => return Some(wake.map_or(at, |wake| wake.min(at))),
                Intake::Never => return wake,
            }
        }
    }

    fn read(&mut self, room: usize) {
        let Some(mut bytes) = self.waiting.pop_front() else { return };
        assert!(room > 0, "nothing may be read, and still it should be tried");
        if bytes.len() > room {
            self.waiting.push_front(bytes.split_off(room));
        }
        self.chain.on_read(self.now, BytesMut::from(&bytes[..]));
        self.reads.push((self.now - self.start, bytes));
    }

    fn emit(&mut self, out: Out) {
        self.out.push((self.now - self.start, out));
    }

    fn tell(&mut self) {
        let fired = self.chain.take_fired();
        self.told.extend(fired.iter().map(|deed| deed.active.fault.name.to_string()));
    }

    /// Whether a fault has ended the connection.
    pub(super) fn is_cut(&self) -> bool {
        matches!(self.out.last(), Some((_, Out::Cut(..))))
    }

    /// All bytes that came out.
    pub(super) fn written(&self) -> Vec<u8> {
        joined(&self.out)
    }

    /// What the only fault that did anything has done.
    pub(super) fn deed(&self) -> Deed {
        match <[Deed; 1]>::try_from(self.chain.deeds()) {
            Ok([deed]) => deed,
            Err(deeds) => panic!("not one deed: {deeds:?}"),
        }
    }
}

/// Only the writes.
pub(super) fn writes(events: &[Event]) -> Vec<(Duration, Vec<u8>)> {
    let bytes = |(at, out): &Event| match out {
        Out::Bytes(bytes) => Some((*at, bytes.clone())),
        _ => None,
    };
    events.iter().filter_map(bytes).collect()
}

/// When pieces of which size came out, for tests that know the bytes.
pub(super) fn sizes(events: &[Event]) -> Vec<(Duration, usize)> {
    writes(events).into_iter().map(|(at, bytes)| (at, bytes.len())).collect()
}

/// All bytes that came out.
pub(super) fn joined(events: &[Event]) -> Vec<u8> {
    writes(events).into_iter().flat_map(|(_, bytes)| bytes).collect()
}
