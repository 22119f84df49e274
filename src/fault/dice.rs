//! Chance that can be repeated: a tree of seeds, and a stream of raw draws at each of its leaves.
//!
//! Every decision hangs on a path of names (seed → route → connection number → direction → fault), so that adding,
//! removing or reordering one thing never moves another thing's chance, and no two connections share a generator whose
//! state would depend on scheduling. A node is a 256-bit key; a step down mixes the step's label into the key and runs
//! ChaCha8 over it. The outcome is the same on every machine and is held by golden vectors.

use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};

const BLOCK: usize = 32;

/// A node in the tree of seeds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Dice {
    key: [u8; BLOCK],
}

/// What kind of label a step mixes in, so that the number 7 and the name of bytes 7 0 0 0… are different steps.
#[derive(Clone, Copy)]
enum Step {
    Name = 1,
    Number = 2,
}

impl Dice {
    /// The root, from the seed of the configuration.
    pub fn new(seed: u64) -> Self {
        Dice { key: [0; BLOCK] }.number(seed)
    }

    /// The child with this name.
    pub fn name(&self, name: &str) -> Self {
        self.step(Step::Name, name.as_bytes())
    }

    /// The child with this number.
    pub fn number(&self, number: u64) -> Self {
        self.step(Step::Number, &number.to_le_bytes())
    }

    /// The draws at this node, from the first.
    pub fn draws(&self) -> Draws {
        Draws(ChaCha8Rng::from_seed(self.key))
    }

    fn step(&self, kind: Step, label: &[u8]) -> Self {
        // Kind and length go in with the first block: no label is the beginning of another.
        let head = ((label.len() as u64) << 8) | kind as u64;
        let mut key = self.key;
        let mut block = [0; BLOCK];
        block[..8].copy_from_slice(&head.to_le_bytes());
        let (first, rest) = label.split_at(label.len().min(BLOCK - 8));
        block[8..8 + first.len()].copy_from_slice(first);
        mix(&mut key, &block);
        for chunk in rest.chunks(BLOCK) {
            block = [0; BLOCK];
            block[..chunk.len()].copy_from_slice(chunk);
            mix(&mut key, &block);
        }
        Dice { key }
    }
}

impl std::fmt::Debug for Dice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dice({:02x}{:02x}…)", self.key[0], self.key[1])
    }
}

fn mix(key: &mut [u8; BLOCK], block: &[u8; BLOCK]) {
    for (k, b) in key.iter_mut().zip(block) {
        *k ^= b;
    }
    let mut rng = ChaCha8Rng::from_seed(*key);
    rng.fill_bytes(key);
}

/// A stream of raw draws.
pub struct Draws(ChaCha8Rng);

impl Draws {
    /// A number in `0..1`, one of 2^53 evenly spaced ones.
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// 64 raw bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number in `0..=1` without the 0.
    pub fn unit_above_zero(&mut self) -> f64 {
        1.0 - self.unit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(dice: Dice) -> f64 {
        dice.draws().unit()
    }

    #[test]
    fn the_same_path_draws_the_same() {
        let route = Dice::new(42).name("db");
        assert_eq!(draw(route.number(7).name("drop")), draw(Dice::new(42).name("db").number(7).name("drop")));
    }

    #[test]
    fn every_step_of_the_path_counts() {
        let base = Dice::new(42).name("db").number(7).name("drop");
        for other in [
            Dice::new(43).name("db").number(7).name("drop"),
            Dice::new(42).name("dc").number(7).name("drop"),
            Dice::new(42).name("db").number(8).name("drop"),
            Dice::new(42).name("db").number(7).name("delay"),
            Dice::new(42).name("db").name("drop").number(7),
            Dice::new(42).name("db").number(7),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn labels_do_not_run_into_each_other() {
        let root = Dice::new(1);
        assert_ne!(root.name("ab").name("c"), root.name("a").name("bc"));
        assert_ne!(root.name("a"), root.name("a\0"));
        assert_ne!(root.number(0x61), root.name("a\0\0\0\0\0\0\0"));
        let long = "x".repeat(24);
        assert_ne!(root.name(&long), root.name(&format!("{long}\0")));
        assert_ne!(root.name(&"x".repeat(56)), root.name(&"x".repeat(57)));
    }

    /// These values are part of what a seed promises: they never change between releases or machines.
    #[test]
    fn golden_vectors() {
        let bits = |dice: Dice| {
            let mut draws = dice.draws();
            [draws.0.next_u64(), draws.0.next_u64()]
        };
        assert_eq!(bits(Dice::new(0)), GOLDEN_ZERO);
        assert_eq!(bits(Dice::new(42).name("db").number(1).name("accept").name("drop")), GOLDEN_DROP);
    }

    const GOLDEN_ZERO: [u64; 2] = [11510729575614853653, 7101635564746911825];
    const GOLDEN_DROP: [u64; 2] = [3034733187214626212, 14046251936347407288];
}
