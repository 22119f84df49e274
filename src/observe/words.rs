//! The words in which connections are told of: the same in events, metrics and replies.

use std::io;

use rustix::io::Errno;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// From the client to the server.
    Upstream,
    /// From the server to the client.
    Downstream,
}

impl Direction {
    /// Both, in the order of this list.
    pub const ALL: [Direction; 2] = [Direction::Upstream, Direction::Downstream];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Direction::Upstream => "upstream",
            Direction::Downstream => "downstream",
        }
    }
}

/// Who brought an ending about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The client.
    Client,
    /// The upstream.
    Upstream,
    /// Neither: this program, on its own account or because it was told to.
    None,
}

impl Side {
    /// All sides.
    pub const ALL: [Side; 3] = [Side::Client, Side::Upstream, Side::None];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Side::Client => "client",
            Side::Upstream => "upstream",
            Side::None => "none",
        }
    }
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// Both sides finished.
    PeerFin,
    /// A side reset the connection.
    PeerReset,
    /// A fault ended it.
    Fault,
    /// The upstream could not be reached.
    Connect,
    /// The upstream did not answer in time.
    ConnectTimeout,
    /// No byte moved for too long.
    Idle,
    /// It was open for too long.
    Lifetime,
    /// One side had finished and the other made no progress for too long.
    HalfClose,
    /// The route took no more connections at that moment.
    Limits,
    /// The program was stopping.
    Drain,
    /// Somebody asked for it through the control API.
    Control,
    /// The system reported something else.
    Error,
}

impl Ending {
    /// All endings.
    pub const ALL: [Ending; 12] = [
        Ending::PeerFin,
        Ending::PeerReset,
        Ending::Fault,
        Ending::Connect,
        Ending::ConnectTimeout,
        Ending::Idle,
        Ending::Lifetime,
        Ending::HalfClose,
        Ending::Limits,
        Ending::Drain,
        Ending::Control,
        Ending::Error,
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Ending::PeerFin => "peer-fin",
            Ending::PeerReset => "peer-reset",
            Ending::Fault => "fault",
            Ending::Connect => "connect",
            Ending::ConnectTimeout => "connect-timeout",
            Ending::Idle => "idle",
            Ending::Lifetime => "lifetime",
            Ending::HalfClose => "half-close",
            Ending::Limits => "limits",
            Ending::Drain => "drain",
            Ending::Control => "control",
            Ending::Error => "error",
        }
    }
}

/// What came of dialling an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectResult {
    /// It was reached.
    Ok,
    /// It refused.
    Refused,
    /// It did not answer in time.
    Timeout,
    /// The system reported something else, or the name has no address.
    Error,
}

impl ConnectResult {
    /// All of them.
    pub const ALL: [ConnectResult; 4] =
        [ConnectResult::Ok, ConnectResult::Refused, ConnectResult::Timeout, ConnectResult::Error];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            ConnectResult::Ok => "ok",
            ConnectResult::Refused => "refused",
            ConnectResult::Timeout => "timeout",
            ConnectResult::Error => "error",
        }
    }
}

/// What is known of an endpoint's health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Health {
    /// It has not answered yet, or it is not asked.
    #[default]
    Unknown,
    /// It is well.
    Up,
    /// It is not.
    Down,
}

impl Health {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Health::Unknown => "unknown",
            Health::Up => "up",
            Health::Down => "down",
        }
    }
}

/// How a circuit breaker stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum BreakerState {
    /// Connections pass.
    #[default]
    Closed,
    /// None passes.
    Open,
    /// A few pass, to see.
    HalfOpen,
}

impl BreakerState {
    /// All of them.
    pub const ALL: [BreakerState; 3] = [BreakerState::Closed, BreakerState::Open, BreakerState::HalfOpen];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            BreakerState::Closed => "closed",
            BreakerState::Open => "open",
            BreakerState::HalfOpen => "halfOpen",
        }
    }
}

/// Why the system did not hand over a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AcceptError {
    /// The process has too many files open.
    Emfile,
    /// The system has too many files open.
    Enfile,
    /// There is no room for a socket.
    Enobufs,
    /// There is no memory.
    Enomem,
    /// The client had gone.
    Aborted,
    /// Anything else.
    Other,
}

impl AcceptError {
    /// All of them.
    pub const ALL: [AcceptError; 6] = [
        AcceptError::Emfile,
        AcceptError::Enfile,
        AcceptError::Enobufs,
        AcceptError::Enomem,
        AcceptError::Aborted,
        AcceptError::Other,
    ];

    /// What an error of `accept` comes to.
    pub fn of(error: &io::Error) -> Self {
        let Some(code) = error.raw_os_error() else { return AcceptError::Other };
        match Errno::from_raw_os_error(code) {
            Errno::MFILE => AcceptError::Emfile,
            Errno::NFILE => AcceptError::Enfile,
            Errno::NOBUFS => AcceptError::Enobufs,
            Errno::NOMEM => AcceptError::Enomem,
            Errno::CONNABORTED => AcceptError::Aborted,
            _ => AcceptError::Other,
        }
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            AcceptError::Emfile => "emfile",
            AcceptError::Enfile => "enfile",
            AcceptError::Enobufs => "enobufs",
            AcceptError::Enomem => "enomem",
            AcceptError::Aborted => "aborted",
            AcceptError::Other => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counters are indexed by position in these lists, and serde and `word` must say the same.
    #[test]
    fn lists_are_complete_and_words_agree() {
        for (i, ending) in Ending::ALL.into_iter().enumerate() {
            assert_eq!(ending as usize, i);
            assert_eq!(serde_json::to_value(ending).unwrap(), ending.word());
        }
        for (i, side) in Side::ALL.into_iter().enumerate() {
            assert_eq!(side as usize, i);
            assert_eq!(serde_json::to_value(side).unwrap(), side.word());
        }
        for (i, direction) in Direction::ALL.into_iter().enumerate() {
            assert_eq!(direction as usize, i);
            assert_eq!(serde_json::to_value(direction).unwrap(), direction.word());
        }
        assert!(ConnectResult::ALL.into_iter().enumerate().all(|(i, result)| result as usize == i));
        assert!(AcceptError::ALL.into_iter().enumerate().all(|(i, reason)| reason as usize == i));
    }

    #[test]
    fn errors_of_accept_have_their_words() {
        let word = |errno: Errno| AcceptError::of(&errno.into()).word();
        assert_eq!([word(Errno::MFILE), word(Errno::NFILE)], ["emfile", "enfile"]);
        assert_eq!([word(Errno::NOBUFS), word(Errno::NOMEM)], ["enobufs", "enomem"]);
        assert_eq!([word(Errno::CONNABORTED), word(Errno::PERM)], ["aborted", "other"]);
        assert_eq!(AcceptError::of(&io::Error::other("it")), AcceptError::Other);
    }
}
