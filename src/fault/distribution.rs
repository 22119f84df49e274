//! How jitter strays: our own distributions over raw draws, exact on every machine.
//!
//! The standard library's `ln` and friends come from the platform and may differ in the last bit between platforms;
//! those here use only the operations that IEEE 754 fixes to the bit.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dice::Draws;
use crate::spec::Period;

/// The shape of a jitter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Distribution {
    /// Evenly within delay ± jitter.
    #[default]
    Uniform,
    /// Mean delay, standard deviation jitter.
    Normal,
    /// Mean delay, standard deviation jitter, with the long tail of a Pareto distribution of shape 3.
    Pareto,
}

impl Distribution {
    /// One time around `delay`; what would be below zero is zero.
    pub fn sample(self, delay: Duration, jitter: Duration, draws: &mut Draws) -> Duration {
        if jitter.is_zero() {
            return delay;
        }
        let stray = match self {
            Distribution::Uniform => 2.0 * draws.unit() - 1.0,
            Distribution::Normal => normal(draws),
            Distribution::Pareto => pareto(draws),
        };
        let nanos = delay.as_nanos() as f64 + stray * jitter.as_nanos() as f64;
        // `as` saturates: below zero counts as zero, and a tail beyond all time as the end of it.
        Duration::from_nanos((nanos + 0.5) as u64)
    }
}

impl Distribution {
    /// A time and its jitter in words: "150ms to 250ms".
    pub(super) fn says(self, delay: Period, jitter: Period) -> String {
        let (time, stray) = (delay.get(), jitter.get());
        match self {
            _ if stray.is_zero() => delay.to_string(),
            Distribution::Uniform => {
                let (least, most) = (time.saturating_sub(stray), time.saturating_add(stray));
                format!("{} to {}", Period::new(least), Period::new(most))
            }
            Distribution::Normal => format!("{delay} give or take {jitter} (normal)"),
            Distribution::Pareto => format!("{delay} give or take {jitter}, at times much longer (pareto),"),
        }
    }

    /// The same for a cell of a table: "200ms ±50ms".
    pub(super) fn brief(self, delay: Period, jitter: Period) -> String {
        if jitter.get().is_zero() {
            return delay.to_string();
        }
        let shape = match self {
            Distribution::Uniform => "",
            Distribution::Normal => " normal",
            Distribution::Pareto => " pareto",
        };
        format!("{delay} ±{jitter}{shape}")
    }
}

/// Mean 0, standard deviation 1 (Marsaglia's polar method).
fn normal(draws: &mut Draws) -> f64 {
    loop {
        let (x, y) = (2.0 * draws.unit() - 1.0, 2.0 * draws.unit() - 1.0);
        let square = x * x + y * y;
        if square > 0.0 && square < 1.0 {
            return x * (-2.0 * ln(square) / square).sqrt();
        }
    }
}

/// A Pareto distribution of shape 3, shifted and scaled to mean 0, standard deviation 1.
fn pareto(draws: &mut Draws) -> f64 {
    const MEAN: f64 = 1.5;
    let deviation = 0.75_f64.sqrt();
    (1.0 / cube_root(draws.unit_above_zero()) - MEAN) / deviation
}

/// The natural logarithm of a positive normal number.
pub(super) fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut exponent = (bits >> 52) as i64 - 1023;
    let mut mantissa = f64::from_bits((bits & ((1 << 52) - 1)) | (1023 << 52));
    if mantissa > std::f64::consts::SQRT_2 {
        mantissa /= 2.0;
        exponent += 1;
    }
    // ln m = 2 atanh s, with s = (m-1)/(m+1) and |s| < 0.172: twelve terms are past the last bit.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let square = s * s;
    let mut sum = 0.0;
    for k in (0..12).rev() {
        sum = sum * square + 1.0 / f64::from(2 * k + 1);
    }
    2.0 * s * sum + exponent as f64 * std::f64::consts::LN_2
}

/// The cube root of a number in `0..=1` without the 0.
fn cube_root(x: f64) -> f64 {
    // A third of the exponent is a guess good to a few bits; Newton's steps square the error.
    let mut root = f64::from_bits(x.to_bits() / 3 + 0x2A9F_7893_0000_0000);
    for _ in 0..6 {
        root -= (root * root * root - x) / (3.0 * root * root);
    }
    root
}

#[cfg(test)]
mod tests {
    use super::super::dice::Dice;
    use super::*;

    const MEAN: Duration = Duration::from_millis(200);
    const JITTER: Duration = Duration::from_millis(50);
    const MILLION: usize = 1_000_000;

