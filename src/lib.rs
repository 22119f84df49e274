//! A TCP proxy that makes the network go wrong: on purpose, exactly as asked, and the same way again tomorrow.
//!
//! The program `chaos-proxy` is a thin shell around this library. A test can use it directly:
//! [`Daemon::start`](daemon::Daemon::start) takes a [`Config`](config::Config) and gives a handle that tells each
//! route's address and stops everything.
//!
//! Modules use each other in one direction only, from the top of this list to the bottom: `cli`, `scenario`, `daemon`,
//! `config`, `route`, `upstream`, `relay`, `fault`, `observe`, `spec`; `admin` stands beside `scenario` and uses what is
//! below them.

pub mod admin;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod fault;
pub mod observe;
pub mod relay;
pub mod route;
pub mod scenario;
pub mod spec;
pub mod upstream;

/// The program in the README compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
