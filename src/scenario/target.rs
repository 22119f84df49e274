//! The daemon that a scenario is played on.

use thiserror::Error;

use super::edit::{Edit, What};
use crate::config::Config;
use crate::daemon::{Control, ControlError, Live, Stats};
use crate::observe::By;

/// A daemon that can be looked at and changed: one of this process, or one that is spoken to.
pub trait Target {
    /// The configuration in force.
    fn config(&self) -> impl Future<Output = Result<Config, Trouble>>;
    /// Makes a change.
    fn make(&self, edit: &Edit) -> impl Future<Output = Result<(), Trouble>>;
    /// What it has counted.
    fn stats(&self) -> impl Future<Output = Result<Stats, Trouble>>;
}

/// Why a daemon did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Trouble {
    /// It would not: nothing has changed.
    #[error("{0}")]
    Refused(String),
    /// What was to be changed is not there.
    #[error("{0}")]
    Gone(String),
    /// It cannot be asked: whether anything has changed nobody knows.
    #[error("{0}")]
    Lost(String),
}

impl Trouble {
    /// The same with this in front of its words.
    pub(super) fn of(self, what: &str) -> Trouble {
        match self {
            Trouble::Refused(why) => Trouble::Refused(format!("{what}{why}")),
            other => other,
        }
    }
}

impl From<ControlError> for Trouble {
    fn from(error: ControlError) -> Trouble {
        let brief = match &error {
            ControlError::Body(body) => body.refused().brief(),
            other => other.to_string(),
        };
        match error {
            ControlError::NoRoute(_) | ControlError::NoFault { .. } => Trouble::Gone(brief),
            _ => Trouble::Refused(brief),
        }
    }
}

impl Target for Control {
    async fn config(&self) -> Result<Config, Trouble> {
        Ok(Control::config(self).await)
    }

    async fn make(&self, edit: &Edit) -> Result<(), Trouble> {
        match (&edit.route, &edit.what) {
            (None, _) | (_, What::Restore) => drop(self.restore(By::Scenario).await?),
            (Some(route), What::Open) => drop(self.open(route, By::Scenario).await?),
            (Some(route), What::Close(live)) => drop(self.close(route, *live, By::Scenario).await?),
            (Some(_), What::Insert { .. } | What::Patch { .. } | What::Remove { .. }) => {
                let edit = edit.clone();
                self.edit(By::Scenario, Live::Keep, move |config| edit.make(config)).await?;
            }
        }
        Ok(())
    }

    async fn stats(&self) -> Result<Stats, Trouble> {
        Ok(Control::stats(self))
    }
}
