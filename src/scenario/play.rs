//! Plays a scenario on a daemon: does what is due when it is due, and notes what the daemon has counted by then.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::agenda::{Due, Turn, agenda};
use super::edit::{self, Edit};
use super::recovery::Recoveries;
use super::report::Made;
use super::target::{Target, Trouble};
use super::{Action, Scenario, Step, ramp};
use crate::config::{Config, changes};
use crate::daemon::Stats;
use crate::spec::Period;

/// What happened while a scenario was played.
#[derive(Clone, Debug)]
pub struct Played {
    /// What the daemon had counted before anything was done.
    pub start: Stats,
    /// What it had counted at the moments that matter, from the start of the scenario.
    pub looks: BTreeMap<Duration, Stats>,
    /// When bytes reached a client again after the end of a window, by expectation.
    pub recovered: BTreeMap<usize, Duration>,
    /// What was done and what was refused, in order.
    pub made: Vec<Made>,
    /// It was stopped before its end, and the daemon goes on: nobody knows what would have come.
    pub interrupted: bool,
    /// How many steps never began: it was over before.
    pub unplayed: usize,
    /// How many steps were to be undone and are not.
    pub left: usize,
    /// When it was over: the scenario's duration, unless it was stopped.
    pub ended: Duration,
    /// Why it broke off, if it did.
    pub lost: Option<Trouble>,
}

/// What becomes of what was to be undone later when a play is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It is undone then: the daemon goes on.
    Undo,
    /// It stays: the daemon ends, too.
    Leave,
}

/// What a step has left to do.
#[derive(Clone, Debug)]
struct Pending {
    /// What takes it back.
    undo: Option<Edit>,
    /// For a ramp: where it began.
    from: Option<Value>,
}

/// A scenario that is being played on a daemon.
pub struct Play<'a, T, F> {
    scenario: &'a Scenario,
    target: &'a T,
    /// Hears of everything that is done, when it is.
    tell: F,
    /// What is still to come, in order.
    agenda: VecDeque<Due>,
    played: Played,
    /// By step; none: it has not begun, is over, or was called off.
    pending: Vec<Option<Pending>>,
    recoveries: Recoveries,
    began: Instant,
}

impl<'a, T: Target, F: FnMut(&Made)> Play<'a, T, F> {
    /// Begins: what is due at the very start is done, and the time runs from when it was. An error means that nothing was.
    pub async fn begin(scenario: &'a Scenario, target: &'a T, tell: F) -> Result<Self, Trouble> {
        let played = Played {
            start: target.stats().await?,
            looks: BTreeMap::new(),
            recovered: BTreeMap::new(),
            made: Vec::new(),
            interrupted: false,
            unplayed: 0,
            left: 0,
            ended: scenario.duration,
            lost: None,
        };
        let mut play = Play {
            scenario,
            target,
            tell,
            agenda: agenda(scenario).into(),
            played,
            pending: vec![None; scenario.steps.len()],
            recoveries: Recoveries::of(scenario),
            began: Instant::now(),
        };
        while let Some(due) = play.agenda.front().copied().filter(|due| due.at.is_zero()) {
            play.agenda.pop_front();
            if let Err(trouble) = play.take_turn(due).await {
                play.played.lost = Some(trouble);
                break;
            }
        }
        play.began = Instant::now();
        Ok(play)
    }

    /// Goes on until the end of the scenario, or until `stop`. A daemon that was lost on the way is asked once more, to
    /// undo what was to be undone.
    pub async fn go_on(mut self, stop: &CancellationToken, stopped: Stopped) -> Played {
        if self.played.lost.is_none()
            && let Err(trouble) = self.run(stop, stopped).await
        {
            self.played.lost = Some(trouble);
        }
        if self.played.lost.is_some() {
            self.played.ended = self.elapsed();
            let _ = self.undo_all().await;
        }
        let begins = |due: &&Due| matches!(due.turn, Turn::Begin { .. });
        self.played.unplayed = self.agenda.iter().filter(begins).count();
        self.played.left = self.pending.iter().flatten().filter(|pending| pending.undo.is_some()).count();
        self.played
    }

    async fn run(&mut self, stop: &CancellationToken, stopped: Stopped) -> Result<(), Trouble> {
        while let Some(due) = self.agenda.front().copied() {
            if !self.wait_until(due.at, stop).await? {
                // What came just before is seen, too.
                self.look_for_recoveries().await?;
                self.played.ended = self.elapsed();
                return match stopped {
                    Stopped::Undo => {
                        self.played.interrupted = true;
                        self.undo_all().await
                    }
                    Stopped::Leave => Ok(()),
                };
            }
            self.agenda.pop_front();
            self.take_turn(due).await?;
        }
        Ok(())
    }

    fn elapsed(&self) -> Duration {
        self.began.elapsed().min(self.scenario.duration)
    }

