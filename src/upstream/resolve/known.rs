//! What is known of names: answers with their age, and who is being asked for.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::ResolveError;

/// How long an answer is good.
const GOOD_FOR: Duration = Duration::from_secs(5);

/// How long nobody asks again after a failure, so that a flood of clients is not a flood of lookups.
const AFTER_FAILURE: Duration = Duration::from_millis(500);

/// How long a lookup may take where there is an old answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many names are known at once. Those that are being asked for are kept beyond it.
const NAMES: usize = 1024;

/// The addresses of a name, or why there are none.
pub(super) type Answer = Result<Arc<[IpAddr]>, ResolveError>;

/// An answer that stands in for a new one from that moment on.
pub(super) type Old = Option<(Arc<[IpAddr]>, Instant)>;

/// All that is known.
#[derive(Debug, Default)]
pub(super) struct Known {
    names: HashMap<Arc<str>, Name>,
    /// How often anything was asked: the clock by which names grow old.
    asked: u64,
}

#[derive(Debug, Default)]
struct Name {
    /// The last good answer; before the first one, the last failure.
    answer: Option<Answer>,
    /// Until then it is told without asking.
    good_until: Option<Instant>,
    lookup: Option<Lookup>,
    last_asked: u64,
}

#[derive(Debug)]
struct Lookup {
    begun: Instant,
    landed: watch::Receiver<Option<Answer>>,
}

/// What comes of asking.
pub(super) enum Found {
    /// This is known.
    Answer(Answer),
    /// A lookup is under way.
    Awaited {
        /// Its answer, when it is there.
        landed: watch::Receiver<Option<Answer>>,
        /// What stands in for it.
        old: Old,
    },
    /// A lookup has to be begun.
    Wanted {
        /// Where its answer goes, once [`Known::land`] has had it.
        lands: watch::Sender<Option<Answer>>,
        /// What stands in for it.
        old: Old,
    },
}

impl Known {
    /// Asks for a name.
    pub(super) fn find(&mut self, name: &Arc<str>, now: Instant) -> Found {
        self.asked += 1;
        if !self.names.contains_key(name) {
            self.make_room();
        }
        let known = self.names.entry(name.clone()).or_default();
        known.last_asked = self.asked;
        if let Some(answer) = &known.answer
            && known.good_until.is_some_and(|until| now < until)
        {
            return Found::Answer(answer.clone());
        }
        let good = known.answer.clone().and_then(Result::ok);
        match &known.lookup {
            Some(Lookup { begun, landed }) => {
                Found::Awaited { landed: landed.clone(), old: good.map(|good| (good, *begun + PATIENCE)) }
            }
            None => {
                let (lands, landed) = watch::channel(None);
                known.lookup = Some(Lookup { begun: now, landed });
                Found::Wanted { lands, old: good.map(|good| (good, now + PATIENCE)) }
            }
        }
    }

    /// A lookup has ended with this answer. What those who wait for it are told: a failure does not take away a good
    /// answer.
    pub(super) fn land(&mut self, name: &Arc<str>, answer: Answer, now: Instant) -> Answer {
        let known = self.names.entry(name.clone()).or_default();
        known.lookup = None;
        known.good_until = Some(now + if answer.is_ok() { GOOD_FOR } else { AFTER_FAILURE });
        match (&known.answer, &answer) {
            (Some(Ok(good)), Err(_)) => Ok(good.clone()),
            _ => {
                known.answer = Some(answer.clone());
                answer
            }
        }
    }

    /// Forgets the name that nobody has asked for the longest.
    fn make_room(&mut self) {
        if self.names.len() < NAMES {
            return;
        }
        let idle = self.names.iter().filter(|(_, known)| known.lookup.is_none());
        if let Some(name) = idle.min_by_key(|(_, known)| known.last_asked).map(|(name, _)| name.clone()) {
            self.names.remove(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn is_known(known: &mut Known, name: &str) -> bool {
        matches!(known.find(&name.into(), Instant::now()), Found::Answer(Ok(_)))
    }

    fn land(known: &mut Known, name: &str) {
        let answer: Arc<[IpAddr]> = Arc::new([Ipv4Addr::LOCALHOST.into()]);
        assert!(known.land(&name.into(), Ok(answer), Instant::now()).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_name_least_recently_asked_for_makes_room() {
        let mut known = Known::default();
        for i in 0..NAMES {
            assert!(!is_known(&mut known, &i.to_string()));
            land(&mut known, &i.to_string());
        }
        assert!(is_known(&mut known, "0"));
        assert!(!is_known(&mut known, "one more"));
        assert_eq!(known.names.len(), NAMES);
        assert!(is_known(&mut known, "0") && is_known(&mut known, "2"));
        assert!(!known.names.contains_key("1"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_is_being_asked_for_is_not_forgotten() {
        let mut known = Known::default();
        assert!(!is_known(&mut known, "asked"));
        for i in 0..2 * NAMES {
            assert!(!is_known(&mut known, &i.to_string()));
            land(&mut known, &i.to_string());
        }
        assert_eq!(known.names.len(), NAMES);
        assert!(matches!(known.find(&"asked".into(), Instant::now()), Found::Awaited { .. }));
    }
}