    /// The largest distance between the sampled and the true distribution function that chance allows at a million
    /// draws with a false alarm once in 1e9 (Dvoretzky-Kiefer-Wolfowitz).
    const BOUND: f64 = 0.0033;

    fn samples(distribution: Distribution, mean: Duration, jitter: Duration) -> Vec<f64> {
        let mut draws = Dice::new(7).name("distribution").draws();
        let mut all: Vec<f64> =
            (0..MILLION).map(|_| distribution.sample(mean, jitter, &mut draws).as_secs_f64()).collect();
        all.sort_by(f64::total_cmp);
        all
    }

    fn distance(sorted: &[f64], cdf: impl Fn(f64) -> f64) -> f64 {
        let n = sorted.len() as f64;
        sorted
            .iter()
            .enumerate()
            .map(|(i, &x)| {
                let p = cdf(x);
                (p - i as f64 / n).abs().max(((i + 1) as f64 / n - p).abs())
            })
            .fold(0.0, f64::max)
    }

    #[test]
    fn uniform_is_even_over_delay_plus_or_minus_jitter() {
        let all = samples(Distribution::Uniform, MEAN, JITTER);
        assert!(all[0] >= 0.150 && all[MILLION - 1] <= 0.250);
        assert!(distance(&all, |x| (x - 0.150) / 0.100) < BOUND);
    }

    #[test]
    fn normal_has_the_mean_and_deviation_it_says() {
        // Far enough from zero that nothing is cut off.
        let all = samples(Distribution::Normal, 20 * MEAN, JITTER);
        // The distribution function, by Simpson's rule over the density: exact to far below the bound.
        let cdf = |x: f64| {
            let z = (x - 4.0) / 0.050;
            let steps = 200;
            let h = z / f64::from(steps);
            let density = |t: f64| (-t * t / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
            let weighted: f64 = (0..=steps)
                .map(|i| match i {
                    0 => 1.0,
                    i if i == steps => 1.0,
                    i if i % 2 == 1 => 4.0,
                    _ => 2.0,
                } * density(h * f64::from(i)))
                .sum();
            0.5 + weighted * h / 3.0
        };
        // A thousand points of the million are enough to meet the bound within 0.001.
        let thin: Vec<f64> = all.iter().copied().skip(500).step_by(1000).collect();
        assert!(distance(&thin, cdf) < BOUND + 0.001);
    }

    #[test]
    fn pareto_has_the_tail_it_says() {
        let all = samples(Distribution::Pareto, MEAN, JITTER);
        let deviation = 0.75_f64.sqrt();
        let cdf = |x: f64| 1.0 - ((x - 0.2) / 0.050 * deviation + 1.5).max(1.0).powi(-3);
        assert!(distance(&all, cdf) < BOUND);
    }

    #[test]
    fn no_jitter_is_exact_and_below_zero_is_zero() {
        let mut draws = Dice::new(1).draws();
        assert_eq!(Distribution::Normal.sample(MEAN, Duration::ZERO, &mut draws), MEAN);
        let all = samples(Distribution::Normal, Duration::ZERO, JITTER);
        let zeros = all.iter().filter(|x| **x == 0.0).count();
        assert!((494_000..506_000).contains(&zeros), "{zeros}");
    }

    /// Part of what a seed promises.
    #[test]
    fn golden_vectors() {
        let five = |distribution: Distribution| {
            let mut draws = Dice::new(42).name("jitter").draws();
            std::array::from_fn::<u128, 5, _>(|_| distribution.sample(MEAN, JITTER, &mut draws).as_nanos())
        };
        assert_eq!(five(Distribution::Uniform), [240345419, 225384098, 175150965, 196313130, 177504380]);
        assert_eq!(five(Distribution::Normal), [218503648, 117933538, 189073774, 267904992, 125412134]);
        assert_eq!(five(Distribution::Pareto), [239249879, 205520329, 176985773, 184434252, 177666544]);
    }

    #[test]
    fn our_functions_agree_with_the_platform() {
        let mut draws = Dice::new(3).draws();
        for _ in 0..100_000 {
            let x = draws.unit_above_zero();
            assert!((ln(x) - x.ln()).abs() <= 1e-14 * x.ln().abs().max(1.0), "{x}");
            assert!((cube_root(x) - x.cbrt()).abs() <= 1e-15, "{x}");
        }
        let smallest = 1.0 / (1u64 << 53) as f64;
        assert!((cube_root(smallest) - smallest.cbrt()).abs() <= 1e-15);
    }
}
