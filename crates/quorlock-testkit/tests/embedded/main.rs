//! The embedded node: its commands, scripts, time and faults, and its likeness to the real server. The wire in front
//! of it is tested in `proxy`.

#[path = "../raw/mod.rs"]
mod raw;

mod commands;
mod connections;
mod differential;
mod faults;
mod scripts;
mod time;
