//! What is heard of the changes of a node's marker. Who asks to be told, and what follows, is `join.rs`'s and `connection.rs`'s.

use std::sync::atomic::{AtomicU64, Ordering};

use redis::{PushInfo, PushKind};
use tokio::sync::Notify;

/// How often a node's marker was seen to change on one connection. A grant counts only if it did not from before the question
/// was sent until the answer was read: the server tells of a change before it answers anything that was asked after it.
#[derive(Debug, Default)]
pub(super) struct Watch {
    changes: AtomicU64,
    changed: Notify,
}

impl Watch {
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
        if push.kind == PushKind::Invalidate {
            self.note_change();
        }
    }
}