    /// Waits for a moment; false: it was stopped before. Meanwhile it looks for recoveries.
    async fn wait_until(&mut self, at: Duration, stop: &CancellationToken) -> Result<bool, Trouble> {
        loop {
            let look = self.recoveries.next_look(self.began.elapsed()).filter(|look| *look < at);
            let until = self.began + look.unwrap_or(at);
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(false),
                () = sleep_until(until) => {}
            }
            if look.is_none() {
                return Ok(true);
            }
            self.look_for_recoveries().await?;
        }
    }

    async fn look_for_recoveries(&mut self) -> Result<(), Trouble> {
        if self.recoveries.are_awaited() {
            let stats = self.target.stats().await?;
            self.see_recoveries(&stats);
        }
        Ok(())
    }

    fn see_recoveries(&mut self, stats: &Stats) {
        let found = self.recoveries.seen(stats, self.began.elapsed());
        self.played.recovered.extend(found);
    }

    async fn take_turn(&mut self, due: Due) -> Result<(), Trouble> {
        let scenario = self.scenario;
        match due.turn {
            Turn::Look => {
                let stats = self.target.stats().await?;
                self.see_recoveries(&stats);
                self.recoveries.begin(due.at, &stats);
                self.played.looks.insert(due.at, stats);
                Ok(())
            }
            Turn::Begin { step: at } => match scenario.steps.get(at) {
                Some(step) => {
                    let begun = self.do_step(at, step).await;
                    self.note(due.at, step, begun)
                }
                None => Ok(()),
            },
            Turn::Move { step: at, nth, of } => match scenario.steps.get(at) {
                Some(step) => {
                    let moved = self.ramp(at, step, nth, of).await;
                    if let (Err(_), Some(Some(pending))) = (&moved, self.pending.get_mut(at)) {
                        // It goes no further, and that is told once. What was moved is undone all the same.
                        pending.from = None;
                    }
                    self.note(due.at, step, moved)
                }
                None => Ok(()),
            },
            Turn::Undo { step: at, .. } => self.undo(at, due.at).await,
        }
    }

    /// Does what a step says. Gives what changed, in words.
    async fn do_step(&mut self, at: usize, step: &Step) -> Result<Vec<String>, Trouble> {
        if let Action::Note(text) = &step.action {
            return Ok(vec![text.clone()]);
        }
        let before = self.target.config().await?;
        let (texts, undo, from) = match &step.action {
            Action::Ramp { route, fault, key, to, over } => {
                let from = edit::parameter(&before, route, fault, key)?;
                let undo = Edit::set(route, fault, key, from.clone(), &before)?;
                let over = Period::new(*over);
                let text = format!("{route}.{fault}.{key} {} → {} over {over}", plain(&from), plain(to));
                (vec![text], Some(undo), Some(from))
            }
            action => match Edit::of(action, &before)? {
                Some(edit) => (self.make(&edit, &before).await?, edit.undo(&before), None),
                None => return Ok(Vec::new()),
            },
        };
        if step.action == Action::Restore {
            // All that was to be undone is.
            self.pending.fill(None);
        }
        if let Some(place) = self.pending.get_mut(at) {
            *place = Some(Pending { undo: undo.filter(|_| step.lasting.is_some()), from });
        }
        Ok(texts)
    }

    /// Moves a parameter on, unless the ramp was called off.
    async fn ramp(&mut self, at: usize, step: &Step, nth: u32, of: u32) -> Result<Vec<String>, Trouble> {
        let Action::Ramp { route, fault, key, to, .. } = &step.action else { return Ok(Vec::new()) };
        let Some(Some(Pending { from: Some(from), .. })) = self.pending.get(at) else {
            return Ok(Vec::new());
        };
        let value = ramp::between(from, to, nth, of).ok_or_else(|| {
            Trouble::Refused(format!("there is nothing between {} and {}", plain(from), plain(to)))
        })?;
        let before = self.target.config().await?;
        let edit = Edit::set(route, fault, key, value, &before)?;
        let text = self.make(&edit, &before).await?;
        // On the way only the daemon tells.
        Ok(if nth == of { text } else { Vec::new() })
    }

    async fn make(&self, edit: &Edit, before: &Config) -> Result<Vec<String>, Trouble> {
        self.target.make(edit).await?;
        if edit.route.is_none() {
            return Ok(vec!["restored".to_owned()]);
        }
        let mut after = before.clone();
        // The daemon has taken it: if there are no words for it, it is done all the same.
        let _ = edit.make(&mut after);
        Ok(changes(before, &after).into_iter().map(|change| change.text).collect())
    }

    async fn undo(&mut self, at: usize, when: Duration) -> Result<(), Trouble> {
        let Some(step) = self.scenario.steps.get(at) else { return Ok(()) };
        let Some(Some(Pending { undo: Some(undo), .. })) = self.pending.get(at) else { return Ok(()) };
        let before = self.target.config().await?;
        let undone = match self.make(&undo.fitted(&before), &before).await {
            Err(lost @ Trouble::Lost(_)) => return Err(lost),
            // Somebody else has undone it.
            Err(Trouble::Gone(_)) => Ok(Vec::new()),
            undone => undone.map_err(|trouble| trouble.of("it was to be undone: ")),
        };
        if let Some(pending) = self.pending.get_mut(at) {
            *pending = None;
        }
        self.note(when, step, undone)
    }

    /// Undoes what is still to be undone, what began last first.
    async fn undo_all(&mut self) -> Result<(), Trouble> {
        let mut order: Vec<usize> = (0..self.scenario.steps.len()).collect();
        order.sort_by_key(|step| Reverse((self.scenario.steps.get(*step).map(|step| step.at), *step)));
        for step in order {
            self.undo(step, self.played.ended).await?;
        }
        Ok(())
    }

    /// Notes what was done or refused. Only a daemon that is lost ends the play.
    fn note(&mut self, at: Duration, step: &Step, done: Result<Vec<String>, Trouble>) -> Result<(), Trouble> {
        let (texts, refused) = match done {
            Ok(texts) => (texts, None),
            Err(lost @ Trouble::Lost(_)) => return Err(lost),
            Err(trouble) => (vec![step.action.brief()], Some(trouble.to_string())),
        };
        for text in texts {
            let made = Made { at, text, refused: refused.clone(), place: step.place };
            (self.tell)(&made);
            self.played.made.push(made);
        }
        Ok(())
    }
}

/// A value as one would type it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
