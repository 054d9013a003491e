//! A client of its own process, for the suite to stop, kill, or let end. What it does is its first argument.

fn main() {}
