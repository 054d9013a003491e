//! The rules of fencing, extending, repair, quarantine and markers as a model that stateright checks over all its states,
//! with the wrong rules that must be found. No line of the library runs here.

pub mod action;
pub mod change;
pub mod client;
pub mod messages;
pub mod model;
pub mod node;
pub mod nodes;
pub mod report;
pub mod rules;
pub mod state;
pub mod trace;
pub mod usage;
pub mod variants;
