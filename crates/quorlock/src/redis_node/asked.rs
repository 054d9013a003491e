//! A question that waits for its answer, and what a grant is worth when it comes. Sends and reads nothing.

use std::sync::Arc;

use super::line::{Driver, Line};
use super::marker::Watch;
use crate::error::NodeErrorKind;
use crate::node::{Question, Reply, ReplyTo};
use crate::script::{Compared, Form};

/// The bytes of a node's connection, with the questions that wait for answers.
pub(super) type NodeLine = Line<Asked>;
pub(super) type NodeDriver = Driver<Asked>;

/// A question that waits for its answer.
pub(super) struct Asked {
    pub(super) question: Arc<Question>,
    pub(super) form: Form,
    /// On which connection, and as which of its questions.
    pub(super) session: u64,
    pub(super) sequence: u64,
    /// The number of a release.
    pub(super) owed: Option<u64>,
    /// Of an acquire.
    pub(super) vote: Option<Vote>,
    pub(super) to: ReplyTo,
}

/// What a grant is worth.
pub(super) struct Vote {
    pub(super) watch: Arc<Watch>,
    pub(super) changes: u64,
    pub(super) compared: Option<Arc<Compared>>,
}

impl Vote {
    /// A grant counts only if the node has forgotten nothing since before it was asked (invariant 5).
    pub(super) fn judge(&self, reply: Reply) -> Reply {
        let is_grant = matches!(reply, Reply::Granted | Reply::Counted(_));
        match &reply {
            Reply::Failed(failure) if failure.kind() == NodeErrorKind::Forgot => {
                self.watch.note_change();
                reply
            }
            _ if is_grant && self.watch.changes() != self.changes => {
                Reply::Failed(NodeErrorKind::Forgot.into())
            }
            _ => reply,
        }
    }
}
