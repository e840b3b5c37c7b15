//! A slow product.

use std::time::Duration;

use serde::Deserialize;

use crate::fault::{Chance, Kind, Misbehaviour, parameters};

pub(crate) const KIND: Kind = Kind {
    name: "latency",
    about: "waits before the request is looked at: so long; or `uniform` between `spread` less and `spread` more; or `normal` with this standard deviation; or `exponential`; or `lognormal`, a median and a long tail, where `spread` is sigma in hundredths",
    parameters: r#"{"milliseconds": 1000, "distribution": "constant", "spread": 0}"#,
    build: parameters::<Latency>,
};

/// No distribution's tail gets longer.
const LONGEST: f64 = 3_600_000.0;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Latency {
    milliseconds: u32,
    distribution: Distribution,
    spread: u32,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Distribution {
    #[default]
    Constant,
    Uniform,
    Normal,
    Exponential,
    Lognormal,
}

impl Default for Latency {
    fn default() -> Self {
        Self { milliseconds: 1000, distribution: Distribution::Constant, spread: 0 }
    }
}

impl Misbehaviour for Latency {
    fn delay(&self, chance: &mut Chance) -> Duration {
        let (middle, spread) = (f64::from(self.milliseconds), f64::from(self.spread));
        let milliseconds = match self.distribution {
            Distribution::Constant => middle,
            Distribution::Uniform => middle + spread * (2.0 * chance.fraction() - 1.0),
            Distribution::Normal => middle + spread * normal(chance),
            Distribution::Exponential => -middle * (1.0 - chance.fraction()).ln(),
            Distribution::Lognormal => middle * (spread / 100.0 * normal(chance)).exp(),
        };
        Duration::try_from_secs_f64(milliseconds.clamp(0.0, LONGEST) / 1000.0).unwrap_or_default()
    }
}

/// Of the standard normal distribution (Box and Muller).
fn normal(chance: &mut Chance) -> f64 {
    let (one, other) = (1.0 - chance.fraction(), chance.fraction());
    (-2.0 * one.ln()).sqrt() * (std::f64::consts::TAU * other).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean, median and longest of many delays, milliseconds.
    fn many(distribution: Distribution, spread: u32) -> [f64; 3] {
        const N: u16 = 10_000;
        let latency = Latency { milliseconds: 100, distribution, spread };
        let mut all: Vec<f64> =
            (0..N).map(|n| latency.delay(&mut Chance::new(7, 1, n.into())).as_secs_f64() * 1000.0).collect();
        all.sort_by(f64::total_cmp);
        let mean = all.iter().sum::<f64>() / f64::from(N);
        [mean, all[usize::from(N) / 2], all[usize::from(N) - 1]].map(f64::round)
    }

    #[test]
    fn delays_are_distributed_as_their_names_say_and_the_same_in_every_run() {
        let near = |[mean, median, _]: [f64; 3], wanted: [f64; 2]| {
            assert!((mean - wanted[0]).abs() < 5.0 && (median - wanted[1]).abs() < 5.0, "{mean} {median}");
        };
        near(many(Distribution::Constant, 50), [100.0, 100.0]);
        assert!(many(Distribution::Constant, 50)[2] < 100.5);
        near(many(Distribution::Uniform, 50), [100.0, 100.0]);
        near(many(Distribution::Normal, 20), [100.0, 100.0]);
        near(many(Distribution::Exponential, 0), [100.0, 69.3]);
        near(many(Distribution::Lognormal, 50), [113.3, 100.0]);
        assert!(many(Distribution::Uniform, 50)[2] <= 150.0);
        assert!(many(Distribution::Exponential, 0)[2] > 500.0);
    }
}
