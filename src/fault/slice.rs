//! `slice`: bytes leave in small pieces that are really separate writes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::chain::Next;
use super::dice::{Dice, Draws};
use super::stream::{Build, Segment, StreamFault};
use crate::spec::{Period, Size};

/// Small writes, really separate on the wire; cuts at offsets, never waits to fill one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Slice {
    /// How many bytes a piece has.
    #[serde(deserialize_with = "Size::deserialize_positive")]
    pub size: Size,
    /// How far that strays; less than `size`.
    #[serde(default, skip_serializing_if = "Size::is_zero")]
    pub variation: Size,
    /// How long after a piece the next one leaves.
    #[serde(default, skip_serializing_if = "Period::is_zero")]
    pub delay: Period,
}

impl Slice {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        if self.size.is_zero() {
            return Err("has a size of nothing\nwrite 1 or more");
        }
        if self.variation >= self.size && !self.variation.is_zero() {
            return Err("varies by as much as its size\nwrite a variation below the size");
        }
        Ok(())
    }

    /// What becomes of a connection, as words that follow "is".
    pub fn says(&self) -> String {
        let pace = if self.delay.is_zero() { String::new() } else { format!(", {} apart", self.delay) };
        format!("served in pieces of {}{pace}", self.about())
    }

    /// The same for a cell of a table.
    pub fn brief(&self) -> String {
        let pace = if self.delay.is_zero() { String::new() } else { format!(" every {}", self.delay) };
        format!("slice {}{pace}", self.about())
    }

    fn about(&self) -> String {
        if self.variation.is_zero() {
            self.size.to_string()
        } else {
            format!("{} ±{}", self.size, self.variation)
        }
    }

    pub(super) fn build(&self, build: &Build<'_>) -> Box<dyn StreamFault> {
        let size = self.size.bytes().max(1);
        let variation = self.variation.bytes().min(size - 1);
        let cuts = Cuts { size, variation, dice: build.dice, cell: None };
        Box::new(Behaviour { cuts, delay: self.delay.get(), last: None })
    }
}

/// Cuts are drawn for so many pieces at once, so that a cut anywhere is found in constant time.
const PIECES: u64 = 64;

/// Where the stream is cut: a function of the offset alone.
struct Cuts {
    size: u64,
    variation: u64,
    dice: Dice,
    cell: Option<Cell>,
}

/// A stretch of the stream whose cuts come from one stream of draws.
struct Cell {
    end: u64,
    draws: Draws,
    /// The last cut that was drawn.
    cut: u64,
    start: u64,
}

impl Cuts {
    /// The first cut behind this offset.
    fn after(&mut self, offset: u64) -> u64 {
        if self.variation == 0 {
            return (offset / self.size + 1).saturating_mul(self.size);
        }
        let length = self.size.saturating_mul(PIECES);
        let number = offset / length;
        let start = number * length;
        // Offsets only grow: a cell that was begun is never asked for what lies behind it.
        let mut cell = match self.cell.take() {
            Some(cell) if cell.start == start => cell,
            _ => Cell {
                start,
                end: start.saturating_add(length),
                draws: self.dice.number(number).draws(),
                cut: start,
            },
        };
        while cell.cut <= offset {
            let strays = (cell.draws.unit() * (2 * self.variation + 1) as f64) as u64;
            cell.cut = (cell.cut + self.size - self.variation + strays).min(cell.end);
        }
        let cut = cell.cut;
        self.cell = Some(cell);
        cut
    }
}

pub(super) struct Behaviour {
    cuts: Cuts,
    delay: std::time::Duration,
    last: Option<Instant>,
}

impl StreamFault for Behaviour {
    fn on_data(&mut self, mut segment: Segment, next: &mut Next<'_>) {
        while !segment.bytes.is_empty() {
            let until = self.cuts.after(segment.offset).min(segment.end());
            let length = (until - segment.offset) as usize;
            let at = match self.last {
                Some(last) if !self.delay.is_zero() => segment.at.max(last + self.delay),
                _ => segment.at,
            };
            if length < segment.bytes.len() {
                next.count(1);
            }
            if at > segment.at {
                next.delayed(at - segment.at);
            }
            self.last = Some(at);
            next.data(segment.split_to(length, at));
        }
    }
}
