//! Those who listen to keys on one connection, and how they hear. Who has the server tell is `listening.rs`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use crate::sync::lock;

/// Those who listen on one connection.
#[derive(Debug, Default)]
pub(super) struct Listeners(Mutex<BTreeMap<String, Vec<Arc<Notify>>>>);

impl Listeners {
    /// From now on what happens to `keys` is heard.
    pub(super) fn join(self: &Arc<Self>, keys: Vec<String>) -> Listener {
        let bell = Arc::new(Notify::new());
        let mut all = lock(&self.0);
        for key in &keys {
            all.entry(key.clone()).or_default().push(Arc::clone(&bell));
        }
        drop(all);
        Listener { listeners: Arc::clone(self), keys, bell }
    }

    /// Somebody has changed `key`.
    pub(super) fn hear(&self, key: &[u8]) {
        let bells = std::str::from_utf8(key).ok().and_then(|key| lock(&self.0).get(key).cloned());
        bells.iter().flatten().for_each(|bell| bell.notify_one());
    }

    /// Everything has changed, or nothing more will be heard.
    pub(super) fn hear_all(&self) {
        let bells: Vec<_> = lock(&self.0).values().flatten().cloned().collect();
        bells.iter().for_each(|bell| bell.notify_one());
    }
}

/// One who listens, until it is dropped.
#[derive(Debug)]
pub(super) struct Listener {
    listeners: Arc<Listeners>,
    keys: Vec<String>,
    bell: Arc<Notify>,
}

impl Listener {
    /// Resolves when something was heard since it joined, or since the last time that this resolved.
    pub(super) async fn changed(self) {
        self.bell.notified().await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut all = lock(&self.listeners.0);
        for key in &self.keys {
            if let Some(bells) = all.get_mut(key) {
                bells.retain(|bell| !Arc::ptr_eq(bell, &self.bell));
                if bells.is_empty() {
                    all.remove(key);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn whoever_listens_hears_of_his_own_keys_until_he_is_gone() {
        let listeners = Arc::new(Listeners::default());
        let join =
            |keys: &[&str]| listeners.join(keys.iter().map(|key| (*key).to_owned()).collect());
        let (both, one) = (join(&["a", "b"]), join(&["b"]));
        let heard = |listener: &Listener| listener.bell.notified().now_or_never().is_some();
        listeners.hear(b"a");
        assert_eq!([&both, &one].map(heard), [true, false]);
        listeners.hear(b"b");
        assert_eq!([&both, &one].map(heard), [true, true]);
        listeners.hear(b"c");
        listeners.hear(b"\xff");
        assert_eq!([&both, &one].map(heard), [false, false]);
        listeners.hear_all();
        assert_eq!([&both, &one].map(heard), [true, true]);
        drop(both);
        assert_eq!(lock(&listeners.0).len(), 1);
        drop(one);
        assert!(lock(&listeners.0).is_empty());
    }
}
