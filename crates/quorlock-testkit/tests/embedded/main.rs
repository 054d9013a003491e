//! The embedded node: its commands, scripts, time and faults, and its likeness to the real server. The wire in front
//! of it is tested in `proxy`.

#[path = "../raw/mod.rs"]
mod raw;

mod commands;
mod connections;
mod differential;
mod facts;
mod faults;
mod odd;
mod pushes;
mod scripts;
mod time;
mod tracking;
