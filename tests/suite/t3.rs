//! Scratch root of helper 3: goes away when the suite is joined.
#![allow(dead_code)]

mod contention;
mod loss;
mod loss_in_real_time;
mod other_process;
mod outcomes;
mod processes;
mod secrets;
mod support;
mod turns;
