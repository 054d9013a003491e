//! What a command sees of its node while it runs: one database at one moment. Connections are not seen.

use super::facts::Facts;
use super::keyspace::{DATABASES, Entry, Keyspace, Value};
use super::reply::Reply;
use super::tracking::Touch;

pub(crate) const NOT_AN_INTEGER: &str = "ERR value is not an integer or out of range";
pub(crate) const SYNTAX: &str = "ERR syntax error";
pub(crate) const WRONG_TYPE: &str =
    "WRONGTYPE Operation against a key holding the wrong kind of value";

/// The arguments of a command, its name first.
pub(crate) type Args = [Vec<u8>];

/// A reply, or the line of an error: what lets commands use `?`.
pub(crate) type Outcome = Result<Reply, String>;

/// One moment of one database; the moment is the same for all commands of a script.
pub(crate) struct View<'a> {
    pub(crate) keyspace: &'a mut Keyspace,
    /// What happens is noted here.
    pub(crate) touches: &'a mut Vec<Touch>,
    pub(crate) facts: &'a Facts,
    /// Refuses what changes keys.
    pub(crate) is_read_only: bool,
    pub(crate) db: usize,
    pub(crate) now_us: i64,
}

impl View<'_> {
    pub(crate) fn now_ms(&self) -> i64 {
        self.now_us / 1000
    }

    pub(crate) fn entry(&mut self, key: &[u8]) -> Option<&mut Entry> {
        if self.keyspace.expire(self.db, key, self.now_us / 1000) {
            self.changed(key);
        }
        self.keyspace.get(self.db, key)
    }

    /// To be said of every key that was changed by what [`entry`](Self::entry) gave.
    pub(crate) fn changed(&mut self, key: &[u8]) {
        self.touches.push(Touch::Changed(key.to_vec()));
    }

    pub(crate) fn set(&mut self, key: &[u8], entry: Entry) {
        self.keyspace.set(self.db, key, entry);
        self.changed(key);
    }

    /// The text under this key, if it is text.
    pub(crate) fn text(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
        match self.entry(key) {
            None => Ok(None),
            Some(Entry { value: Value::Text(text), .. }) => Ok(Some(text.clone())),
            Some(_) => Err(WRONG_TYPE.to_owned()),
        }
    }

    pub(crate) fn remove(&mut self, key: &[u8]) -> bool {
        let is_there = self.entry(key).is_some();
        if is_there {
            self.keyspace.remove(self.db, key);
            self.changed(key);
        }
        is_there
    }

    pub(crate) fn select(&mut self, number: &[u8]) -> Result<(), String> {
        let number = integer(number)?;
        let db = usize::try_from(number).ok().filter(|db| *db < DATABASES);
        self.db = db.ok_or_else(|| "ERR DB index is out of range".to_owned())?;
        Ok(())
    }
}

/// A number, written the one way that the server accepts.
pub(crate) fn integer(bytes: &[u8]) -> Result<i64, String> {
    let number: Option<i64> = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok());
    number
        .filter(|number| number.to_string().as_bytes() == bytes)
        .ok_or_else(|| NOT_AN_INTEGER.to_owned())
}

pub(crate) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
