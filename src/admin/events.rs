//! The event stream, as server-sent events. Who reads too slowly loses events and is told how many.

use std::time::Duration;

use hyper::HeaderMap;
use hyper::body::Bytes;
use hyper::header::HeaderName;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::State;
use super::call::Call;
use super::problem::Problem;
use super::reply::Reply;
use crate::observe::Emitter;
use crate::observe::journal::{EventId, Told, What};

/// Silence is broken this often, so that both sides know that the other is there. A client that has gone is noticed by
/// the second.
const PING: Duration = Duration::from_secs(5);

/// Events that are on their way to a reader; what it does not take waits in the journal.
const ON_THE_WAY: usize = 16;

/// `GET /v1/events`
pub(super) async fn follow(call: Call<State>) -> Result<Reply, Problem> {
    let after = match last_event_id(&call.headers)? {
        Some(id) => Some(id),
        None => call.query.get("after").and_then(|after| after.parse().ok()),
    };
    let emitter = call.state.control.emitter();
    let route = call.query.get("route").map(str::to_owned);
    Ok(stream(emitter, after, route, call.state.stop.clone()))
}

/// What an `EventSource` says when it comes back. It goes before `?after=`, which only says where it began.
fn last_event_id(headers: &HeaderMap) -> Result<Option<EventId>, Problem> {
    const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
    // Nothing is what stands for no event.
    let Some(value) = headers.get(LAST_EVENT_ID).filter(|value| !value.is_empty()) else { return Ok(None) };
    let id = value.to_str().ok().and_then(|text| text.parse().ok());
    id.map(Some).ok_or_else(|| Problem::bad_request("Last-Event-ID is not the id of an event"))
}

/// Events as they come, those of one route only where one is named, until told to stop.
fn stream(
    emitter: &Emitter,
    after: Option<EventId>,
    route: Option<String>,
    stop: CancellationToken,
) -> Reply {
    let mut reader = emitter.journal().reader(after);
    let (pieces, stream) = mpsc::channel(ON_THE_WAY);
    emitter.spawn(async move {
        let mut last = tokio::time::Instant::now();
        loop {
            let piece = tokio::select! {
                biased;
                told = reader.next() => match sent(&told, route.as_deref()) {
                    Some(piece) => piece,
                    None => continue,
                },
                () = pieces.closed() => return,
                () = stop.cancelled() => break,
                () = tokio::time::sleep_until(last + PING) => ": ping\n\n".to_owned(),
            };
            // Who takes nothing any more when the program ends is cut off by the server.
            if pieces.send(Bytes::from(piece)).await.is_err() {
                return;
            }
            last = tokio::time::Instant::now();
        }
        // The last words, down to the end of the drain.
        while let Some(told) = reader.try_next() {
            if let Some(piece) = sent(&told, route.as_deref())
                && pieces.send(Bytes::from(piece)).await.is_err()
            {
                return;
            }
        }
    });
    Reply::stream("text/event-stream", stream)
}

/// An event as it is sent. None: it is about another route. That something was missed concerns everyone.
fn sent(told: &Told, route: Option<&str>) -> Option<String> {
    if let (Some(route), What::Event(event)) = (route, &told.what)
        && event.route() != Some(route)
    {
        return None;
    }
    Some(format!("event: {}\nid: {}\ndata: {}\n\n", told.name(), told.id, told.to_json()))
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::observe::{Emitter, Fact};

    fn tell(emitter: &Emitter, route: Option<&str>, message: &str) {
        emitter.emit(Fact::Notice { route: route.map(Into::into), message: message.into() });
    }

    async fn next(body: &mut super::super::reply::Body) -> Option<String> {
        let frame = body.frame().await?.unwrap();
        Some(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn events_come_as_they_happen_with_a_sign_of_life_between() {
        let emitter = Emitter::default();
        let stop = CancellationToken::new();
        let reply = stream(&emitter, None, None, stop.clone());
        let mut body = reply.into_response().into_body();
        tell(&emitter, None, "one");
        let one = next(&mut body).await.unwrap();
        let lines: Vec<_> = one.lines().collect();
        assert_eq!(lines.len(), 4, "{one:?}");
        assert_eq!(lines[0], "event: notice");
        assert!(lines[1].starts_with("id: ") && lines[1].ends_with("-1"), "{one}");
        let data: serde_json::Value = serde_json::from_str(lines[2].strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(data["message"], "one");

        let began = tokio::time::Instant::now();
        assert_eq!(next(&mut body).await.unwrap(), ": ping\n\n");
        assert_eq!(began.elapsed().as_secs(), 5);
        stop.cancel();
        assert_eq!(next(&mut body).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_filter_leaves_out_other_routes() {
        let emitter = Emitter::default();
        let reply = stream(&emitter, None, Some("b".into()), CancellationToken::new());
        let mut body = reply.into_response().into_body();
        tell(&emitter, Some("a"), "of a");
        tell(&emitter, None, "of none");
        tell(&emitter, Some("b"), "of b");
        let first = next(&mut body).await.unwrap();
        assert!(first.contains("of b") && first.contains("-3\n"), "{first}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_too_slowly_is_told_what_was_missed() {
        let emitter = Emitter::default();
        let reply = stream(&emitter, None, Some("x".into()), CancellationToken::new());
        let mut body = reply.into_response().into_body();
        for _ in 0..10_000 {
            tell(&emitter, Some("x"), "again");
        }
        let (mut events, mut missed) = (0, 0);
        while events + missed < 10_000 {
            let piece = next(&mut body).await.unwrap();
            if piece.starts_with("event: missed\n") {
                let data = piece.lines().nth(2).unwrap().strip_prefix("data: ").unwrap();
                missed += serde_json::from_str::<serde_json::Value>(data).unwrap()["count"].as_u64().unwrap();
            } else {
                events += 1;
            }
        }
        assert!(missed > 0 && events + missed == 10_000, "{events} + {missed}");
    }

    #[test]
    fn the_place_to_go_on_from_must_be_one() {
        let headers = |value: &str| {
            [(HeaderName::from_static("last-event-id"), value.parse().unwrap())].into_iter().collect()
        };
        assert_eq!(last_event_id(&headers("7-9")).unwrap(), Some(EventId { start: 7, n: 9 }));
        assert_eq!(last_event_id(&HeaderMap::new()).unwrap(), None);
        assert_eq!(last_event_id(&headers("")).unwrap(), None);
        for wrong in ["7", "a-b", "7-9-1"] {
            assert_eq!(last_event_id(&headers(wrong)).unwrap_err().status(), 400, "{wrong}");
        }
    }
}
