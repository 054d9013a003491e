//! Scratch root of helper 2: goes away when the suite is joined.
#![allow(dead_code)]

mod minority_faults;
mod nodes;
mod other_process;
mod replaced_connections;
mod residue;
mod support;
