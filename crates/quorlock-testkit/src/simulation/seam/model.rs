//! What the library's scripts do to the keys of one node, said in Rust: for simulations at the seam to a node, where a
//! script engine would cost most of the time. Held to the scripts themselves by `tests/model.rs`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use quorlock::seam::{Fence, Reply, Verb};

/// How many changes a crash can take back.
const REMEMBERED: usize = 8;

/// The keys of one node. Reads no clock.
#[derive(Clone, Debug, Default)]
pub struct Model {
    state: State,
    /// As it was before each of the last changes, the latest last.
    before: VecDeque<State>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    keys: BTreeMap<String, Entry>,
    /// The fence counters, by the lock key that they stand beside.
    counters: BTreeMap<String, Counter>,
}

/// One key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose it is.
    pub token: Arc<str>,
    /// In milliseconds on the node's clock; there still when it is reached, as on a server.
    pub expires_at: i64,
}

/// One fence counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Where it stands.
    pub number: u64,
    /// As that of a key.
    pub expires_at: i64,
}

/// What is asked of a node.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// What to do.
    pub verb: Verb,
    /// With which keys.
    pub keys: &'a [String],
    /// For whom.
    pub token: &'a str,
    /// For how many milliseconds.
    pub ttl: i64,
    /// And what with the fence counters.
    pub fence: Option<Fence>,
}

const MINUTE_US: u64 = 60_000_000;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

impl Model {
    /// Does what is asked, and answers as the scripts do. `now` in milliseconds since 1970.
    pub fn ask(&mut self, ask: &Ask<'_>, now: i64) -> Reply {
        self.state.keys.retain(|_, entry| now <= entry.expires_at);
        self.state.counters.retain(|_, counter| now <= counter.expires_at);
        let before = self.state.clone();
        let reply = self.state.ask(ask, now);
        if before != self.state {
            self.before.push_back(before);
            if self.before.len() > REMEMBERED {
                self.before.pop_front();
            }
        }
        reply
    }

    /// The keys that are there at `now`.
    pub fn live(&self, now: i64) -> impl Iterator<Item = (&String, &Entry)> {
        self.state.keys.iter().filter(move |(_, entry)| now <= entry.expires_at)
    }

    /// The counters that are there at `now`, by the keys that they stand beside.
    pub fn counters(&self, now: i64) -> impl Iterator<Item = (&String, &Counter)> {
        self.state.counters.iter().filter(move |(_, counter)| now <= counter.expires_at)
    }

