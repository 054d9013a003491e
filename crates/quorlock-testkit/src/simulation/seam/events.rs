//! What is going to happen in the simulated network, and in what order: by time, then by lot, then by age.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use quorlock::seam::{Question, Reply};

/// A client and a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Route {
    pub(super) client: usize,
    pub(super) node: usize,
}

/// One request under way.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) route: Route,
    /// The connection that it belongs to.
    pub(super) epoch: u64,
    /// What the node had forgotten when it was sent, as its client was told.
    pub(super) memory: u64,
    pub(super) number: u64,
    pub(super) question: Arc<Question>,
    /// Whether it brings the text of its script.
    pub(super) form: Form,
    pub(super) delivery: Delivery,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Hash,
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    First,
    Again,
}

/// What a node says.
#[derive(Clone, Debug)]
pub(super) enum Said {
    Reply(Reply),
    NoScript,
}

#[derive(Clone, Debug)]
pub(super) enum Event {
    Arrives(Message),
    Answered(Message, Said),
    /// The client's patience with this request is over.
    GivesUp(Message),
    Reconnects(Route, u64),
    /// An owed release is sent once more.
    Insists(Route, u64),
}

impl Event {
    pub(super) fn client(&self) -> usize {
        match self {
            Self::Arrives(message) | Self::Answered(message, _) | Self::GivesUp(message) => {
                message.route.client
            }
            Self::Reconnects(route, _) | Self::Insists(route, _) => route.client,
        }
    }
}

/// When an event is due. Two of the same time come in the order of their ties.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Due {
    pub(super) at: Duration,
    pub(super) tie: u32,
}

#[derive(Debug)]
struct Scheduled {
    due: Due,
    age: u64,
    event: Event,
}

/// Events by the order in which they happen.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    heap: BinaryHeap<Scheduled>,
    next_age: u64,
}

impl Agenda {
    pub(super) fn add(&mut self, due: Due, event: Event) {
        self.next_age += 1;
        self.heap.push(Scheduled { due, age: self.next_age, event });
    }

    pub(super) fn next_at(&self) -> Option<Duration> {
        self.heap.peek().map(|next| next.due.at)
    }

    pub(super) fn take_due(&mut self, now: Duration) -> Option<Event> {
        let due = self.heap.peek().is_some_and(|next| next.due.at <= now);
        if due { self.heap.pop().map(|next| next.event) } else { None }
    }
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The greatest is the next.
impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.due, other.age).cmp(&(self.due, self.age))
    }
}
