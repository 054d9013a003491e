//! What a node knows of one client: its identity, protocol and database. The connection itself is elsewhere.

use super::command::Transaction;
use super::reply::Protocol;
use super::tracking::{Touch, Tracking};

#[derive(Clone, Debug, Default)]
pub(crate) struct Session {
    pub(crate) id: i64,
    pub(crate) db: usize,
    pub(crate) protocol: Protocol,
    pub(crate) name: Vec<u8>,
    pub(crate) authenticated: bool,
    pub(crate) tracking: Tracking,
    /// Since MULTI.
    pub(crate) transaction: Option<Transaction>,
    /// Said QUIT: nothing more is run for it.
    pub(crate) leaving: bool,
    /// The test itself, not a client: no fault applies to it and nothing it does is counted.
    pub(crate) observer: bool,
}

impl Session {
    pub(crate) fn observer() -> Self {
        Self { authenticated: true, observer: true, ..Self::default() }
    }

    /// The pushes for it of what happened, in bytes; see [`Tracking::follow`].
    pub(crate) fn follow(&mut self, touches: &[Touch], keys: &[Vec<u8>]) -> Vec<u8> {
        let pushes = self.tracking.follow(touches, keys);
        // The older protocol has none. The server takes tracking in all the same, and is silent.
        if self.protocol == Protocol::Resp3 { pushes } else { Vec::new() }
    }
}
