//! The keys of all databases, with their expiry. It reads no clock and knows no command.

use std::collections::{BTreeMap, VecDeque};

use super::view::lossy;

/// As many as a server has that nobody configured.
pub(crate) const DATABASES: usize = 16;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text(Vec<u8>),
    List(VecDeque<Vec<u8>>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) value: Value,
    /// In milliseconds since 1970.
    pub(crate) expires_at: Option<i64>,
}

impl Entry {
    fn is_live(&self, now_ms: i64) -> bool {
        // The server's own rule: gone once the time lies behind, there still when it is reached.
        self.expires_at.is_none_or(|at| now_ms <= at)
    }

    pub(crate) fn text(&self) -> Option<String> {
        match &self.value {
            Value::Text(text) => Some(lossy(text)),
            Value::List(_) => None,
        }
    }
}

/// Ordered maps, so that the same run gives the same replies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keyspace([BTreeMap<Vec<u8>, Entry>; DATABASES]);

impl Keyspace {
    /// Forgets this key if it has expired; says whether it has.
    pub(crate) fn expire(&mut self, db: usize, key: &[u8], now_ms: i64) -> bool {
        let has_expired = self.0[db].get(key).is_some_and(|entry| !entry.is_live(now_ms));
        has_expired && self.0[db].remove(key).is_some()
    }

    /// What is there, expired or not.
    pub(crate) fn get(&mut self, db: usize, key: &[u8]) -> Option<&mut Entry> {
        self.0[db].get_mut(key)
    }

    pub(crate) fn set(&mut self, db: usize, key: &[u8], entry: Entry) {
        self.0[db].insert(key.to_vec(), entry);
    }

    pub(crate) fn remove(&mut self, db: usize, key: &[u8]) {
        self.0[db].remove(key);
    }

    pub(crate) fn clear(&mut self, db: usize) {
        self.0[db].clear();
    }

    pub(crate) fn clear_all(&mut self) {
        *self = Self::default();
    }

    /// Forgets what has expired, as a server does in its spare time; gives the keys.
    pub(crate) fn purge(&mut self, now_ms: i64) -> Vec<Vec<u8>> {
        let mut expired = Vec::new();
        for keys in &mut self.0 {
            keys.retain(|key, entry| {
                let is_live = entry.is_live(now_ms);
                expired.extend((!is_live).then(|| key.clone()));
                is_live
            });
        }
        expired
    }

    /// What lives in one database.
    pub(crate) fn entries(
        &self,
        db: usize,
        now_ms: i64,
    ) -> impl Iterator<Item = (&Vec<u8>, &Entry)> {
        self.0[db].iter().filter(move |(_, entry)| entry.is_live(now_ms))
    }

    /// The live keys of one database.
    pub(crate) fn keys(&self, db: usize, now_ms: i64) -> impl Iterator<Item = &Vec<u8>> {
        self.entries(db, now_ms).map(|(key, _)| key)
    }

    /// The live keys of all databases.
    pub(crate) fn all_keys(&self, now_ms: i64) -> impl Iterator<Item = &Vec<u8>> {
        (0..DATABASES).flat_map(move |db| self.keys(db, now_ms))
    }
}
