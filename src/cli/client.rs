//! Speaks to a running daemon: one short connection a call, with limits on every wait.
//!
//! Knows HTTP and where the daemon is; what the answers mean is the commands' matter, what a refusal means is
//! [`refusal`]'s.

use std::cell::Cell;
use std::io::{ErrorKind, IsTerminal};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::address::Address;
use super::stop::Stop;
use super::target::Target;
use super::undo::Undo;
use super::{environment, refusal, say, token};

/// No reply is longer than this.
const MOST_BYTES: usize = 64 << 20;

/// Flags of every client of a running daemon.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct ClientFlags {
    /// Where the daemon is [env: CHAOS_PROXY_URL] [default: http://127.0.0.1:8474]
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<String>,
    /// Print what the daemon answers: JSON on one line
    #[arg(long)]
    pub(super) json: bool,
}

impl ClientFlags {
    /// These, and where they say nothing the others.
    pub(super) fn or(self, others: &ClientFlags) -> ClientFlags {
        ClientFlags { url: self.url.or_else(|| others.url.clone()), json: self.json || others.json }
    }
}

/// How long a client waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For the connection.
    pub(super) connect: Duration,
    /// For the whole answer.
    pub(super) answer: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { connect: Duration::from_secs(2), answer: Duration::from_secs(10) }
    }
}

