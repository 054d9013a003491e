//! Adapters that carry events elsewhere, each behind a feature. They keep no state.

#[cfg(feature = "metrics")]
pub(crate) mod metrics;
#[cfg(feature = "tracing")]
pub(crate) mod tracing;
