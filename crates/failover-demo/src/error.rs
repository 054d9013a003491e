//! The demo's errors: whatever went wrong, as text for the person who runs it.

/// Anything that can be printed.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

/// The result of everything in the demo that can fail.
pub(crate) type Result<T> = std::result::Result<T, Error>;
