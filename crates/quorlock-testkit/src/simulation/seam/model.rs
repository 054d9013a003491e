//! What the library's scripts do to the keys of one node, said in Rust: for simulations at the seam to a node, where a
//! script engine would cost most of the time. Held to the scripts themselves by `tests/model.rs`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use quorlock::seam::{Reply, Verb};

/// How many changes a crash can take back.
const REMEMBERED: usize = 8;

/// The keys of one node. Reads no clock.
#[derive(Clone, Debug, Default)]
pub struct Model {
    keys: Keys,
    /// As they were before each of the last changes, the latest last.
    before: VecDeque<Keys>,
}

type Keys = BTreeMap<String, Entry>;

/// One key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose it is.
    pub token: Arc<str>,
    /// In milliseconds on the node's clock; there still when it is reached, as on a server.
    pub expires_at: i64,
}

impl Model {
    /// Does what is asked, and answers as the scripts do. `now` and `ttl` in milliseconds.
    pub fn ask(&mut self, verb: Verb, keys: &[String], token: &str, ttl: i64, now: i64) -> Reply {
        self.keys.retain(|_, entry| now <= entry.expires_at);
        let before = self.keys.clone();
        let reply = match verb {
            Verb::Acquire => self.acquire(keys, token, now + ttl),
            Verb::Extend => self.extend(keys, token, now + ttl),
            Verb::Repair => self.repair(keys, token, now + ttl),
            Verb::Release | Verb::Undo => self.release(keys, token),
        };
        if before != self.keys {
            self.before.push_back(before);
            if self.before.len() > REMEMBERED {
                self.before.pop_front();
            }
        }
        reply
    }

    fn acquire(&mut self, keys: &[String], token: &str, expires_at: i64) -> Reply {
        if keys.iter().any(|key| self.keys.contains_key(key)) {
            return Reply::Denied;
        }
        self.set(keys, token, expires_at);
        Reply::Granted
    }

    fn extend(&mut self, keys: &[String], token: &str, expires_at: i64) -> Reply {
        if self.is_anothers(keys, token) {
            return Reply::HeldByAnother;
        }
        if keys.iter().any(|key| !self.keys.contains_key(key)) {
            return Reply::Missing;
        }
        self.set(keys, token, expires_at);
        Reply::Kept
    }

    fn repair(&mut self, keys: &[String], token: &str, expires_at: i64) -> Reply {
        if self.is_anothers(keys, token) {
            return Reply::Denied;
        }
        self.set(keys, token, expires_at);
        Reply::Granted
    }

    fn release(&mut self, keys: &[String], token: &str) -> Reply {
        let (mut deleted, mut others) = (0, 0);
        for key in keys {
            match self.keys.get(key) {
                Some(entry) if *entry.token == *token => {
                    self.keys.remove(key);
                    deleted += 1;
                }
                Some(_) => others += 1,
                None => {}
            }
        }
        Reply::Released { deleted, others, foreign: 0 }
    }

    fn is_anothers(&self, keys: &[String], token: &str) -> bool {
        keys.iter().any(|key| self.keys.get(key).is_some_and(|entry| *entry.token != *token))
    }

    /// Never shortens what is there.
    fn set(&mut self, keys: &[String], token: &str, expires_at: i64) {
        for key in keys {
            let entry = self.keys.entry(key.clone());
            let entry = entry.or_insert_with(|| Entry { token: token.into(), expires_at });
            entry.expires_at = entry.expires_at.max(expires_at);
        }
    }

    /// The keys that are there at `now`.
    pub fn live(&self, now: i64) -> impl Iterator<Item = (&String, &Entry)> {
        self.keys.iter().filter(move |(_, entry)| now <= entry.expires_at)
    }

    /// Somebody else sets this key until then, or deletes it.
    pub(crate) fn meddle(&mut self, key: &str, until: Option<i64>) {
        self.keys.remove(key);
        if let Some(expires_at) = until {
            self.keys.insert(key.to_owned(), Entry { token: "somebody".into(), expires_at });
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes the last `changes` back. Returns the keys that are as they were, and were not just before.
    pub(crate) fn roll_back(&mut self, changes: usize) -> Vec<(String, Arc<str>)> {
        let now = self.keys.clone();
        for _ in 0..changes {
            if let Some(before) = self.before.pop_back() {
                self.keys = before;
            }
        }
        let back = self.keys.iter().filter(|(key, entry)| now.get(*key) != Some(entry));
        back.map(|(key, entry)| (key.clone(), Arc::clone(&entry.token))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(model: &Model) -> Vec<(&str, &str, i64)> {
        model.live(0).map(|(k, e)| (k.as_str(), &*e.token, e.expires_at)).collect()
    }

    #[test]
    fn a_crash_takes_the_last_changes_back() {
        let mut model = Model::default();
        let key = ["a".to_owned()];
        model.ask(Verb::Acquire, &key, "t", 10, 0);
        model.ask(Verb::Acquire, &key, "u", 10, 0);
        model.ask(Verb::Extend, &key, "t", 20, 0);
        model.ask(Verb::Release, &key, "t", 0, 0);
        assert!(keys(&model).is_empty());
        assert_eq!(model.roll_back(1), [("a".to_owned(), "t".into())]);
        assert_eq!(keys(&model), [("a", "t", 20)]);
        model.roll_back(1);
        assert_eq!(keys(&model), [("a", "t", 10)]);
        model.roll_back(5);
        assert!(keys(&model).is_empty());
    }
}
