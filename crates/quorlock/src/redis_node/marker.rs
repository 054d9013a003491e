//! What a server tells unasked: that its marker has changed, or keys that somebody listens to. Who asks to be told, and what
//! follows, is `join.rs`'s and `connection.rs`'s, and of other keys `listening.rs`'s.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use redis::{PushInfo, PushKind, Value};
use tokio::sync::Notify;

use super::listeners::Listeners;

/// How often a node's marker was seen to change on one connection. A grant counts only if it did not from before the question
/// was sent until the answer was read: the server tells of a change before it answers anything that was asked after it.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The key of the marker, where the node has one.
    marker: Option<String>,
    changes: AtomicU64,
    changed: Notify,
    listeners: Arc<Listeners>,
    /// It refuses to tell of any other key.
    is_mute: AtomicBool,
}

impl Watch {
    pub(super) fn new(marker: Option<String>) -> Self {
        Self { marker, ..Self::default() }
    }

    pub(super) fn is_mute(&self) -> bool {
        self.is_mute.load(Ordering::Relaxed)
    }

    pub(super) fn note_mute(&self) {
        self.is_mute.store(true, Ordering::Relaxed);
    }

    pub(super) fn listeners(&self) -> &Arc<Listeners> {
        &self.listeners
    }

    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    pub(super) fn note_change(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.look_again();
    }

    /// Has the node joined anew although nothing is known to have changed.
    pub(super) fn look_again(&self) {
        self.changed.notify_one();
    }

    /// Resolves when it has changed, or has to be looked at, since the last time that this resolved.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What a server sends unasked.
    pub(super) fn hear(&self, push: &PushInfo) {
        if push.kind != PushKind::Invalidate {
            return;
        }
        let Some(Value::Array(keys)) = push.data.first() else {
            // All of them.
            self.note_change_of_marker();
            return self.listeners.hear_all();
        };
        for key in keys {
            match key {
                Value::BulkString(key) if self.is_other(key) => self.listeners.hear(key),
                // The marker; and what cannot be read may be the marker too.
                _ => self.note_change_of_marker(),
            }
        }
    }

    fn is_other(&self, key: &[u8]) -> bool {
        self.marker.as_ref().is_none_or(|marker| marker.as_bytes() != key)
    }

    /// Where there is none, nobody would join the node anew.
    fn note_change_of_marker(&self) {
        if self.marker.is_some() {
            self.note_change();
        }
    }
}

/// What hears for a [`Watch`]. When it is dropped, with the connection, nothing more will be heard.
pub(super) struct Ear(pub(super) Arc<Watch>);

impl Ear {
    pub(super) fn hear(&self, push: &PushInfo) {
        self.0.hear(push);
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.0.listeners.hear_all();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn told_of(keys: Value) -> PushInfo {
        PushInfo { kind: PushKind::Invalidate, data: vec![keys] }
    }

    fn keys(keys: &[&str]) -> Value {
        Value::Array(keys.iter().map(|key| Value::BulkString(key.as_bytes().to_vec())).collect())
    }

    #[test]
    fn a_lock_that_changed_is_no_change_of_the_marker_and_all_else_is() {
        let watch = Watch::new(Some("marker".to_owned()));
        let changes = |push: Value| {
            watch.hear(&told_of(push));
            watch.changes()
        };
        assert_eq!(changes(keys(&["invoice:42", "markers"])), 0);
        assert_eq!(changes(keys(&["marker"])), 1);
        assert_eq!(changes(keys(&["invoice:42", "marker"])), 2);
        assert_eq!(changes(Value::Nil), 3, "flushed");
        assert_eq!(changes(Value::Array(vec![Value::Int(1)])), 4, "it may be");
        watch.hear(&PushInfo { kind: PushKind::Message, data: vec![keys(&["marker"])] });
        assert_eq!(watch.changes(), 4);
    }

    #[test]
    fn whoever_listens_hears_of_a_flush_and_of_the_end() {
        let watch = Arc::new(Watch::default());
        let listener = || watch.listeners().join(vec!["invoice:42".to_owned()]);
        let (mut flushed, mut ended) = (Box::pin(listener().changed()), None);
        assert!(flushed.as_mut().now_or_never().is_none());
        watch.hear(&told_of(Value::Nil));
        assert!(flushed.now_or_never().is_some());
        assert_eq!(watch.changes(), 0, "there is no marker");
        let ear = Ear(Arc::clone(&watch));
        let waiting = ended.insert(Box::pin(listener().changed()));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(ear);
        assert!(waiting.as_mut().now_or_never().is_some());
    }
}
