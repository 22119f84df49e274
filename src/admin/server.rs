//! The server: accepts, keeps to its limits, and hands each request to whoever answers. It knows no endpoint.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::limits::{self, Limits};
use super::places::{Phase, Place, Places, Seat};
use super::problem::Problem;
use super::reply::Body;
use super::wire::Wire;
use crate::route::no_ipv6;

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What is read beyond a limit, so that it is we who refuse it, in our own words.
const MARGIN: usize = 8 << 10;

/// A request whose head is complete.
#[derive(Debug)]
pub(super) struct Arrived {
    /// The head.
    pub(super) head: Parts,
    /// The body, which may not have come yet.
    pub(super) body: Incoming,
    /// Where it is noted that it has.
    pub(super) place: Arc<Place>,
}

/// Whoever answers requests.
pub(super) type Answer =
    Arc<dyn Fn(Arrived) -> Pin<Box<dyn Future<Output = Response<Body>> + Send>> + Send + Sync>;

/// Serves until told to stop.
pub(super) async fn serve(listener: TcpListener, limits: Limits, answer: Answer, stop: CancellationToken) {
    let places = Places::new(limits);
    let connections = TaskTracker::new();
    let cut = CancellationToken::new();
    let mut pause = FIRST_PAUSE;
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                pause = FIRST_PAUSE;
                // Where it cannot be set the stream is dead, and says so.
                let _ = stream.set_nodelay(true);
                let task = connection(stream, places.take(), answer.clone(), stop.clone());
                let cut = cut.clone();
                connections.spawn(async move {
                    tokio::select! {
                        () = cut.cancelled() => {}
                        () = task => {}
                    }
                });
            }
            Err(_) => {
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                }
            }
        }
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(limits.stop, connections.wait()).await.is_err() {
        cut.cancel();
        connections.wait().await;
    }
}

/// Why a connection is over.
enum End {
    /// All is said.
    Done,
    /// It broke.
    Broken,
    /// Its client took too long to ask.
    Late,
    /// Somebody else needs its place.
    Left,
}

/// The life of one connection.
async fn connection(stream: TcpStream, seat: Seat, answer: Answer, stop: CancellationToken) {
    let place = seat.place().clone();
    let service = {
        let place = place.clone();
        service_fn(move |request: Request<Incoming>| {
            place.head_complete();
            let (head, body) = request.into_parts();
            let answered = answer(Arrived { head, body, place: place.clone() });
            let place = place.clone();
            Box::pin(async move { Ok::<_, Infallible>(answered.await.map(|body| body.last_for(place))) })
        })
    };
    let io = TokioIo::new(Wire::new(stream, place.clone()));
    let mut http = http1::Builder::new()
        .half_close(true)
        .header_read_timeout(None)
        .max_headers(limits::HEADERS + 28)
        .max_buf_size(limits::HEAD + MARGIN)
        .serve_connection(io, service);

    let mut late = std::pin::pin!(tokio::time::sleep(place.limits.idle));
    let mut left = std::pin::pin!(place.leave.cancelled());
    let mut stopped = std::pin::pin!(stop.cancelled());
    let mut stopping = false;
    // Whether at that moment there was nothing to answer: then nobody is to be waited for.
    let mut quiet = false;
    let end = poll_fn(|cx| {
        if !stopping && stopped.as_mut().poll(cx).is_ready() {
            stopping = true;
            quiet = matches!(place.phase(), Phase::Idle | Phase::Head);
            if place.phase() == Phase::Head || place.has_said_nothing() {
                return Poll::Ready(End::Left);
            }
            Pin::new(&mut http).graceful_shutdown();
        }
        match http.poll_without_shutdown(cx) {
            Poll::Ready(Ok(())) => return Poll::Ready(End::Done),
            Poll::Ready(Err(_)) => return Poll::Ready(End::Broken),
            Poll::Pending => {}
        }
        // What has just been read or written may have moved the deadline.
        if let Some(deadline) = place.deadline() {
            if late.deadline() != deadline {
                late.as_mut().reset(deadline);
            }
            if late.as_mut().poll(cx).is_ready() {
                return Poll::Ready(End::Late);
            }
        }
        left.as_mut().poll(cx).map(|()| End::Left)
    })
    .await;

    let mut wire = http.into_parts().io.into_inner();
    let farewell = async {
        let problem = match end {
            End::Broken if wire.line_too_long() => Some(Problem::uri_too_long()),
            End::Late if place.phase() == Phase::Head => Some(Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "the head of the request was not complete in time",
            )),
            _ => None,
        };
        if let Some(problem) = problem {
            wire.last_words(&problem.into_bytes()).await;
        }
        if !quiet && !matches!(end, End::Left) {
            wire.close().await;
        }
    };
    tokio::select! {
        () = farewell => {}
        () = place.leave.cancelled() => {}
    }
    drop(seat);
}

/// A socket that listens for the control API. A machine without IPv6 has only one family to offer.
pub(super) fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    match open(address) {
        Err(error) if no_ipv6(&error) && address.ip() == Ipv6Addr::UNSPECIFIED => {
            open(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port()))
        }
        opened => opened,
    }
}

fn open(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // A restart must not wait for old connections to be forgotten.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    Ok(socket.into())
}
