//! Scratch root of helper 1: goes away when the suite is joined.
#![allow(dead_code)]

mod acquire;
mod bad_input;
mod extend;
mod keeper;
mod late;
mod release;
mod resources;
mod support;
mod tidy;
mod wait;
