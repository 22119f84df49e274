//! `corrupt`: some bytes arrive as others.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::chain::Next;
use super::dice::{Dice, Draws};
use super::distribution::ln;
use super::stream::{Build, Segment, StreamFault};
use crate::spec::Probability;

/// Same length; the chosen offsets changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Corrupt {
    /// How likely each byte is to be changed.
    pub rate: Probability,
    /// What becomes of it.
    #[serde(default)]
    pub how: Change,
}

/// What becomes of a corrupted byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// One of its bits is turned over.
    #[default]
    Flip,
    /// It becomes any other byte.
    Random,
    /// It becomes zero.
    Zero,
}

impl Corrupt {
    /// What becomes of a connection, as words that follow "is".
    pub fn says(&self) -> String {
        let what = match self.how {
            Change::Flip => "one bit turned over in",
            Change::Random => "another byte in place of",
            Change::Zero => "zero in place of",
        };
        format!("corrupted: there is {what} {} of its bytes", self.rate)
    }

    /// The same for a cell of a table.
    pub fn brief(&self) -> String {
        let how = match self.how {
            Change::Flip => "",
            Change::Random => " random",
            Change::Zero => " zero",
        };
        format!("corrupt {}{how}", self.rate)
    }

    pub(super) fn build(&self, build: &Build<'_>) -> Box<dyn StreamFault> {
        Box::new(Behaviour { rate: self.rate.get(), how: self.how, dice: build.dice, cell: None })
    }
}

/// Bytes whose fates come from one stream of draws, so that the fate of any byte is found in constant time.
const CELL: u64 = 4096;

pub(super) struct Behaviour {
    rate: f64,
    how: Change,
    dice: Dice,
    cell: Option<Cell>,
}

/// The corrupted bytes of a cell, one after the other.
struct Cell {
    number: u64,
    draws: Draws,
    rate: f64,
    /// The next one, as a place in the cell, and what its change is drawn from.
    next: (u64, u64),
}

impl Cell {
    fn new(number: u64, dice: &Dice, rate: f64) -> Self {
        let mut cell = Cell { number, draws: dice.number(number).draws(), rate, next: (0, 0) };
        cell.draw(0);
        cell
    }

    /// Draws the next one at or behind this place.
    fn draw(&mut self, from: u64) {
        let unharmed = if self.rate >= 1.0 {
            0
        } else {
            // How many are spared before the next one: the geometric distribution, by inversion.
            (ln(self.draws.unit_above_zero()) / ln(1.0 - self.rate)) as u64
        };
        self.next = (from.saturating_add(unharmed), self.draws.bits());
    }
}

impl StreamFault for Behaviour {
    fn on_data(&mut self, mut segment: Segment, next: &mut Next<'_>) {
        if self.rate <= 0.0 {
            return next.data(segment);
        }
        let (mut offset, end) = (segment.offset, segment.end());
        let mut changed = 0;
        while offset < end {
            let number = offset / CELL;
            let cell_start = number * CELL;
            let cell = match &mut self.cell {
                Some(cell) if cell.number == number => cell,
                cell => cell.insert(Cell::new(number, &self.dice, self.rate)),
            };
            let until = end.min(cell_start + CELL);
            while cell_start + cell.next.0 < until && cell.next.0 < CELL {
                let (place, bits) = cell.next;
                if let Some(at) = (cell_start + place).checked_sub(segment.offset)
                    && cell_start + place >= offset
                {
                    changed += u64::from(self.how.apply(&mut segment.bytes[at as usize], bits));
                }
                cell.draw(place + 1);
            }
            offset = until;
        }
        if changed > 0 {
            next.count(changed);
        }
        next.data(segment);
    }
}

impl Change {
    /// Changes a byte; whether it is another one now.
    fn apply(self, byte: &mut u8, bits: u64) -> bool {
        let before = *byte;
        *byte = match self {
            Change::Flip => before ^ (1 << (bits >> 61)),
            // 1..=255, evenly but for less than one in 2^56: always another byte.
            Change::Random => before ^ (1 + ((u128::from(bits) * 255) >> 64) as u8),
            Change::Zero => 0,
        };
        *byte != before
    }
}
