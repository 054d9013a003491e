//! All randomness of a simulation. One stream per purpose, so that taking a client away leaves the draws of the others as
//! they were: that is what makes a failing seed shrink.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Draws from a seed and a purpose.
#[derive(Debug)]
pub(crate) struct Dice(StdRng);

impl Dice {
    pub(crate) fn new(seed: u64, purpose: &str) -> Self {
        let digest = sha1_smol::Sha1::from(format!("{seed} {purpose}")).digest().bytes();
        let mut start = [0; 32];
        start[..digest.len()].copy_from_slice(&digest);
        Self(StdRng::from_seed(start))
    }

    /// A number from 0, below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0.random_range(0..end.max(1))
    }

    pub(crate) fn tie(&mut self) -> u32 {
        self.0.random()
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0.random()
    }

    /// Whether something of this probability happens.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.0.random::<f64>() < probability
    }

    pub(crate) fn within(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.0.random::<f64>()
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        (!of.is_empty()).then(|| of[self.below(of.len())])
    }

    /// Whole milliseconds between the two, both included; short ones as likely as long ones, by their magnitude.
    pub(crate) fn millis(&mut self, low: u64, high: u64) -> Duration {
        let (low, high) = ((low + 1) as f64, (high + 2) as f64);
        let drawn = low * (high / low).powf(self.0.random());
        Duration::from_millis(drawn as u64 - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_repeats_itself_and_is_no_other() {
        let draw = |seed, purpose| Dice::new(seed, purpose).number();
        assert_eq!(draw(1, "a"), draw(1, "a"));
        assert_ne!(draw(1, "a"), draw(1, "b"));
        assert_ne!(draw(1, "a"), draw(2, "a"));
    }

    #[test]
    fn delays_reach_both_ends_and_go_beyond_none() {
        let mut dice = Dice::new(1, "delays");
        let drawn: Vec<_> = (0..10_000).map(|_| dice.millis(0, 5).as_millis()).collect();
        assert_eq!((drawn.iter().min(), drawn.iter().max()), (Some(&0), Some(&5)));
    }
}
