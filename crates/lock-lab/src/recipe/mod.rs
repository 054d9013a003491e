//! The recipes: one file each, and the list of them. What breaks them lives in `hazard`.

mod del_stale;
mod getset;
mod incr_expire;
mod incr_multi;
mod quorlock;
mod replica;
mod set_del;
mod set_get_del;
mod set_script;
mod setnx_expire;
mod setnx_multi;
mod try_lock;

use std::time::Duration;

use futures::future::BoxFuture;

use crate::error::Result;
use crate::seat::Seat;

/// One client of a recipe. Every command goes through its [`Seat`], so that an interleaving can be forced between any two.
pub trait Recipe: Send {
    /// Tries once. The loop around it is [`Waits`].
    fn acquire(&mut self) -> BoxFuture<'_, Result<Answer>>;

    /// Gives the lock back, as the recipe does it.
    fn release(&mut self) -> BoxFuture<'_, Result<()>>;

    /// What the holder believes: the old recipes never look again.
    fn holds(&self) -> bool {
        true
    }

    /// The fencing token of the lock that it holds.
    fn token(&self) -> Option<u64> {
        None
    }

    /// Stops whatever it does in the background, as a paused process does.
    fn stall(&mut self) {}

    /// Goes on with it.
    fn wake(&mut self) {}

    /// Waits for the lock for no longer than that, where waiting is its own.
    fn wait(&mut self, _limit: Duration) -> Option<BoxFuture<'_, Result<Answer>>> {
        None
    }
}

/// What an attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It holds the lock.
    Held,
    /// Somebody else does, or it may not; with the reason where there is more to say.
    Denied(String),
    /// Servers did not answer in time, or not enough of them: neither a yes nor a no.
    Failed(String),
    /// It has given it back.
    Released,
}

impl From<bool> for Answer {
    fn from(held: bool) -> Self {
        if held { Self::Held } else { Self::Denied(String::new()) }
    }
}

/// What a recipe runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Servers {
    /// One server.
    One,
    /// A primary with a replica that takes its place.
    WithReplica,
    /// Five independent ones.
    Five,
}

/// How the lock of a client that died ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// The server lets the key expire.
    Expiry,
    /// Others compare a time stamp with their clock.
    TimeStamp,
}

/// What the loop around an attempt does in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// The seed has no loop.
    NoLoop,
    /// Nothing.
    Spins,
    /// It sleeps.
    Sleeps(Duration),
    /// Its own business.
    ByItself,
}

/// What is known of a recipe before it is played.
#[derive(Debug)]
pub struct About {
    /// Its place in the tour.
    pub number: u8,
    /// Its name on the command line.
    pub name: &'static str,
    /// Its commands, in words.
    pub title: &'static str,
    /// The article that it comes from, of the five in the project's beginning.
    pub seed: &'static str,
    /// What it runs on.
    pub servers: Servers,
    /// How a dead client's lock ends.
    pub ends: Ends,
    /// What its loop does.
    pub waits: Waits,
    /// A client of it.
    pub client: fn(Seat) -> Box<dyn Recipe>,
}

/// All of them, in the order of the tour.
pub static RECIPES: [About; 13] = [
    incr_expire::ABOUT,
    incr_multi::ABOUT,
    setnx_expire::ABOUT,
    setnx_multi::ABOUT,
    getset::ABOUT,
    del_stale::ABOUT,
    set_del::ABOUT,
    set_get_del::ABOUT,
    set_script::ABOUT,
    try_lock::ABOUT,
    replica::ABOUT,
    quorlock::PLAIN,
    quorlock::FENCED,
];

/// The one with that number or name.
pub fn named(word: &str) -> Option<&'static About> {
    RECIPES.iter().find(|about| about.name == word || about.number.to_string() == word)
}
