//! `corrupt`: some bytes arrive as others.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dice::{Dice, Draws};
use super::distribution::ln;
use super::link::Next;
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
            (ln(self.draws.unit_above_zero()) / ln_spared(self.rate)) as u64
        };
        self.next = (from.saturating_add(unharmed), self.draws.bits());
    }
}

/// The logarithm of the chance to be spared. `1 - rate` alone would lose what a small rate says, or all of it.
fn ln_spared(rate: f64) -> f64 {
    if rate > 1e-4 {
        return ln(1.0 - rate);
    }
    -rate * (1.0 + rate * (1.0 / 2.0 + rate * (1.0 / 3.0 + rate / 4.0)))
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
            while cell.next.0 < until - cell_start {
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::lab::{Lab, active, bytes_from};
    use super::*;

    /// Two-sided 2e-9 bounds of χ² with 255 degrees of freedom.
    const CHI: std::ops::Range<f64> = 141.9..414.5;

    fn chi_square(counts: &[u64]) -> f64 {
        let mean = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
        counts.iter().map(|count| (*count as f64 - mean).powi(2) / mean).sum()
    }

    /// What becomes of so many bytes of the test stream: offsets and what was mixed into the byte there.
    fn changes(item: &Value, total: usize, read: usize) -> Vec<(usize, u8)> {
        let mut lab = Lab::new([item.clone()]);
        lab.send_in(total, read).run();
        let sent = bytes_from(0, total);
        let written = lab.written();
        assert_eq!(written.len(), total);
        let pairs = written.iter().zip(&sent).map(|(after, before)| after ^ before).enumerate();
        let changes: Vec<(usize, u8)> = pairs.filter(|(_, change)| *change != 0).collect();
        let done: u64 = lab.chain.deeds().iter().map(|deed| deed.done.amount).sum();
        assert_eq!(done, changes.len() as u64);
        changes
    }

    /// Part of what a seed promises.
    #[test]
    fn golden_offsets_and_values() {
        let flip = changes(&json!({"corrupt": {"rate": 0.001}}), 8192, 8192);
        assert_eq!(
            flip,
            [
                (1341, 1),
                (1449, 64),
                (1659, 1),
                (2486, 1),
                (3446, 64),
                (5485, 16),
                (6364, 8),
                (6447, 32),
                (6948, 8)
            ]
        );
        let random = changes(&json!({"corrupt": {"rate": 0.001, "how": "random"}}), 8192, 8192);
        let values = [1, 199, 1, 25, 209, 135, 117, 171, 109];
        let offsets = flip.iter().map(|(at, _)| *at);
        assert_eq!(random, offsets.zip(values).collect::<Vec<_>>());
    }

    #[test]
    fn reads_of_any_size_and_a_start_in_the_middle_change_nothing() {
        for how in ["flip", "random", "zero"] {
            let item = json!({"corrupt": {"rate": 0.01, "how": how}});
            let total = 150_000;
            let all = changes(&item, total, 65_536);
            assert!((1_000..2_000).contains(&all.len()));
            for read in [1, 7, 4095, 4096, 4097, total] {
                assert_eq!(changes(&item, total, read), all, "{how} {read}");
            }
            for begin in [1, 4095, 4096, 70_001] {
                let mut lab = Lab::new([]);
                lab.send_in(begin, begin).run();
                lab.adopt(&[active(item.clone(), 42)]);
                lab.send_in(total - begin, 10_000).run();
                let sent = bytes_from(0, total);
                let pairs = lab.written().into_iter().zip(sent).map(|(after, before)| after ^ before);
                let later: Vec<(usize, u8)> = pairs.enumerate().filter(|(_, change)| *change != 0).collect();
                let expected: Vec<_> = all.iter().copied().filter(|(at, _)| *at >= begin).collect();
                assert_eq!(later, expected, "{how} {begin}");
            }
        }
    }

    #[test]
    fn positions_bits_and_values_are_uniform() {
        let random = changes(&json!({"corrupt": {"rate": 0.01, "how": "random"}}), 10_000_000, 1 << 20);
        // The exact binomial bounds for a rate of 0.01 leave less than 6.2 deviations of 315.
        assert!((98_000..102_000).contains(&random.len()), "{}", random.len());
        let (mut places, mut values) = ([0; 256], [0; 255]);
        for (at, change) in &random {
            places[at % 4096 / 16] += 1;
            values[usize::from(*change) - 1] += 1;
        }
        assert!(CHI.contains(&chi_square(&places)) && CHI.contains(&chi_square(&values)));
        // Which bit, together with where: 32 stretches of a cell by 8 bits.
        let mut bits = [0; 256];
        for (at, change) in changes(&json!({"corrupt": {"rate": 0.01}}), 10_000_000, 1 << 20) {
            assert_eq!(change.count_ones(), 1);
            bits[at % 4096 / 128 * 8 + change.trailing_zeros() as usize] += 1;
        }
        assert!(CHI.contains(&chi_square(&bits)));
    }

    #[test]
    fn none_at_zero_and_all_at_one() {
        let at = |rate: f64, how: &str| {
            changes(&json!({"corrupt": {"rate": rate, "how": how}}), 100_000, 9_999).len()
        };
        assert_eq!([at(0.0, "flip"), at(0.0, "random"), at(0.0, "zero")], [0; 3]);
        assert_eq!([at(1.0, "flip"), at(1.0, "random")], [100_000; 2]);
        // A zero that becomes zero is not corrupted.
        let zeros = bytes_from(0, 100_000).iter().filter(|byte| **byte == 0).count();
        assert_eq!(at(1.0, "zero"), 100_000 - zeros);
    }

    #[test]
    fn a_rate_too_small_to_be_told_from_nothing_changes_nothing() {
        for rate in [1e-300, 1e-20, 1e-17, 1e-16, 1e-14] {
            assert_eq!(changes(&json!({"corrupt": {"rate": rate}}), 100_000, 65_536), []);
        }
    }

    #[test]
    fn a_byte_becomes_what_it_should() {
        for bits in [0, u64::MAX, 1 << 61, 12_345_678_901_234_567_890] {
            for byte in 0..=255_u8 {
                let mut changed = byte;
                assert!(Change::Random.apply(&mut changed, bits) && changed != byte);
                changed = byte;
                assert!(Change::Flip.apply(&mut changed, bits) && (changed ^ byte).is_power_of_two());
                changed = byte;
                assert_eq!((Change::Zero.apply(&mut changed, bits), changed), (byte != 0, 0));
            }
        }
    }
}
