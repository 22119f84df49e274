//! A scenario as it was typed: every key optional, every value with its place, nothing yet held against another.

use schemars::JsonSchema;
use serde::Deserialize;

use super::bound::{Bound, Share};
use super::parameters::{Changes, Goal};
use super::value::{Closing, During, Remark, Yes};
use crate::fault::FaultSpec;
use crate::observe::Ending;
use crate::spec::{Field, Name, Period, Positive};

/// A scenario of chaos-proxy: what is changed when, and what must come of it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, expecting = "a mapping with steps, expect, or both")]
#[schemars(
    deny_unknown_fields,
    extend(
        "anyOf" = [{"required": ["steps"]}, {"required": ["expect"]}],
        "patternProperties" = {"^x-": true}
    )
)]
pub struct Document {
    /// What it is called. Left out: as its file, without the ending.
    pub name: Field<Name>,
    /// The seed it was written for. Left out: the daemon's.
    pub seed: Field<u64>,
    /// How long it takes in all, at most 24h. Left out: until the last thing in it is over.
    pub duration: Field<Positive>,
    /// What is done.
    pub steps: Field<Vec<Field<StepSpec>>>,
    /// What must come of it.
    pub expect: Field<Vec<Field<ExpectationSpec>>>,
}

/// Something that is done at a moment: one action, and perhaps undone at a later one.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, expecting = "a step: a mapping of `at` and one action")]
#[schemars(
    rename = "Step",
    deny_unknown_fields,
    extend(
        "required" = ["at"],
        "oneOf" = [
            {"required": ["add", "route"]},
            {"required": ["set", "route"]},
            {"required": ["remove", "route"]},
            {"required": ["close", "route"]},
            {"required": ["open", "route"]},
            {"required": ["ramp", "route"]},
            {"required": ["restore"], "properties": {"route": false, "for": false}},
            {"required": ["note"], "properties": {"route": false, "for": false}},
        ]
    )
)]
pub struct StepSpec {
    /// When, from the start.
    pub at: Field<Period>,
    /// Undone after this time. Left out: not undone.
    #[serde(rename = "for")]
    pub lasting: Field<Positive>,
    /// The route that is changed.
    pub route: Field<Name>,
    /// Adds a fault behind the others of the route.
    pub add: Field<FaultSpec>,
    /// Changes parameters of a fault: {latency: {delay: 1s}}; null takes a parameter away.
    pub set: Field<Changes>,
    /// Takes a fault away, by its name.
    pub remove: Field<Name>,
    /// Closes the route. Its connections keep going, close (the default) or reset.
    pub close: Field<Closing>,
    /// Opens the route.
    pub open: Field<Yes>,
    /// Moves a parameter of a fault evenly to another value.
    pub ramp: Field<RampSpec>,
    /// Goes back to the configuration file as it was last read.
    pub restore: Field<Yes>,
    /// Says something.
    pub note: Field<Remark>,
}

/// Moves a parameter of a fault evenly from what it is to another value.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(
    rename_all = "camelCase",
    default,
    expecting = "a mapping such as {fault: latency, key: delay, to: 2s, over: 10s}"
)]
#[schemars(rename = "Ramp", deny_unknown_fields, extend("required" = ["fault", "key", "to", "over"]))]
pub struct RampSpec {
    /// The name of the fault.
    pub fault: Field<Name>,
    /// The parameter.
    pub key: Field<Name>,
    /// What it is in the end.
    pub to: Field<Goal>,
    /// How long that takes.
    pub over: Field<Positive>,
}

/// What must come of it. It holds if all that it wants is so.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, expecting = "an expectation: a mapping of what must be so")]
#[schemars(
    rename = "Expectation",
    deny_unknown_fields,
    extend(
        "anyOf" = [
            {"required": ["fired"]},
            {"required": ["connections"]},
            {"required": ["ending"]},
            {"required": ["errorShare"]},
            {"required": ["recovery"]},
        ],
        "dependentRequired" = {"fault": ["fired"], "recovery": ["route", "during"]}
    )
)]
pub struct ExpectationSpec {
    /// What it is called. Left out: by what it wants.
    pub name: Field<Name>,
    /// Of this route. Left out: of all together.
    pub route: Field<Name>,
    /// From when until when. Left out: from the start to the end.
    pub during: Field<During>,
    /// The fault whose firings are counted. Left out: all.
    pub fault: Field<Name>,
    /// How often the fault must fire.
    pub fired: Field<Bound<u64>>,
    /// How many connections must come in.
    pub connections: Field<Bound<u64>>,
    /// How many connections must end in which way.
    pub ending: Field<EndingsSpec>,
    /// Which part of the connections that end may end otherwise than well.
    pub error_share: Field<Bound<Share>>,
    /// How long after the end of `during` bytes must reach a client again.
    pub recovery: Field<Bound<Period>>,
}

/// How many connections must end in which way.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(
    rename_all = "kebab-case",
    default,
    expecting = "a mapping of endings such as {peer-reset: \"<= 3\"}"
)]
#[schemars(rename = "Endings", deny_unknown_fields, extend("minProperties" = 1))]
pub struct EndingsSpec {
    /// Both sides finished.
    pub peer_fin: Field<Bound<u64>>,
    /// A side reset the connection.
    pub peer_reset: Field<Bound<u64>>,
    /// A fault ended it.
    pub fault: Field<Bound<u64>>,
    /// The upstream could not be reached.
    pub connect: Field<Bound<u64>>,
    /// The upstream did not answer in time.
    pub connect_timeout: Field<Bound<u64>>,
    /// No byte moved for too long.
    pub idle: Field<Bound<u64>>,
    /// It was open for too long.
    pub lifetime: Field<Bound<u64>>,
    /// One side had finished and the other made no progress for too long.
    pub half_close: Field<Bound<u64>>,
    /// The route took no more connections at that moment.
    pub limits: Field<Bound<u64>>,
    /// The program was stopping.
    pub drain: Field<Bound<u64>>,
    /// Somebody asked for it.
    pub control: Field<Bound<u64>>,
    /// The system reported something else.
    pub error: Field<Bound<u64>>,
}

impl EndingsSpec {
    /// What is said of an ending.
    pub fn of(&self, ending: Ending) -> &Field<Bound<u64>> {
        match ending {
            Ending::PeerFin => &self.peer_fin,
            Ending::PeerReset => &self.peer_reset,
            Ending::Fault => &self.fault,
            Ending::Connect => &self.connect,
            Ending::ConnectTimeout => &self.connect_timeout,
            Ending::Idle => &self.idle,
            Ending::Lifetime => &self.lifetime,
            Ending::HalfClose => &self.half_close,
            Ending::Limits => &self.limits,
            Ending::Drain => &self.drain,
            Ending::Control => &self.control,
            Ending::Error => &self.error,
        }
    }
}
