//! The one list of all effects. Configuration, schema, `explain` and the behaviour on a connection are made from it.

use schemars::SchemaGenerator;
use serde::Deserialize;
use serde::de::VariantAccess;
use serde::ser::SerializeMap;

use super::spec::{FaultSpec, item_schema};
use super::stream::{Build, StreamFault};
use super::{
    Bandwidth, Blackhole, ConnectDelay, Corrupt, Delay, Drop, Hang, Latency, Limit, Loss, Noop,
    RefuseConnect, Reset, Slice, SlowClose, Stall,
};

impl Effect {
    /// Whether its parameters make sense together; otherwise why not, and on a second line what to write.
    pub fn check(&self) -> Result<(), &'static str> {
        match self {
            Effect::Slice(slice) => slice.check(),
            _ => Ok(()),
        }
    }
}

/// What an effect acts upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The connection as it is accepted, before the upstream is dialled.
    Accept,
    /// The dialling of the upstream.
    Dial,
    /// The bytes of a direction.
    Stream,
}

macro_rules! effects {
    ($($(#[doc = $doc:literal])+ $variant:ident: $word:literal, $stage:ident;)+) => {
        /// What goes wrong.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Effect {
            $($(#[doc = $doc])+ $variant($variant),)+
        }

        impl Effect {
            /// The words of all effects, in the order of the documentation.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word for this effect in configurations, events and metrics.
            pub fn word(&self) -> &'static str {
                match self { $(Effect::$variant(_) => $word,)+ }
            }

            /// What it acts upon.
            pub fn stage(&self) -> Stage {
                match self { $(Effect::$variant(_) => Stage::$stage,)+ }
            }

            /// What becomes of a connection that is chosen, as words that follow "is": "accepted and at once closed".
            pub fn says(&self) -> String {
                match self { $(Effect::$variant(effect) => effect.says(),)+ }
            }

            /// The same for a cell of a table: "drop", "hang, closed after 3s".
            pub fn brief(&self) -> String {
                match self { $(Effect::$variant(effect) => effect.brief(),)+ }
            }

            /// Its behaviour on the bytes of a direction, if it acts on them.
            pub(super) fn build(&self, build: &Build<'_>) -> Option<Box<dyn StreamFault>> {
                match self { $(Effect::$variant(effect) => effects!(@build $stage effect build),)+ }
            }

            pub(super) fn serialize_into<M: SerializeMap>(&self, spec: &FaultSpec, item: &mut M) -> Result<(), M::Error> {
                match self { $(Effect::$variant(effect) => item.serialize_value(&spec.body(effect)),)+ }
            }

            pub(super) fn schemas(generator: &mut SchemaGenerator) -> Vec<schemars::Schema> {
                vec![$(item_schema::<$variant>($word, Stage::$stage, generator)),+]
            }
        }

        /// The words alone; what stands under them is read by the effect's own type.
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase", variant_identifier)]
        pub(super) enum Word { $($variant,)+ }

        impl Word {
            pub(super) fn read<'de, A: VariantAccess<'de>>(self, parameters: A) -> Result<FaultSpec, A::Error> {
                match self {
                    $(Word::$variant => FaultSpec::read(parameters, Stage::$stage, Effect::$variant),)+
                }
            }
        }
    };
    (@build Stream $effect:ident $build:ident) => { Some($effect.build($build)) };
    (@build Accept $effect:ident $build:ident) => {{ let _ = $effect; None }};
    (@build Dial $effect:ident $build:ident) => {{ let _ = $effect; None }};
}

effects! {
    /// Accepted, then ended; the upstream is never contacted.
    Drop: "drop", Accept;
    /// Accepted, never answered; what the client sends is read and discarded; the upstream is never contacted.
    Hang: "hang", Accept;
    /// Wait before the upstream is dialled; bytes sent meanwhile are kept.
    Delay: "delay", Accept;
    /// As if the upstream refused.
    RefuseConnect: "refuseConnect", Dial;
    /// The upstream's handshake seems slow.
    ConnectDelay: "connectDelay", Dial;
    /// Every byte arrives later.
    Latency: "latency", Stream;
    /// Bytes leave no faster than a rate.
    Bandwidth: "bandwidth", Stream;
    /// Bytes leave in small pieces.
    Slice: "slice", Stream;
    /// Some bytes arrive as others.
    Corrupt: "corrupt", Stream;
    /// What packet loss looks like over TCP.
    Loss: "loss", Stream;
    /// Exactly so many bytes, and then the end.
    Limit: "limit", Stream;
    /// RST to both sides.
    Reset: "reset", Stream;
    /// Bytes vanish.
    Blackhole: "blackhole", Stream;
    /// Nothing moves and nothing is lost.
    Stall: "stall", Stream;
    /// The ending is held back.
    SlowClose: "slowClose", Stream;
    /// Changes nothing and fires.
    Noop: "noop", Stream;
}

#[cfg(test)]
mod tests {
    use serde::de::IntoDeserializer;
    use serde::de::value::{Error, StrDeserializer};

    use super::*;

    #[test]
    fn the_words_of_the_list_are_the_words_that_are_read() {
        for word in Effect::WORDS {
            let deserializer: StrDeserializer<'_, Error> = (*word).into_deserializer();
            assert!(Word::deserialize(deserializer).is_ok(), "{word}");
        }
    }
}
