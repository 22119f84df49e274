//! The fuzz targets on the stable toolchain: every input of the kept corpora, and seeded mutations of each.
//!
//! `FUZZ_SECONDS` goes on for so long with each target, `FUZZ_SEED` chooses other mutations, `FUZZ_TARGET` takes one
//! target alone. A finding is written to `fuzz/artifacts` and told with the seed.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a test, in real time"
)]

#[path = "../fuzz/targets/mod.rs"]
mod targets;

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

/// How many mutations of its corpus a target is given where no time is chosen.
const MUTATIONS: u64 = 3_000;

/// No input may take longer, whatever it is.
const LONGEST: Duration = Duration::from_secs(1);

/// A step of splitmix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) % n.max(1) as u64) as usize
    }
}

/// Pieces that parsers stumble over.
const PIECES: [&[u8]; 24] = [
    b"\0",
    b"\n",
    b"\r\n",
    b"\t",
    b"\"",
    b"'",
    b"{",
    b"}",
    b"[",
    b"]",
    b": ",
    b", ",
    b"- ",
    b"&a ",
    b"*a",
    b"<<: ",
    b"${A}",
    b"18446744073709551616",
    b"-1",
    b"1e400",
    b"\xff\xfe",
    b"\xe2\x80\xae",
    b"null",
    b"0x10",
];

/// An input of a corpus, changed in a few places; now and then two of them in one.
fn mutated(dice: &mut Dice, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut input = corpus[dice.below(corpus.len())].clone();
    for _ in 0..=dice.below(6) {
        let at = dice.below(input.len() + 1);
        match dice.below(9) {
            0 if at < input.len() => input[at] ^= 1 << dice.below(8),
            1 if at < input.len() => input[at] = dice.below(256) as u8,
            2 => input.insert(at, dice.below(256) as u8),
            3 => _ = input.splice(at..at, PIECES[dice.below(PIECES.len())].iter().copied()),
            4 => input.truncate(at),
            5 => {
                let end = (at + 1 + dice.below(16)).min(input.len());
                input.drain(at.min(end)..end);
            }
            6 => {
                let end = (at + 1 + dice.below(64)).min(input.len());
                let copy = input[at.min(end)..end].to_vec();
                let to = dice.below(input.len() + 1);
                input.splice(to..to, copy);
            }
            7 => {
                let other = &corpus[dice.below(corpus.len())];
                let from = dice.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            _ => {
                // The same byte again and again: depths and lengths.
                let byte = input.get(at).copied().unwrap_or(b'[');
                input.splice(at..at, std::iter::repeat_n(byte, dice.below(300)));
            }
        }
    }
    input.truncate(64 << 10);
    input
}

fn chosen(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// One input; what is wrong with it, if anything is.
fn tried(target: targets::Target, input: &[u8]) -> Result<(), String> {
    let begun = Instant::now();
    if catch_unwind(AssertUnwindSafe(|| target(input))).is_err() {
        return Err("a panic".to_owned());
    }
    let took = begun.elapsed();
    if took > LONGEST { Err(format!("it took {took:?}")) } else { Ok(()) }
}

#[test]
fn no_input_breaks_a_promise() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let seed = chosen("FUZZ_SEED").unwrap_or(1);
    let time = chosen("FUZZ_SECONDS").map(Duration::from_secs);
    let only = std::env::var("FUZZ_TARGET").ok();
    let mut names: Vec<String> = std::fs::read_dir(root.join("corpus"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    let mut known = targets::ALL.map(|(name, _)| name.to_owned());
    known.sort_unstable();
    assert_eq!(names, known, "every target has a corpus, and every corpus a target");

    for (name, target) in targets::ALL {
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        let mut files: Vec<_> = std::fs::read_dir(root.join("corpus").join(name))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort_unstable();
        let corpus: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
        assert!(!corpus.is_empty(), "{name} has no input");
        for (file, input) in files.iter().zip(&corpus) {
            tried(target, input).unwrap_or_else(|why| panic!("{name}: {}: {why}", file.display()));
        }
        let (begun, mut dice, mut n) = (Instant::now(), Dice(seed), 0);
        while time.map_or(n < MUTATIONS, |time| begun.elapsed() < time) {
            n += 1;
            let input = mutated(&mut dice, &corpus);
            if let Err(why) = tried(target, &input) {
                let found = root.join("artifacts").join(format!("{name}-{seed}-{n}"));
                std::fs::create_dir_all(root.join("artifacts")).unwrap();
                std::fs::write(&found, &input).unwrap();
                panic!("{name}: input {n} of FUZZ_SEED={seed}: {why}; it is in {}", found.display());
            }
        }
        let mut said = std::io::stderr();
        let _ = writeln!(said, "{name}: {} kept and {n} new inputs in {:?}", corpus.len(), begun.elapsed());
    }
}
