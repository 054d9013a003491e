//! A question that waits for its answer, and what a grant is worth when it comes. Sends nothing.

use std::sync::Arc;

use redis::{RedisResult, Value};

use super::line::{Driver, Line};
use super::marker::Watch;
use super::queue::Put;
use super::reply::{self, Answer};
use crate::error::NodeErrorKind;
use crate::node::{Reply, ReplyTo};
use crate::script::{self, Compared, Form};

/// The bytes of a node's connection, with the questions that wait for answers.
pub(super) type NodeLine = Line<Asked>;
pub(super) type NodeDriver = Driver<Asked>;

/// A question that waits for its answer.
pub(super) struct Asked {
    pub(super) to: ReplyTo,
    pub(super) form: Form,
    /// The number of a release.
    pub(super) owed: Option<u64>,
    /// Of an acquire.
    pub(super) vote: Option<Vote>,
}

impl Asked {
    /// With what an answer means for it.
    pub(super) fn read(self, answer: RedisResult<Value>) -> (Self, Answer) {
        let answer = reply::read(self.to.question(), self.form, self.compared(), answer);
        (self, answer)
    }

    fn compared(&self) -> Option<&Compared> {
        self.vote.as_ref()?.compared.as_deref()
    }
}

impl Put for Asked {
    fn pack(&self, out: &mut Vec<u8>) {
        script::pack(self.to.question(), self.form, self.compared(), out);
    }

    fn may_go_together(&self) -> bool {
        self.form == Form::Together
    }

    fn goes_alone(&mut self) {
        self.form = self.form.alone();
    }

    fn pack_together(those: &[Self], out: &mut Vec<u8>) {
        script::pack_together(those.iter().map(|asked| asked.to.question()), out);
    }

    fn marks(&self) -> u64 {
        self.to.question().keys.marks()
    }

    fn meets(&self, other: &Self) -> bool {
        self.to.question().keys.meet(&other.to.question().keys)
    }
}

/// The connection on which answers come.
pub(super) struct Origin {
    pub(super) number: u64,
    pub(super) watch: Arc<Watch>,
}

/// What a grant is worth.
pub(super) struct Vote {
    /// How often the marker had changed when it was asked for.
    pub(super) changes: u64,
    pub(super) compared: Option<Arc<Compared>>,
}

impl Vote {
    /// A grant counts only if the node has forgotten nothing since before it was asked (invariant 5).
    pub(super) fn judge(&self, reply: Reply, watch: &Watch) -> Reply {
        let is_grant = matches!(reply, Reply::Granted | Reply::Counted(_));
        match &reply {
            Reply::Failed(failure) if failure.kind() == NodeErrorKind::Forgot => {
                watch.note_change();
                reply
            }
            _ if is_grant && watch.changes() != self.changes => {
                Reply::Failed(NodeErrorKind::Forgot.into())
            }
            _ => reply,
        }
    }
}
