//! The dice of faults: what falls follows from a seed, the fault and how many requests matched it, so that a run can
//! be repeated.

/// A row of throws.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    /// For the `matched`th request that matches the `fault`th fault.
    pub(crate) fn new(seed: u64, fault: u64, matched: u64) -> Self {
        Self(mix(mix(mix(seed) ^ fault) ^ matched))
    }

    /// Below 1, and not below 0.
    pub(crate) fn fraction(&mut self) -> f64 {
        f64::from(self.draw()) / (f64::from(u32::MAX) + 1.0)
    }

    /// Below `faces`, and not below 0.
    pub(crate) fn below(&mut self, faces: u32) -> u32 {
        self.draw() % faces.max(1)
    }

    fn draw(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        u32::try_from(mix(self.0) >> 32).unwrap_or_default()
    }
}

/// The finaliser of `SplitMix64` (Steele, Lea, Flood 2014).
fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throws_repeat_and_are_fair() {
        let one = |seed, fault, matched| Chance::new(seed, fault, matched).fraction();
        assert_eq!(one(1, 2, 3).to_bits(), one(1, 2, 3).to_bits());
        let few = (0..10_000).filter(|n| one(42, 1, *n) < 0.05).count();
        assert!((400..600).contains(&few), "{few} of 10000 are below 0.05");
        let same = (0..1000).filter(|n| (one(1, 1, *n) < 0.5) == (one(2, 1, *n) < 0.5)).count();
        assert!((400..600).contains(&same), "two seeds agree in {same} of 1000");
        let mut faces: Vec<u32> = (0..100).map(|n| Chance::new(0, 0, n).below(5)).collect();
        faces.sort_unstable();
        faces.dedup();
        assert_eq!(faces, [0, 1, 2, 3, 4]);
    }
}
