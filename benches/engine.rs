//! What the fault engine costs: one read of 64 KiB through a chain of no, one and four faults, by pure calls.
//!
//! `cargo bench` measures it. Time is a number that the loop moves on, so nothing waits and only work is counted.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use chaos_proxy::fault::chain::Chain;
use chaos_proxy::fault::held::Front;
use chaos_proxy::fault::{Active, Bandwidth, Change, Corrupt, Effect, Fault, Latency, Shared, Slice};
use chaos_proxy::observe::Direction;
use chaos_proxy::spec::{Period, Probability, Rate, Size};
use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use tokio::time::Instant;

const CHUNK: usize = 64 * 1024;

const DELAY: Duration = Duration::from_millis(20);

fn main() {
    divan::main();
}

fn latency() -> Effect {
    Effect::Latency(Latency { delay: Period::new(DELAY), ..Latency::default() })
}

/// A rate that never holds anything back.
fn bandwidth() -> Option<Effect> {
    let rate = Rate::new(1 << 50)?;
    Some(Effect::Bandwidth(Bandwidth { rate, burst: None, shared: Shared::Connection }))
}

fn corrupt() -> Option<Effect> {
    Some(Effect::Corrupt(Corrupt { rate: Probability::new(1e-4)?, how: Change::Flip }))
}

fn slice() -> Effect {
    Effect::Slice(Slice { size: Size::new(16 * 1024), variation: Size::new(0), delay: Period::default() })
}

fn plan(faults: usize) -> Vec<Arc<Active>> {
    let all = [Some(latency()), bandwidth(), corrupt(), Some(slice())];
    let active = |effect| Arc::new(Active::of(Fault::new(effect), Direction::Downstream, 42));
    all.into_iter().flatten().take(faults).map(active).collect()
}

/// A chunk is read, as a pump does it: copied out of a borrowed buffer; and everything that is due is written.
#[divan::bench(args = [0, 1, 4], sample_count = 200, sample_size = 100)]
fn chunk(bencher: Bencher<'_, '_>, faults: usize) {
    let mut now = Instant::now();
    let mut chain = Chain::from(0);
    chain.adopt(&plan(faults), now);
    let source = vec![7; CHUNK];
    bencher.counter(BytesCount::new(CHUNK)).bench_local(|| {
        chain.on_read(now, BytesMut::from(black_box(&source[..])));
        now += DELAY;
        while let Front::Bytes(bytes) = chain.front(now) {
            let count = black_box(bytes).len();
            chain.wrote(count);
        }
        chain.take_fired().len()
    });
}

/// The same for a message of 64 bytes, where what is paid for each read shows.
#[divan::bench(args = [0, 1, 4], sample_count = 200, sample_size = 1000)]
fn message(bencher: Bencher<'_, '_>, faults: usize) {
    let mut now = Instant::now();
    let mut chain = Chain::from(0);
    chain.adopt(&plan(faults), now);
    let source = [7; 64];
    bencher.counter(BytesCount::new(64_usize)).bench_local(|| {
        chain.on_read(now, BytesMut::from(black_box(&source[..])));
        now += DELAY;
        while let Front::Bytes(bytes) = chain.front(now) {
            let count = black_box(bytes).len();
            chain.wrote(count);
        }
        chain.take_fired().len()
    });
}
