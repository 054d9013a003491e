//! The one source of randomness: tokens and jitter. What is drawn from it lives elsewhere.

use std::sync::Mutex;

use rand::rngs::{StdRng, SysRng};
use rand::{Rng, RngExt, SeedableRng, TryRng};

use crate::sync::lock;

/// Draws from the operating system, or, under simulation, from a seed.
pub(crate) struct Entropy {
    from_system: bool,
    seeded: Mutex<StdRng>,
}

impl Entropy {
    /// Asks the operating system for every draw, so that a forked process does not repeat its parent's tokens.
    pub(crate) fn system() -> Result<Self, rand::rngs::SysError> {
        Ok(Self { from_system: true, seeded: Mutex::new(StdRng::try_from_rng(&mut SysRng)?) })
    }

    /// Replays the same draws for the same seed.
    pub(crate) fn seeded(seed: u64) -> Self {
        Self { from_system: false, seeded: Mutex::new(StdRng::seed_from_u64(seed)) }
    }

    pub(crate) fn bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        if !self.from_system || SysRng.try_fill_bytes(&mut bytes).is_err() {
            lock(&self.seeded).fill_bytes(&mut bytes);
        }
        bytes
    }

    /// A number in `0.0..1.0`, for jitter: never secret, so the seeded generator will do.
    pub(crate) fn unit(&self) -> f64 {
        lock(&self.seeded).random()
    }
}

impl std::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entropy").field("from_system", &self.from_system).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_draws_the_same_and_the_system_never_does() {
        assert_eq!(Entropy::seeded(7).bytes(), Entropy::seeded(7).bytes());
        let system = Entropy::system().unwrap();
        assert_ne!(system.bytes(), system.bytes());
    }
}
