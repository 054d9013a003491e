//! One client's connection to one node, as the library's own node keeps it: what is unanswered, what is owed, whether it
//! is up. Pure: it sends nothing and has no clock.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::channel::oneshot;
use quorlock::seam::{Question, ReplyTo};

use super::events::{Delivery, Due, Event, Message};
use crate::simulation::field::Flow;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Never asked.
    #[default]
    Idle,
    /// For the first time: an acquire waits for it.
    Connecting,
    Up,
    Down,
}

#[derive(Debug, Default)]
pub(super) struct Link {
    pub(super) phase: Phase,
    /// Counts connections. Messages of an older one arrive late, if at all.
    pub(super) epoch: u64,
    /// Older connections of which nothing arrives any more are those up to this one.
    pub(super) dead_until: u64,
    pub(super) requests: Flow,
    pub(super) replies: Flow,
    /// What waits for its way to be free again.
    pub(super) waiting: Vec<Event>,
    /// Since when, of this connection, nothing arrives any more: a stream cannot go on behind a gap.
    pub(super) gap_requests: bool,
    pub(super) gap_replies: bool,
    /// When the last message of each way is due: a later one does not overtake it.
    pub(super) last: [Due; 2],
    pub(super) unanswered: BTreeMap<u64, Unanswered>,
    /// Requests that may still reach the node, with the connection of each.
    pub(super) under_way: BTreeMap<u64, (u64, Arc<Question>)>,
    pub(super) owed: BTreeMap<u64, Arc<Question>>,
    pub(super) attempts: u32,
    pub(super) first_asked: Vec<(Arc<Question>, ReplyTo)>,
    pub(super) first_awaited: Vec<oneshot::Sender<bool>>,
    pub(super) drained: Vec<oneshot::Sender<()>>,
}

/// A request whose answer somebody waits for.
#[derive(Debug)]
pub(super) struct Unanswered {
    pub(super) question: Arc<Question>,
    pub(super) to: Option<ReplyTo>,
    /// The number of a release, while it is owed.
    pub(super) owed: Option<u64>,
    /// Whether its keys could be set behind it when it was sent.
    pub(super) is_overtaken: bool,
}

impl Link {
    /// Whether an older connection may still bring a request that sets keys to this token.
    pub(super) fn may_set_late(&self, token: &str) -> bool {
        self.under_way.values().any(|(epoch, question)| {
            *epoch < self.epoch && !question.verb().is_release() && question.token() == token
        })
    }

    /// This request has reached the node, or is lost. Where a duplicate is, the first may still be on its way.
    pub(super) fn is_over(&mut self, message: &Message) {
        if message.delivery == Delivery::First {
            self.under_way.remove(&message.number);
        }
    }

    pub(super) fn settle(&mut self, owed: u64) {
        self.owed.remove(&owed);
        if self.owed.is_empty() {
            for waiter in self.drained.drain(..) {
                let _ = waiter.send(());
            }
        }
    }

    /// Whether nothing of this connection arrives any more.
    pub(super) fn is_dead(&self, epoch: u64) -> bool {
        epoch <= self.dead_until
    }
}
