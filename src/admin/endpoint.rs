//! What an endpoint is: everything that routing, `Allow` and the description of the API are made from.

use std::pin::Pin;

use hyper::{Method, StatusCode};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::call::Call;
use super::problem::Problem;
use super::query::Parameter;
use super::reply::Reply;

/// One thing that can be asked for.
pub(super) struct Endpoint<S: 'static> {
    /// The method. Where it is GET, HEAD works too.
    pub(super) method: Method,
    /// The path, with `{…}` for names.
    pub(super) path: &'static str,
    /// A name for it in programs.
    pub(super) id: &'static str,
    /// What it does, on one line.
    pub(super) summary: &'static str,
    /// What the query may hold.
    pub(super) query: &'static [Parameter],
    /// The headers that mean something to it, beside those that do everywhere.
    pub(super) headers: &'static [Header],
    /// What body it takes.
    pub(super) takes: Takes,
    /// What it replies when all is well.
    pub(super) gives: &'static [Gives],
    /// The statuses with which it refuses, beside those that can happen everywhere.
    pub(super) refuses: &'static [u16],
    /// What does it.
    pub(super) handler: Handler<S>,
}

/// What does it.
pub(super) type Handler<S> = fn(Call<S>) -> Pin<Box<dyn Future<Output = Result<Reply, Problem>> + Send>>;

/// Makes a schema.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// A header of a request that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// Change it only if it is what was seen.
    IfMatch,
    /// Give it only if it is not what was seen.
    IfNoneMatch,
    /// Go on with events after this one.
    LastEventId,
}

/// What body an endpoint takes.
#[derive(Clone, Copy)]
pub(super) enum Takes {
    /// None.
    Nothing,
    /// One that may be left out.
    Maybe(SchemaOf),
    /// One that must be there.
    Body(SchemaOf),
}

/// A reply when all is well.
#[derive(Clone, Copy)]
pub(super) struct Gives {
    /// Its status.
    pub(super) status: StatusCode,
    /// What it means.
    pub(super) what: &'static str,
    /// What it holds.
    pub(super) content: Gift,
    /// Whether it has an `ETag`.
    pub(super) tagged: bool,
    /// Whether it has a `Location`.
    pub(super) located: bool,
}

/// What a reply holds.
#[derive(Clone, Copy)]
pub(super) enum Gift {
    /// Nothing.
    Nothing,
    /// An object.
    Json(SchemaOf),
    /// Text of these types.
    Text(&'static [&'static str]),
    /// Server-sent events, each with such an object as its data.
    Events(SchemaOf),
}

impl Gives {
    /// A status with what it means and holds.
    pub(super) const fn new(status: StatusCode, what: &'static str, content: Gift) -> Gives {
        Gives { status, what, content, tagged: false, located: false }
    }

    /// An object.
    pub(super) const fn json(what: &'static str, schema: SchemaOf) -> Gives {
        Gives::new(StatusCode::OK, what, Gift::Json(schema))
    }

    /// What was made.
    pub(super) const fn created(what: &'static str, schema: SchemaOf) -> Gives {
        let new = Gives::new(StatusCode::CREATED, what, Gift::Json(schema));
        Gives { located: true, tagged: true, ..new }
    }

    /// Text.
    pub(super) const fn text(
        status: StatusCode,
        what: &'static str,
        kinds: &'static [&'static str],
    ) -> Gives {
        Gives::new(status, what, Gift::Text(kinds))
    }

    /// It is gone.
    pub(super) const GONE: Gives = Gives::new(StatusCode::NO_CONTENT, "It is gone.", Gift::Nothing);

    /// It is what the caller has seen.
    pub(super) const UNCHANGED: Gives =
        Gives::new(StatusCode::NOT_MODIFIED, "It is what `If-None-Match` says.", Gift::Nothing).tagged();

    /// With an `ETag`.
    pub(super) const fn tagged(self) -> Gives {
        Gives { tagged: true, ..self }
    }
}

/// The schema of a type, by reference where it has a name.
pub(super) fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}
