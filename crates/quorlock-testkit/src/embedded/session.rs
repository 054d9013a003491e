//! What a node knows of one client: its identity, protocol and database. The connection itself is elsewhere.

use super::reply::Protocol;

#[derive(Clone, Debug, Default)]
pub(crate) struct Session {
    pub(crate) id: i64,
    pub(crate) db: usize,
    pub(crate) protocol: Protocol,
    pub(crate) name: Vec<u8>,
    pub(crate) authenticated: bool,
    /// Said QUIT: nothing more is run for it.
    pub(crate) leaving: bool,
    /// The test itself, not a client: no fault applies to it and nothing it does is counted.
    pub(crate) observer: bool,
}

impl Session {
    pub(crate) fn observer() -> Self {
        Self { authenticated: true, observer: true, ..Self::default() }
    }
}
