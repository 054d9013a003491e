//! What the lock protects: a store that takes writes, and compares tokens where it is given any.

use std::sync::{Arc, Mutex, PoisonError};

/// A store in memory. Clones are the same store.
#[derive(Debug, Clone, Default)]
pub struct Store(Arc<Mutex<u64>>);

impl Store {
    /// Whether it takes a write: any without a token, and one with a token that is not below the highest that it has seen.
    pub fn write(&self, token: Option<u64>) -> bool {
        let Some(token) = token else { return true };
        let mut highest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let accepted = token >= *highest;
        *highest = token.max(*highest);
        accepted
    }
}
