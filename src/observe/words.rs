//! The words in which connections are told of: the same in events, metrics and replies.

use serde::{Deserialize, Serialize};

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    /// The program was stopping.
    Drain,
    /// The system reported something else.
    Error,
}

impl Ending {
    /// All endings.
    pub const ALL: [Ending; 10] = [
        Ending::PeerFin,
        Ending::PeerReset,
        Ending::Fault,
        Ending::Connect,
        Ending::ConnectTimeout,
        Ending::Idle,
        Ending::Lifetime,
        Ending::HalfClose,
        Ending::Drain,
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
            Ending::Drain => "drain",
            Ending::Error => "error",
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
    }
}