/// A daemon that can be asked.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) address: Address,
    /// Whether answers are wanted as they come.
    pub(super) json: bool,
    given: Option<String>,
    token: Option<HeaderValue>,
    patience: Patience,
    runtime: &'static Runtime,
    introduced: Cell<bool>,
}

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Client {
    /// The daemon that flags and environment name. Nobody is asked yet.
    pub(super) fn new(flags: &ClientFlags) -> Result<Client, Stop> {
        Client::with(flags, token::header(environment)?, Patience::default())
    }

    /// The same without a token, for what needs none, and with other limits.
    pub(super) fn anonymous(flags: &ClientFlags, patience: Patience) -> Result<Client, Stop> {
        Client::with(flags, None, patience)
    }

    fn with(flags: &ClientFlags, token: Option<HeaderValue>, patience: Patience) -> Result<Client, Stop> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Stop::failed(format!("cannot start: {error}")))?;
        let on_a_terminal = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        Ok(Client {
            address: Address::find(flags.url.as_deref(), environment)?,
            json: flags.json,
            given: flags.url.clone(),
            token,
            patience,
            // Never let go of: that would wait for a name service that does not answer. It ends with the program.
            runtime: Box::leak(Box::new(runtime)),
            introduced: Cell::new(flags.json || !on_a_terminal),
        })
    }

    /// Asks, and takes nothing but success for an answer.
    pub(super) fn ask(&self, method: Method, target: &Target, body: Option<&Value>) -> Result<Reply, Stop> {
        let reply = self.exchange(method, target, body)?;
        if reply.status.is_success() { Ok(reply) } else { Err(refusal::stop(self, target, &reply)) }
    }

    /// Asks for what is there.
    pub(super) fn get(&self, target: &Target) -> Result<Reply, Stop> {
        self.ask(Method::GET, target, None)
    }

    /// Reads what is there.
    pub(super) fn read<T: DeserializeOwned>(&self, target: &Target) -> Result<T, Stop> {
        self.understand(&self.get(target)?)
    }

    /// What a reply says.
    pub(super) fn understand<T: DeserializeOwned>(&self, reply: &Reply) -> Result<T, Stop> {
        serde_json::from_slice(&reply.body).map_err(|_| self.stranger())
    }

    /// One call, whatever the answer.
    pub(super) fn exchange(
        &self,
        method: Method,
        target: &Target,
        body: Option<&Value>,
    ) -> Result<Reply, Stop> {
        self.runtime.block_on(self.exchanged(method, target, body))
    }

    /// The same, for what goes on for a while: to be awaited within [`block_on`](Self::block_on).
    pub(super) async fn exchanged(
        &self,
        method: Method,
        target: &Target,
        body: Option<&Value>,
    ) -> Result<Reply, Stop> {
        let request = self.request(method, target, body)?;
        let late = Stop::failed(format!("{} did not answer within {:?}", self.address, self.patience.answer));
        timeout(self.patience.answer, self.collect(request)).await.unwrap_or(Err(late))
    }

    /// Works to the end of what consists of many calls.
    pub(super) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// One call whose answer has no end of its own: `take` is given it once the daemon has agreed.
    pub(super) fn stream<T>(
        &self,
        target: &Target,
        headers: HeaderMap,
        take: impl AsyncFnOnce(Incoming) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        let mut request = self.request(Method::GET, target, None)?;
        request.headers_mut().extend(headers);
        let response = self.runtime.block_on(async {
            let late =
                Stop::failed(format!("{} did not answer within {:?}", self.address, self.patience.answer));
            timeout(self.patience.answer, self.send(request)).await.unwrap_or(Err(late))
        })?;
        if response.status().is_success() {
            return self.runtime.block_on(take(response.into_body()));
        }
        let reply = self.runtime.block_on(async {
            timeout(self.patience.answer, self.whole(response)).await.unwrap_or_else(|_| Err(self.stranger()))
        })?;
        Err(refusal::stop(self, target, &reply))
    }

    /// A command that takes a change back, at the same daemon.
    pub(super) fn undo<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Undo {
        let undo = Undo::new(words);
        match &self.given {
            Some(url) => undo.with("--url", url),
            None => undo,
        }
    }

    /// Whether a token goes with every call.
    pub(super) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Whoever answers there is not one of ours.
    pub(super) fn stranger(&self) -> Stop {
        Stop::failed(format!(
            "what answers at {} is not the control API of chaos-proxy: say with --url where that is",
            self.address
        ))
    }

    fn request(
        &self,
        method: Method,
        target: &Target,
        body: Option<&Value>,
    ) -> Result<Request<Full<Bytes>>, Stop> {
        let mut request = Request::builder()
            .method(method)
            .uri(target.uri()?)
            .header(header::HOST, &self.address.authority)
            .header(header::USER_AGENT, concat!("chaos-proxy/", env!("CARGO_PKG_VERSION")))
            .header(header::ACCEPT, "application/json, */*;q=0.5");
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, token);
        }
        let bytes = match body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Bytes::from(body.to_string())
            }
            None => Bytes::new(),
        };
        request.body(Full::new(bytes)).map_err(|error| Stop::wrong(format!("cannot ask that: {error}")))
    }

    async fn collect(&self, request: Request<Full<Bytes>>) -> Result<Reply, Stop> {
        let response = self.send(request).await?;
        self.whole(response).await
    }

    async fn whole(&self, response: Response<Incoming>) -> Result<Reply, Stop> {
        let (head, body) = response.into_parts();
        let broken = |error| Stop::failed(format!("{} did not finish its answer: {error}", self.address));
        let body = Limited::new(body, MOST_BYTES).collect().await.map_err(broken)?.to_bytes();
        Ok(Reply { status: head.status, headers: head.headers, body })
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Stop> {
        let stream = self.connect().await?;
        if !self.introduced.replace(true) {
            say(&format!("chaos-proxy at {}", self.address));
            // Before the answer, which goes another way.
            crate::observe::Writer::stderr().flush();
        }
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|_| self.stranger())?;
        // It ends when the reply has been read; what went wrong with it the reply says, too.
        tokio::spawn(async { drop(connection.await) });
        sender.send_request(request).await.map_err(|error| {
            if error.is_parse() {
                self.stranger()
            } else {
                Stop::failed(format!("{} hung up without an answer", self.address))
            }
        })
    }

    async fn connect(&self) -> Result<TcpStream, Stop> {
        let place = (self.address.host.as_str(), self.address.port);
        let at = &self.address;
        match timeout(self.patience.connect, TcpStream::connect(place)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => Err(Stop::failed(format!(
                "no daemon at {at}: start one with `chaos-proxy --config FILE`, or give --url"
            ))),
            Ok(Err(error)) => Err(Stop::failed(format!("cannot reach {at}: {error}; is --url right?"))),
            Err(_) => Err(Stop::failed(format!(
                "cannot reach {at}: no answer within {:?}; is --url right?",
                self.patience.connect
            ))),
        }
    }
}

impl Reply {
    /// The reply as it came, on one line, safe to print.
    pub(super) fn line(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        // Raw line breaks and tabs stand between the values of JSON only.
        let mut line = crate::observe::escape_beyond_json(text.trim().replace(['\n', '\r', '\t'], " "));
        if !line.is_empty() {
            line.push('\n');
        }
        line
    }
}
