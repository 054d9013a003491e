//! What is counted by `benches/instructions.rs`: locks on five nodes in memory. How counts are held against the pins lives in
//! `main.rs`.

mod answer;
mod node;
mod world;

pub use self::answer::OFF_THE_BOOKS;
pub use self::world::{REPEATS, Wish, World};
