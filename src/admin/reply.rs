//! A reply, and its body as the server sends it.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::Response;
use hyper::StatusCode;
use hyper::body::{Bytes, Frame, SizeHint};
use hyper::header::{self, HeaderName, HeaderValue};
use serde::Serialize;
use tokio::sync::mpsc;

use super::places::Place;
use crate::observe::escape_beyond_json;

/// A large body goes out in pieces of this size, so that its connection counts as answering until the last of them.
const PIECE: usize = 16 << 10;

/// What a call comes to.
#[derive(Debug)]
pub(super) struct Reply {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Content,
}

#[derive(Debug)]
enum Content {
    Whole(Bytes),
    Stream(mpsc::Receiver<Bytes>),
}

/// A reply's body. When it is dropped, the reply is given.
#[derive(Debug)]
pub(super) struct Body {
    content: Content,
    place: Option<Arc<Place>>,
}

/// An object on one line, as it is sent.
pub(super) fn line_of(value: &impl Serialize) -> Option<String> {
    serde_json::to_string(value).ok().map(|text| escape_beyond_json(text) + "\n")
}

impl Reply {
    /// An object, on one line, with a line's end for whoever reads it on a terminal.
    pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Reply {
        Reply::serialized(status, "application/json", value)
    }

    /// The same under another content type.
    pub(super) fn serialized(status: StatusCode, kind: &'static str, value: &impl Serialize) -> Reply {
        match line_of(value) {
            Some(text) => Reply::text(status, kind, text),
            // What is made of plain maps, lists and texts can always be written.
            None => Reply::empty(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// Some text.
    pub(super) fn text(status: StatusCode, kind: &'static str, text: impl Into<Bytes>) -> Reply {
        let headers = vec![(header::CONTENT_TYPE, HeaderValue::from_static(kind))];
        Reply { status, headers, body: Content::Whole(text.into()) }
    }

    /// Nothing more than a status.
    pub(super) fn empty(status: StatusCode) -> Reply {
        Reply { status, headers: Vec::new(), body: Content::Whole(Bytes::new()) }
    }

    /// What comes through a channel, as it comes.
    pub(super) fn stream(kind: &'static str, pieces: mpsc::Receiver<Bytes>) -> Reply {
        let headers = vec![(header::CONTENT_TYPE, HeaderValue::from_static(kind))];
        Reply { status: StatusCode::OK, headers, body: Content::Stream(pieces) }
    }

    /// With one header more. A value that no header can carry is left out.
    #[must_use]
    pub(super) fn with(mut self, name: HeaderName, value: impl AsRef<str>) -> Reply {
        if let Ok(value) = HeaderValue::from_str(value.as_ref()) {
            self.headers.push((name, value));
        }
        self
    }

    /// Its status.
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// As the server sends it, with what every reply says.
    pub(super) fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body { content: self.body, place: None });
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.extend(self.headers);
        response
    }

    /// As bytes on the wire of a connection that ends with it.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        let Content::Whole(body) = &self.body else { return Vec::new() };
        let body = body.clone();
        let response = self.into_response();
        let mut bytes = format!("HTTP/1.1 {}\r\n", response.status()).into_bytes();
        for (name, value) in response.headers() {
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(
            format!("content-length: {}\r\nconnection: close\r\n\r\n", body.len()).as_bytes(),
        );
        bytes.extend_from_slice(&body);
        bytes
    }
}

impl Body {
    /// Notes at a place when it is given.
    #[must_use]
    pub(super) fn last_for(mut self, place: Arc<Place>) -> Body {
        self.place = Some(place);
        self
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Some(place) = &self.place {
            place.answered();
        }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = match &mut self.content {
            Content::Whole(left) if left.is_empty() => None,
            Content::Whole(left) => Some(left.split_to(left.len().min(PIECE))),
            Content::Stream(pieces) => ready!(pieces.poll_recv(cx)),
        };
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.content, Content::Whole(left) if left.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(left) => SizeHint::with_exact(left.len() as u64),
            Content::Stream(_) => SizeHint::default(),
        }
    }
}