    /// Somebody else sets this key until then, or deletes it.
    pub(crate) fn meddle(&mut self, key: &str, until: Option<i64>) {
        self.state.keys.remove(key);
        if let Some(expires_at) = until {
            self.state.keys.insert(key.to_owned(), Entry { token: "somebody".into(), expires_at });
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes the last `changes` back. Returns the keys that are as they were, and were not just before.
    pub(crate) fn roll_back(&mut self, changes: usize) -> Vec<(String, Arc<str>)> {
        let now = self.state.keys.clone();
        for _ in 0..changes {
            if let Some(before) = self.before.pop_back() {
                self.state = before;
            }
        }
        let back = self.state.keys.iter().filter(|(key, entry)| now.get(*key) != Some(entry));
        back.map(|(key, entry)| (key.clone(), Arc::clone(&entry.token))).collect()
    }
}

impl State {
    fn ask(&mut self, ask: &Ask<'_>, now: i64) -> Reply {
        let Ask { verb, keys, token, ttl, fence } = *ask;
        let counters_until = now + DAY_MS.max(2 * ttl);
        let reply = match (verb, fence) {
            (Verb::Acquire, Some(Fence::Count(least))) => {
                // A minute beyond the holder before, or a day ahead, by the seconds of the node's clock.
                let counters = keys.iter().filter_map(|key| self.counters.get(key));
                let before = counters.map(|counter| counter.number).max().unwrap_or_default();
                let most = (now.div_euclid(1000) + DAY_MS / 1000) * 1_000_000;
                let is_sane = i64::try_from(least).is_ok_and(|least| least <= most)
                    || least <= before.saturating_add(MINUTE_US);
                let least = if is_sane { least } else { 0 };
                self.acquire_fenced(keys, token, now + ttl, least, counters_until)
            }
            (Verb::Acquire, _) => self.acquire(keys, token, now + ttl),
            (Verb::Certify, Some(Fence::Raise { granted, to })) => {
                self.certify(keys, token, granted, to, counters_until)
            }
            (Verb::Certify, _) => Reply::Denied,
            (Verb::Extend, _) => self.extend(keys, token, now, now + ttl),
            (Verb::Repair, _) => self.repair(keys, token, now + ttl),
            (Verb::Release | Verb::Undo, _) => self.release(keys, token),
        };
        if let Some(Fence::Lift(to)) = fence
            && matches!(reply, Reply::Kept { .. } | Reply::Granted | Reply::Released { .. })
        {
            for key in keys {
                let number = self.counters.get(key).map_or(to, |counter| counter.number.max(to));
                // A release prolongs none that it need not lift.
                let is_behind = self.counters.get(key).is_none_or(|counter| counter.number < to);
                if is_behind || !verb.is_release() {
                    self.count(key, number, counters_until);
                }
            }
        }
        reply
    }

    /// Never kept for less than it was.
    fn count(&mut self, key: &str, number: u64, expires_at: i64) {
        let before = self.counters.get(key).map_or(expires_at, |counter| counter.expires_at);
        let expires_at = expires_at.max(before);
        self.counters.insert(key.to_owned(), Counter { number, expires_at });
    }

    fn acquire(&mut self, keys: &[String], token: &str, expires_at: i64) -> Reply {
        if keys.iter().any(|key| self.keys.contains_key(key)) {
            return Reply::Denied;
        }
        self.set(keys, token, expires_at);
        Reply::Granted
    }

    fn acquire_fenced(
        &mut self,
        keys: &[String],
        token: &str,
        expires_at: i64,
        least: u64,
        counters_until: i64,
    ) -> Reply {
        if matches!(self.acquire(keys, token, expires_at), Reply::Denied) {
            return Reply::Denied;
        }
        let counters = keys.iter().filter_map(|key| self.counters.get(key));
        let highest = counters.map(|counter| counter.number).max().unwrap_or_default();
        let number = least.max(highest + 1);
        keys.iter().for_each(|key| self.count(key, number, counters_until));
        Reply::Counted(number)
    }

    fn certify(
        &mut self,
        keys: &[String],
        token: &str,
        granted: u64,
        to: u64,
        counters_until: i64,
    ) -> Reply {
        let is_own = |key| self.keys.get(key).is_some_and(|entry| *entry.token == *token);
        let stands = |key| self.counters.get(key).is_some_and(|counter| counter.number == granted);
        if !keys.iter().all(|key| is_own(key) && stands(key)) {
            return Reply::Denied;
        }
        keys.iter().for_each(|key| self.count(key, to, counters_until));
        Reply::Granted
    }

    fn extend(&mut self, keys: &[String], token: &str, now: i64, expires_at: i64) -> Reply {
        if self.is_anothers(keys, token) {
            return Reply::HeldByAnother;
        }
        if keys.iter().any(|key| !self.keys.contains_key(key)) {
            return Reply::Missing;
        }
        let ends = keys.iter().filter_map(|key| self.keys.get(key)).map(|entry| entry.expires_at);
        let left = ends.min().map_or(0, |end| end - now);
        self.set(keys, token, expires_at);
        Reply::Kept { found: Duration::from_millis(u64::try_from(left).unwrap_or_default()) }
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
        let resource = ["a".to_owned()];
        let mut ask = |verb, token, ttl| {
            model.ask(&Ask { verb, keys: &resource, token, ttl, fence: None }, 0);
        };
        ask(Verb::Acquire, "t", 10);
        ask(Verb::Acquire, "u", 10);
        ask(Verb::Extend, "t", 20);
        ask(Verb::Release, "t", 0);
        assert!(keys(&model).is_empty());
        assert_eq!(model.roll_back(1), [("a".to_owned(), "t".into())]);
        assert_eq!(keys(&model), [("a", "t", 20)]);
        model.roll_back(1);
        assert_eq!(keys(&model), [("a", "t", 10)]);
        model.roll_back(5);
        assert!(keys(&model).is_empty());
    }
}
