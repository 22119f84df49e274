//! Several addresses of one endpoint, raced as browsers do (RFC 8305): the next one begins before the one before has given
//! up, and the first to connect wins.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{DialError, Leave, ResolveError};

/// How long an attempt is alone before the next one begins.
const HEAD_START: Duration = Duration::from_millis(250);

/// How many attempts may be under way at once.
const AT_ONCE: usize = 4;

/// The addresses with the families taking turns, the first one's family first.
pub(super) fn interleaved(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let first = addresses.first().is_some_and(IpAddr::is_ipv6);
    let mut these = addresses.iter().filter(|ip| ip.is_ipv6() == first);
    let mut those = addresses.iter().filter(|ip| ip.is_ipv6() != first);
    let mut turns = Vec::with_capacity(addresses.len());
    while turns.len() < addresses.len() {
        turns.extend(these.next());
        turns.extend(those.next());
    }
    turns
}

/// Connects to one of the addresses before `until`. They begin in order: each when the one before has failed or was alone
/// for a while, which is shorter where the time would not suffice for all. The first to connect wins; the others are given
/// up. One that is to run beside another needs leave from `beside`: without, the oldest is given up for it.
pub(super) async fn race<T, F>(
    addresses: &[SocketAddr],
    until: Instant,
    connect: impl Fn(SocketAddr) -> F,
    beside: impl Fn() -> Option<Leave>,
) -> Result<T, DialError>
where
    F: Future<Output = io::Result<T>>,
{
    let mut untried = addresses.iter();
    let mut field = Field { attempts: VecDeque::new(), failure: None, unanswered: false };
    loop {
        match untried.next() {
            Some(address) => field.enter(connect(*address), &beside),
            None if field.attempts.is_empty() => return Err(field.verdict()),
            None => {}
        }
        let next = match untried.len() {
            0 => until,
            left => Instant::now() + head_start(left, until),
        };
        match timeout_at(next, poll_fn(|cx| field.poll(cx))).await {
            Ok(Some(winner)) => return Ok(winner),
            Err(_) if next >= until => return Err(DialError::Timeout),
            // One has failed, or has been alone for long enough.
            Ok(None) | Err(_) => {}
        }
    }
}

/// How long the latest attempt is alone when so many others wait for their turn.
fn head_start(left: usize, until: Instant) -> Duration {
    let time = until.saturating_duration_since(Instant::now());
    let turns = u32::try_from(left).unwrap_or(u32::MAX).saturating_add(1);
    HEAD_START.min(time / turns)
}

/// The attempts under way, the oldest first, and what came of the others.
struct Field<F> {
    attempts: VecDeque<(Pin<Box<F>>, Option<Leave>)>,
    /// What the last one that failed said.
    failure: Option<io::Error>,
    /// Whether one was given up for want of an answer, by us or by the system.
    unanswered: bool,
}

impl<T, F: Future<Output = io::Result<T>>> Field<F> {
    /// Begins an attempt. Where there are too many, or no leave for one more, the oldest is given up for it.
    fn enter(&mut self, attempt: F, beside: impl Fn() -> Option<Leave>) {
        let mut leave = None;
        if !self.attempts.is_empty() {
            leave = if self.attempts.len() < AT_ONCE { beside() } else { None };
            if leave.is_none() {
                leave = self.attempts.pop_front().and_then(|(_, leave)| leave);
                self.unanswered = true;
            }
        }
        self.attempts.push_back((Box::pin(attempt), leave));
    }

