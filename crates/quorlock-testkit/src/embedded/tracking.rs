//! What a connection tracks, and the pushes that tell it of changes. When they are sent is the server's.

use std::collections::BTreeSet;

use super::server::{Key, Server, State};

/// What a command did that matters to those who track keys, in the order in which it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Touch {
    /// A key was set, deleted, given another expiry, or found to have expired; in whichever database.
    Changed(Vec<u8>),
    /// A database was emptied, whichever.
    Flushed,
    /// The keys of the command were read; those of a script as soon as it reads anything.
    Read,
}

/// `CLIENT TRACKING` of one connection, always `OPTIN`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tracking {
    on: bool,
    /// The next command's reads are remembered.
    caching: bool,
    /// They stay when tracking is switched off, as in the server: of those that have not changed until it is on again, it tells.
    keys: BTreeSet<Vec<u8>>,
}

impl Tracking {
    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    pub(crate) fn turn_on(&mut self) {
        self.on = true;
    }

    pub(crate) fn turn_off(&mut self) {
        (self.on, self.caching) = (false, false);
    }

    pub(crate) fn cache_next(&mut self) {
        self.caching = true;
    }

    pub(crate) fn cache_no_more(&mut self) {
        self.caching = false;
    }

    /// Takes in what happened while a command ran whose keys are `keys`, if the command was this connection's. The bytes
    /// of the pushes, maybe none.
    pub(crate) fn follow(&mut self, touches: &[Touch], keys: &[Vec<u8>]) -> Vec<u8> {
        let mut pushes = Vec::new();
        for touch in touches {
            match touch {
                Touch::Changed(key) if self.keys.remove(key) && self.on => {
                    pushes.extend(push(Some(key)));
                }
                Touch::Flushed => {
                    self.keys.clear();
                    pushes.extend(self.on.then(|| push(None)).into_iter().flatten());
                }
                Touch::Read if self.on && self.caching => self.keys.extend(keys.iter().cloned()),
                Touch::Changed(_) | Touch::Read => {}
            }
        }
        pushes
    }
}

impl Server {
    /// Tells all who track keys what was done to them; a node that is frozen does so when it goes on.
    pub(crate) fn tell(&mut self) {
        self.tell_all_but(None);
    }

    /// The one left out has been told already.
    pub(crate) fn tell_all_but(&mut self, told: Option<Key>) {
        if self.state == State::Frozen || self.touches.is_empty() {
            return;
        }
        let touches = std::mem::take(&mut self.touches);
        for (_, client) in self.clients.iter_mut().filter(|(key, _)| Some(**key) != told) {
            let pushes = client.session.follow(&touches, &[]);
            client.answer(pushes, self.delay);
        }
    }

    /// Forgets what has expired, as a server does in its spare time.
    pub(crate) fn notice_expired(&mut self) {
        let expired = self.keyspace.purge(self.now_ms());
        self.touches.extend(expired.into_iter().map(Touch::Changed));
        self.tell();
    }

    /// FLUSHALL.
    pub(crate) fn wipe(&mut self) {
        self.keyspace.clear_all();
        self.touches.push(Touch::Flushed);
        self.tell();
    }
}

/// One key, or all.
fn push(key: Option<&[u8]>) -> Vec<u8> {
    let mut bytes = b">2\r\n$10\r\ninvalidate\r\n".to_vec();
    match key {
        Some(key) => {
            bytes.extend(format!("*1\r\n${}\r\n", key.len()).into_bytes());
            bytes.extend([key, b"\r\n"].concat());
        }
        None => bytes.extend(b"_\r\n"),
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(keys: &[&str]) -> Vec<Vec<u8>> {
        keys.iter().map(|key| key.as_bytes().to_vec()).collect()
    }

    fn changed(key: &str) -> Touch {
        Touch::Changed(key.as_bytes().to_vec())
    }

    #[test]
    fn what_changes_is_told_once_and_in_the_order_of_changes_and_reads() {
        let mut tracking = Tracking::default();
        tracking.turn_on();
        tracking.follow(&[Touch::Read], &keys(&["k"]));
        assert!(tracking.follow(&[changed("k")], &[]).is_empty(), "not asked for");
        tracking.cache_next();
        assert!(tracking.follow(&[changed("k"), Touch::Read], &keys(&["j", "k"])).is_empty());
        let told = tracking.follow(&[changed("k"), changed("k"), Touch::Flushed], &[]);
        let expected =
            ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n>2\r\n$10\r\ninvalidate\r\n_\r\n";
        assert_eq!(String::from_utf8_lossy(&told), expected);
        assert!(tracking.follow(&[changed("j")], &[]).is_empty(), "all forgotten");
    }

    #[test]
    fn who_has_switched_it_off_is_told_nothing() {
        let mut tracking = Tracking::default();
        tracking.turn_on();
        tracking.cache_next();
        tracking.follow(&[Touch::Read], &keys(&["j", "k"]));
        tracking.turn_off();
        assert!(tracking.follow(&[changed("k")], &[]).is_empty());
        tracking.turn_on();
        let told = tracking.follow(&[changed("k")], &[]);
        assert!(told.is_empty(), "forgotten while it was off");
        assert!(!tracking.follow(&[changed("j")], &[]).is_empty());
    }
}
