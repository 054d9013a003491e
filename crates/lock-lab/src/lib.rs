//! The lock lab: the recipes for a Redis lock that people copy, and what breaks each. The lock that it is all about is the
//! crate `quorlock`.
//!
//! A [`Recipe`](recipe::Recipe) is one client of one recipe; every command that it sends passes a [`Seat`](seat::Seat), where a
//! hazard can stop it. A [`Hazard`](hazard::Hazard) is an order of events that is forced on real servers, and comes to a
//! [`Verdict`](verdict::Verdict). [`matrix`] plays every hazard on every recipe.

pub mod actor;
mod error;
pub mod hazard;
pub mod html;
pub mod matrix;
pub mod race;
pub mod recipe;
pub mod seat;
pub mod stage;
pub mod store;
pub mod story;
pub mod verdict;
mod wire;

pub use self::error::{Error, Result};
