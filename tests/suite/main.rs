//! The suite: every promise, on nodes of whichever kind this machine has. One binary, one file per concern.

mod acquire;
#[allow(dead_code)]
mod support;
