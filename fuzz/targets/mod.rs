//! What is fuzzed. One function a target, which panics when a promise is broken; cargo-fuzz and `tests/fuzz.rs` both call them.

#![allow(dead_code, unreachable_pub, reason = "each fuzzer uses one target, the test all of them")]

pub mod address;
pub mod body;
pub mod config;
pub mod proxy;
pub mod relay;
pub mod toxiproxy;

/// A target takes any bytes.
pub type Target = fn(&[u8]);

/// Every target by the name of its corpus. A parser that comes later is a line here.
pub const ALL: [(&str, Target); 6] = [
    ("config", config::target),
    ("address", address::target),
    ("body", body::target),
    ("proxy", proxy::target),
    ("relay", relay::target),
    ("toxiproxy", toxiproxy::target),
];
