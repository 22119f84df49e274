//! `slice`: bytes leave in small pieces that are really separate writes.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::dice::{Dice, Draws};
use super::link::Next;
use super::stream::{Build, Segment, StreamFault};
use crate::spec::{Period, Size};

/// Small writes, really separate on the wire; cuts at offsets, never waits to fill one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Slice {
    /// How many bytes a piece has.
    #[serde(deserialize_with = "Size::deserialize_positive")]
    #[schemars(schema_with = "size_schema")]
    pub size: Size,
    /// How far that strays; less than `size`.
    #[serde(default)]
    pub variation: Size,
    /// How long after a piece the next one leaves.
    #[serde(default)]
    pub delay: Period,
}

impl Slice {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        if self.size.is_zero() {
            return Err("has a size of nothing\nwrite 1 or more");
        }
        if self.size > MOST {
            return Err("has pieces of more than 1GiB\nwrite a smaller size");
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

/// No read is larger, and no sum of such sizes overflows.
const MOST: Size = Size::new(1 << 30);

fn size_schema(_: &mut SchemaGenerator) -> Schema {
    Size::positive_schema(MOST.bytes())
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
            let strays = (cell.draws.unit() * (2.0 * self.variation as f64 + 1.0)) as u64;
            cell.cut = (cell.cut + (self.size - self.variation)).saturating_add(strays).min(cell.end);
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

    fn on_release(&mut self, now: Instant, _next: &mut Next<'_>) {
        self.last = self.last.map(|last| last.min(now));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::lab::{Event, Lab, bytes_from, joined, ms, sizes};

    fn run(item: &Value, total: usize, read: usize) -> (Vec<Event>, Lab) {
        let mut lab = Lab::new([item.clone()]);
        lab.send_in(total, read);
        (lab.events(), lab)
    }

    /// Where one write ended and the next began.
    fn cuts(item: &Value, total: usize, read: usize) -> Vec<usize> {
        let (events, _) = run(item, total, read);
        assert_eq!(joined(&events), bytes_from(0, total));
        let ends = sizes(&events).into_iter().scan(0, |sum, (_, size)| {
            *sum += size;
            Some(*sum)
        });
        ends.collect()
    }

    #[test]
    fn pieces_are_separate_writes_cut_at_offsets() {
        let item = json!({"slice": {"size": "1000B"}});
        assert_eq!(cuts(&item, 3_500, 65_536), [1000, 2000, 3000, 3500]);
        // A read that ends within a piece is not held back to fill it, and the next cut stays where it was.
        assert_eq!(cuts(&item, 3_500, 700), [700, 1000, 1400, 2000, 2100, 2800, 3000, 3500]);
        assert_eq!(cuts(&item, 5, 1), [1, 2, 3, 4, 5]);
        let (_, lab) = run(&item, 3_500, 65_536);
        assert_eq!((lab.deed().done.amount, lab.told), (3, vec!["slice".to_owned()]));
    }

    #[test]
    fn what_is_not_cut_leaves_no_trace() {
        let (_, lab) = run(&json!({"slice": {"size": "1000B"}}), 1000, 500);
        assert!(lab.chain.deeds().is_empty() && lab.told.is_empty());
    }

    #[test]
    fn the_cuts_are_the_same_for_all_reads() {
        for item in
            [json!({"slice": {"size": "1000B"}}), json!({"slice": {"size": "300B", "variation": "299B"}})]
        {
            let total = 200_000;
            let coarse = cuts(&item, total, total);
            for read in [1, 7, 1000, 65_536] {
                let ends = (1..).map(|n| n * read).take_while(|end| *end < total);
                let mut both: Vec<usize> = coarse.iter().copied().chain(ends).collect();
                both.sort_unstable();
                both.dedup();
                assert_eq!(cuts(&item, total, read), both, "{read}");
            }
        }
    }

    #[test]
    fn the_cuts_are_the_same_for_a_fault_that_begins_in_the_middle() {
        let item = json!({"slice": {"size": "300B", "variation": "250B"}});
        let all = cuts(&item, 100_000, 100_000);
        let mut lab = Lab::new([]);
        lab.send_in(50_000, 50_000).run();
        lab.adopt(&[super::super::lab::active(item, 42)]);
        lab.out.clear();
        lab.send_in(50_000, 50_000);
        let later = sizes(&lab.events()).into_iter().scan(50_000, |sum, (_, size)| {
            *sum += size;
            Some(*sum)
        });
        assert_eq!(
            later.collect::<Vec<_>>(),
            all.into_iter().filter(|cut| *cut > 50_000).collect::<Vec<_>>()
        );
    }

    #[test]
    fn sizes_stray_as_far_as_they_may_and_evenly() {
        let item = json!({"slice": {"size": "10B", "variation": "3B"}});
        let cuts = cuts(&item, 640 * 1600, 1 << 20);
        let mut counts = [0_u32; 14];
        for pair in cuts.windows(2) {
            // The last piece before a place where cuts are drawn anew may be any.
            if !pair[1].is_multiple_of(640) {
                counts[pair[1] - pair[0]] += 1;
            }
        }
        assert!(counts[..7].iter().all(|count| *count == 0), "{counts:?}");
        let (least, most) = (counts[7..].iter().min(), counts[7..].iter().max());
        assert!(least > Some(&13_500) && most < Some(&15_000), "{counts:?}");
    }

    #[test]
    fn the_next_piece_leaves_a_delay_after_the_one_before() {
        let item = json!({"slice": {"size": "100B", "delay": "5ms"}});
        let mut lab = Lab::new([item]);
        lab.send_in(250, 250).run_to(ms(100)).send_in(100, 100);
        let expected = [(ms(0), 100), (ms(5), 100), (ms(10), 50), (ms(100), 50), (ms(105), 50)];
        assert_eq!(sizes(&lab.events()), expected);
        assert_eq!(lab.deed().done.delay, ms(10));
    }

    /// What was released early does not hold up what follows.
    #[test]
    fn a_latency_taken_away_in_front_of_it_leaves_no_pause_behind() {
        let latency = super::super::lab::active(json!({"latency": {"delay": "10s"}}), 1);
        let slice = super::super::lab::active(json!({"slice": {"size": "100B", "delay": "5ms"}}), 1);
        let mut lab = Lab::of(&[latency, slice.clone()]);
        lab.send_in(200, 200).run_to(ms(100));
        lab.adopt(&[slice]);
        lab.send_in(200, 200);
        let events = lab.events();
        assert_eq!(joined(&events), bytes_from(0, 400));
        assert!(events.iter().all(|(at, _)| (ms(100)..=ms(110)).contains(at)), "{:?}", sizes(&events));
    }
}