    /// Ready when one has connected, or with nothing when one has failed.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let under_way = self.attempts.len();
        let mut winner = None;
        // The oldest wins a tie.
        self.attempts.retain_mut(|(attempt, _)| match attempt.as_mut().poll(cx) {
            Poll::Pending => true,
            Poll::Ready(Ok(won)) => {
                winner.get_or_insert(won);
                false
            }
            Poll::Ready(Err(error)) => {
                self.unanswered |= error.kind() == io::ErrorKind::TimedOut;
                self.failure = Some(error);
                false
            }
        });
        if winner.is_none() && self.attempts.len() == under_way { Poll::Pending } else { Poll::Ready(winner) }
    }

    /// What to tell when all have failed: that one did not answer, or else what the last one said.
    fn verdict(self) -> DialError {
        match self.failure {
            _ if self.unanswered => DialError::Timeout,
            Some(error) => DialError::Connect(error),
            None => ResolveError::NotFound.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::sync::{Arc, Mutex};

    use tokio::time::sleep;

    use super::super::lab::Leaves;
    use crate::upstream::Descriptors;

    use super::*;

    /// What an address does when it is dialled.
    #[derive(Clone, Copy)]
    enum Does {
        Connects(u64),
        Refuses(u64),
        Nothing,
    }
    use Does::{Connects, Nothing, Refuses};

    /// Races addresses that do this, within so many milliseconds: the port that won or the words, how long it took, and when
    /// each was dialled.
    async fn run(does: &[Does], limit: u64) -> (Result<u16, String>, u64, Vec<u64>) {
        run_with(does, limit, Leaves::new(9)).await
    }

    /// The same with so many descriptors to spare.
    async fn run_with(
        does: &[Does],
        limit: u64,
        leaves: Arc<Leaves>,
    ) -> (Result<u16, String>, u64, Vec<u64>) {
        let addresses: Vec<SocketAddr> =
            (0..does.len()).map(|i| (Ipv4Addr::LOCALHOST, i as u16).into()).collect();
        let begun = Instant::now();
        let dialled = Mutex::new(Vec::new());
        let connect = |address: SocketAddr| {
            dialled.lock().unwrap().push(begun.elapsed().as_millis() as u64);
            let does = does[usize::from(address.port())];
            async move {
                match does {
                    Connects(after) => sleep(Duration::from_millis(after)).await,
                    Refuses(after) => {
                        sleep(Duration::from_millis(after)).await;
                        return Err(io::ErrorKind::ConnectionRefused.into());
                    }
                    Nothing => std::future::pending().await,
                }
                Ok(address.port())
            }
        };
        let beside = || leaves.take();
        let won = race(&addresses, begun + Duration::from_millis(limit), connect, beside).await;
        let took = begun.elapsed().as_millis() as u64;
        (won.map_err(|error| error.to_string()), took, dialled.into_inner().unwrap())
    }

    fn told(words: &str) -> Result<u16, String> {
        Err(words.to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_descriptor_to_spare_one_runs_at_a_time() {
        let does = [Connects(300), Nothing, Connects(20)];
        assert_eq!(run_with(&does, 5_000, Leaves::new(0)).await, (Ok(2), 520, vec![0, 250, 500]));
        assert_eq!(run_with(&does, 5_000, Leaves::new(1)).await, (Ok(0), 300, vec![0, 250]));
    }

    #[test]
    fn the_families_take_turns_from_the_first_one_on() {
        let six = |i: u16| IpAddr::from(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, i));
        let four = |i: u8| IpAddr::from(Ipv4Addr::new(10, 0, 0, i));
        let turns = interleaved(&[six(1), six(2), six(3), four(1), four(2)]);
        assert_eq!(turns, [six(1), four(1), six(2), four(2), six(3)]);
        assert_eq!(interleaved(&turns), turns);
        assert_eq!(interleaved(&[four(1), six(1), six(2)]), [four(1), six(1), six(2)]);
        assert_eq!(interleaved(&[four(2), four(1)]), [four(2), four(1)]);
        assert!(interleaved(&[]).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_one_has_a_head_start_and_is_alone_if_it_connects() {
        assert_eq!(run(&[Connects(249), Connects(0)], 5_000).await, (Ok(0), 249, vec![0]));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_refuses_makes_way_at_once() {
        assert_eq!(run(&[Refuses(0), Connects(3)], 5_000).await, (Ok(1), 3, vec![0, 0]));
        assert_eq!(run(&[Refuses(20), Connects(3)], 5_000).await, (Ok(1), 23, vec![0, 20]));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_does_not_answer_is_joined_by_the_next() {
        assert_eq!(run(&[Nothing, Connects(30)], 5_000).await, (Ok(1), 280, vec![0, 250]));
    }

    #[tokio::test(start_paused = true)]
    async fn the_slow_first_one_may_still_win() {
        assert_eq!(run(&[Connects(300), Connects(400)], 5_000).await, (Ok(0), 300, vec![0, 250]));
        assert_eq!(run(&[Connects(600), Refuses(10)], 5_000).await, (Ok(0), 600, vec![0, 250]));
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_of_many_is_reached_within_the_limit() {
        let mut does = vec![Refuses(1); 64];
        does[63] = Connects(1);
        let (won, took, dialled) = run(&does, 5_000).await;
        assert_eq!((won, took, dialled.len()), (Ok(63), 64, 64));

        let mut does = vec![Nothing; 64];
        does[63] = Connects(50);
        let (won, took, dialled) = run(&does, 5_000).await;
        assert_eq!((won, dialled.len()), (Ok(63), 64));
        assert!(took < 5_000 && dialled[1] == 79, "{took} ms, {dialled:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_limit_still_gives_everyone_a_turn() {
        assert_eq!(run(&[Nothing, Connects(40)], 100).await, (Ok(1), 90, vec![0, 50]));
    }

    #[tokio::test(start_paused = true)]
    async fn with_a_fifth_the_oldest_is_given_up() {
        let does = [Connects(1_200), Nothing, Nothing, Nothing, Nothing];
        assert_eq!(
            run(&does, 3_000).await,
            (told("no answer in time"), 3_000, vec![0, 250, 500, 750, 1_000])
        );
        assert_eq!(run(&does[..4], 3_000).await, (Ok(0), 1_200, vec![0, 250, 500, 750]));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_told_when_all_fail() {
        assert_eq!(run(&[], 5_000).await, (told("name not found"), 0, vec![]));
        assert_eq!(run(&[Refuses(1); 3], 5_000).await, (told("connection refused"), 3, vec![0, 1, 2]));
        assert_eq!(run(&[Nothing; 2], 5_000).await, (told("no answer in time"), 5_000, vec![0, 250]));
        assert_eq!(run(&[Refuses(1), Nothing], 5_000).await, (told("no answer in time"), 5_000, vec![0, 1]));
        assert_eq!(
            run(&[Nothing, Refuses(1)], 5_000).await,
            (told("no answer in time"), 5_000, vec![0, 250])
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_that_is_over_is_a_timeout() {
        assert_eq!(run(&[Nothing; 3], 0).await, (told("no answer in time"), 0, vec![0]));
        assert_eq!(run(&[Connects(0)], 0).await.0, Ok(0));
    }
}
