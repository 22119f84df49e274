//! Names, resolved when they are dialled: one lookup for each name at a time, answers kept for a short while.
//!
//! A lookup runs in a task of its own. Whoever asked may go away; the answer is kept for the next one all the same.

mod known;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout_at};

use super::race::interleaved;
use known::{Answer, Found, Known};

/// How many lookups may be under way at once. The system's resolver holds a thread for each.
const AT_ONCE: usize = 32;

/// How many addresses of a name are kept.
const ADDRESSES: usize = 64;

/// Who knows the addresses of names: the system, or a test.
pub trait Resolve: fmt::Debug + Send + Sync {
    /// Asks for the addresses of a name, in the order of preference.
    fn lookup<'a>(
        &'a self,
        name: &'a str,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;
}

/// Why a name has no address.
#[derive(Clone, Debug, Error)]
pub enum ResolveError {
    /// There is no such name, or it has no address.
    #[error("name not found")]
    NotFound,
    /// The resolver failed.
    #[error("name not resolved: {}", reason(.0))]
    Failed(Arc<io::Error>),
}

/// What the system said, without what the standard library says before it.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.strip_prefix("failed to lookup address information: ").unwrap_or(&text).to_owned()
}

impl ResolveError {
    /// The lookup ended without a word.
    fn lost() -> Self {
        ResolveError::Failed(Arc::new(io::Error::other("the lookup broke off")))
    }
}

/// Addresses of names, asked for once for all who need them. Shared by all routes of a process.
#[derive(Debug)]
pub struct Resolver {
    source: Arc<dyn Resolve>,
    known: Mutex<Known>,
    turns: Semaphore,
}

impl Resolver {
    /// That asks the system.
    pub fn system() -> Arc<Self> {
        Resolver::new(Arc::new(System))
    }

    /// That asks `source`.
    pub fn new(source: Arc<dyn Resolve>) -> Arc<Self> {
        Arc::new(Resolver { source, known: Mutex::default(), turns: Semaphore::new(AT_ONCE) })
    }

    /// The addresses of a name, at least one, in the order of preference.
    ///
    /// An answer is kept for 5 s. After that the name is asked for again; the old answer stands in when that fails or takes
    /// longer than a second. A failure without an old answer is kept for half a second.
    pub async fn addresses(self: &Arc<Self>, name: &Arc<str>) -> Result<Arc<[IpAddr]>, ResolveError> {
        let name = lowercase(name);
        let found = self.known().find(&name, Instant::now());
        let (mut landed, old) = match found {
            Found::Answer(answer) => return answer,
            Found::Awaited { landed, old } => (landed, old),
            Found::Wanted { lands, old } => {
                let landed = lands.subscribe();
                let lookup = Lookup { resolver: self.clone(), name, lands, answer: None };
                tokio::spawn(lookup.run());
                (landed, old)
            }
        };
        let answer = async {
            match landed.wait_for(Option::is_some).await {
                Ok(answer) => answer.clone().unwrap_or_else(|| Err(ResolveError::lost())),
                Err(_) => Err(ResolveError::lost()),
            }
        };
        match old {
            None => answer.await,
            Some((old, patience)) => timeout_at(patience, answer).await.unwrap_or(Ok(old)),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lookup under way. However it ends, those who wait for it are told.
struct Lookup {
    resolver: Arc<Resolver>,
    name: Arc<str>,
    lands: watch::Sender<Option<Answer>>,
    answer: Option<Answer>,
}

impl Lookup {
    async fn run(mut self) {
        let resolver = self.resolver.clone();
        // Nobody closes it.
        let _turn = resolver.turns.acquire().await;
        self.answer = Some(match resolver.source.lookup(&self.name).await {
            Ok(found) if found.is_empty() => Err(ResolveError::NotFound),
            Ok(found) => Ok(kept(found).into()),
            Err(error) => Err(ResolveError::Failed(Arc::new(error))),
        });
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        let answer = self.answer.take().unwrap_or_else(|| Err(ResolveError::lost()));
        let answer = self.resolver.known().land(&self.name, answer, Instant::now());
        self.lands.send_replace(Some(answer));
    }
}

/// What is kept of an answer: each address once, and not too many, of both families if there are both.
fn kept(mut found: Vec<IpAddr>) -> Vec<IpAddr> {
    let mut seen = HashSet::new();
    found.retain(|ip| seen.insert(*ip));
    if found.len() > ADDRESSES {
        found = interleaved(&found);
        found.truncate(ADDRESSES);
    }
    found
}

/// Case makes no difference between names.
fn lowercase(name: &Arc<str>) -> Arc<str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        name.to_ascii_lowercase().into()
    } else {
        name.clone()
    }
}

/// The system's own resolver.
#[derive(Debug)]
struct System;

impl Resolve for System {
    fn lookup<'a>(
        &'a self,
        name: &'a str,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>> {
        Box::pin(
            async move { Ok(tokio::net::lookup_host((name, 0)).await?.map(|found| found.ip()).collect()) },
        )
    }
}
