//! `builtin:http`: answers any HTTP/1.1 or HTTP/1.0 request with 200 and a small JSON document of what it saw.

use serde_json::json;

use super::http_body::Body;
use super::http_head::{Head, HeadReader, LARGEST_HEAD, Refusal};
use super::pending::Pending;
use super::{Answer, CAPACITY, Responder};

/// More than any answer: what came in a head grows at most threefold when bytes that are no UTF-8 are replaced, and the
/// rest of an answer is fixed.
const LARGEST_ANSWER: usize = 3 * LARGEST_HEAD + (4 << 10);

/// One connection's requests and answers. Requests may come one behind the other; answers keep their order.
#[derive(Default)]
pub(super) struct Http {
    state: State,
    pending: Pending,
}

enum State {
    /// Between requests, or in a head.
    Head(HeadReader),
    /// The head is known, the body passes by.
    Body(Box<(Head, Body)>),
    /// The last answer was given. What still comes is read and thrown away.
    Closed,
}

impl Default for State {
    fn default() -> Self {
        State::Head(HeadReader::default())
    }
}

impl Http {
    /// Takes bytes until something is complete.
    fn advance(&mut self, bytes: &[u8]) -> usize {
        match &mut self.state {
            State::Head(reader) => {
                let (taken, head) = reader.take(bytes);
                match head {
                    Ok(None) => {}
                    Ok(Some(head)) => self.begin(head),
                    Err(why) => self.refuse(why),
                }
                taken
            }
            State::Body(request) => match request.1.take(bytes) {
                Ok(taken) => {
                    self.answer_complete();
                    taken
                }
                Err(why) => {
                    self.refuse(why);
                    bytes.len()
                }
            },
            State::Closed => bytes.len(),
        }
    }

    fn begin(&mut self, head: Head) {
        if head.expects_continue {
            self.pending.push(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        let body = Body::new(head.framing);
        self.state = State::Body(Box::new((head, body)));
        self.answer_complete();
    }

    /// Answers the request in hand if all of it has come.
    fn answer_complete(&mut self) {
        let State::Body(request) = &self.state else { return };
        let (head, body) = &**request;
        if !body.is_done() {
            return;
        }
        let document = json!({
            "builtin": "chaos-proxy",
            "method": head.method,
            "path": head.target,
            "headers": head.headers,
            "bodyBytes": body.counted,
        });
        let connection = match (head.keep_alive, head.old) {
            (false, _) => "Connection: close\r\n",
            (true, true) => "Connection: keep-alive\r\n",
            (true, false) => "",
        };
        let keep_alive = head.keep_alive;
        let answer = render("200 OK", connection, &document, head.method != "HEAD");
        self.pending.push(answer.as_bytes());
        if keep_alive { self.state = State::default() } else { self.close() }
    }

    fn refuse(&mut self, why: Refusal) {
        let document = json!({"builtin": "chaos-proxy", "error": why});
        self.pending.push(render("400 Bad Request", "Connection: close\r\n", &document, true).as_bytes());
        self.close();
    }

    fn close(&mut self) {
        self.state = State::Closed;
        self.pending.end();
    }
}

fn render(status: &str, connection: &str, document: &serde_json::Value, with_body: bool) -> String {
    let body = format!("{document}\n");
    let length = body.len();
    let body = if with_body { body.as_str() } else { "" };
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{connection}\r\n{body}"
    )
}

impl Responder for Http {
    /// A request is only read when its answer will fit, so that no answer is ever cut or left waiting.
    fn accepts(&self) -> bool {
        matches!(self.state, State::Closed) || self.pending.room() >= LARGEST_ANSWER
    }

    fn take(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while taken < bytes.len() && self.accepts() {
            taken += self.advance(&bytes[taken..]);
        }
        taken
    }

    fn finish(&mut self) {
        match &self.state {
            State::Head(reader) if !reader.is_begun() => self.close(),
            // There is room for the answer unless the client reads nothing; then the FIN must do.
            State::Head(_) | State::Body(_) if self.accepts() => {
                self.refuse("the request ended in the middle");
            }
            State::Head(_) | State::Body(_) => self.close(),
            State::Closed => {}
        }
    }

    fn has_answer(&self) -> bool {
        self.pending.has_answer()
    }

    fn answer(&mut self, buf: &mut [u8]) -> Answer {
        self.pending.give(buf)
    }
}

// An answer, and the interim one before it, must fit into an empty queue.
const _: () = assert!(LARGEST_ANSWER + 1024 < CAPACITY);

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
