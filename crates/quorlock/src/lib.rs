//! Placeholder until the first floor stands.
