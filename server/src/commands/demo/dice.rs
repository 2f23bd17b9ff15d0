//! Chance that falls the same way for the same seed.

/// SplitMix64: small, fast and good enough for traffic; never for secrets.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice of their own for each `stream` of a seed.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut dice = Self(seed ^ stream.wrapping_mul(0xa076_1d64_78bd_642f));
        dice.next();
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, or 0 where `end` is.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// True in `per_mille` of 1000 throws.
    pub fn falls(&mut self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }

    /// One of `choices`, which are not empty.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len() as u64) as usize]
    }

    /// The place of one of `weights`, the heavier the likelier.
    pub fn weighted(&mut self, weights: impl Iterator<Item = u64> + Clone) -> usize {
        let mut left = self.below(weights.clone().sum());
        for (place, weight) in weights.enumerate() {
            if left < weight {
                return place;
            }
            left -= weight;
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_falls_the_same_way_again_and_streams_differ() {
        let fall = |seed, stream| {
            let mut dice = Dice::new(seed, stream);
            [dice.below(1_000_000), dice.below(1_000_000)]
        };
        assert_eq!(fall(1, 2), fall(1, 2));
        assert!(fall(1, 2) != fall(1, 3) && fall(1, 2) != fall(2, 2));
    }

    #[test]
    fn weights_weigh() {
        let mut dice = Dice::new(1, 1);
        let heavy = (0..1_000).filter(|_| dice.weighted([9, 1].into_iter()) == 0).count();
        assert!((850..950).contains(&heavy), "{heavy}");
    }
}
