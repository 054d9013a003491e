//! Adapters that carry events elsewhere, each behind a feature. They keep no state.

#[cfg(feature = "tracing")]
pub(crate) mod tracing;
