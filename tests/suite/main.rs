//! The suite: every promise, on nodes of whichever kind this machine has. One binary, one file per concern.

mod acquire;
mod bad_input;
mod contention;
mod dependencies;
mod extend;
mod keeper;
mod late;
mod lifetimes;
mod loss;
mod loss_in_real_time;
mod minority_faults;
mod nodes;
mod observers;
mod other_process;
mod outcomes;
mod processes;
mod release;
mod replaced_connections;
mod residue;
mod resources;
mod secrets;
mod support;
mod tidy;
mod tls;
mod turns;
mod wait;
