//! Simulations: the real library in a world of virtual time, in which everything that can go wrong does, all from one seed.
//! What a promise is, is the [`checker`](crate::checker)'s; nothing here is told to look away.
//!
//! The same [`Plan`] gives the same history, byte for byte. `simulate`, the program, runs many and replays one.

mod asking;
mod backing;
mod census;
mod dice;
mod fault;
mod fencing;
mod field;
mod finding;
mod handing;
mod html;
mod nemesis;
mod plan;
mod record;
mod run;
mod seam;
mod shrink;
mod tasks;
mod timeline;
mod truth;
mod wire;
mod wish;
mod worker;

pub use self::{
    census::{Census, Struck},
    fault::{Faults, Kind},
    finding::Finding,
    html::html,
    plan::{Assumptions, Depth, Plan},
    record::Note,
    run::{Outcome, run},
    seam::model::{Ask, Counter, Entry, Model},
    shrink::shrink,
    timeline::{Extent, timeline},
};
