//! What a node does with a request that has arrived: runs it, keeps it while frozen, refuses it while failing.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use quorlock::NodeErrorKind;
use quorlock::seam::{Failure, Question, Reply, Verb};

use super::events::{Delivery, Event, Form, Message, Route, Said};
use super::model::{Ask, Model};
use super::network::Network;
use crate::embedded::clock::NodeClock;
use crate::simulation::census::Whom;
use crate::simulation::fault::Kind;
use crate::simulation::field::{Flow, Memory};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Up,
    Frozen,
    Down,
}

#[derive(Debug)]
pub(super) struct Server {
    pub(super) model: Model,
    pub(super) clock: NodeClock,
    pub(super) state: State,
    /// What came in while it was frozen.
    pub(super) pending: VecDeque<Message>,
    pub(super) failing: bool,
    /// The scripts that it knows.
    pub(super) scripts: BTreeSet<u8>,
    /// How often it has forgotten something, or may have.
    pub(super) memory: u64,
    /// Since when it has known every lock, by its own clock, if it did not always.
    since: Option<i64>,
    max_ttl: i64,
}

impl Server {
    pub(super) fn new(max_ttl: Duration) -> Self {
        Self {
            memory: 0,
            since: None,
            max_ttl: millis(max_ttl),
            model: Model::default(),
            clock: NodeClock::repeatable(),
            state: State::Up,
            pending: VecDeque::new(),
            failing: false,
            scripts: all_scripts(),
        }
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.clock.now_us() / 1000
    }

    /// From now on it does not vote, for as long as a lock can last that it does not know.
    pub(super) fn joins_anew(&mut self) {
        self.memory += 1;
        self.since = Some(self.now_ms());
    }

    pub(super) fn abstains_for(&mut self) -> Duration {
        let now = self.now_ms();
        let Some(since) = &mut self.since else { return Duration::ZERO };
        // A clock that was set back makes no quarantine longer.
        *since = now.min(*since);
        Duration::from_millis(u64::try_from(*since + self.max_ttl - now).unwrap_or_default())
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX / 2)
}

pub(super) fn all_scripts() -> BTreeSet<u8> {
    (0..6).collect()
}

/// The script that a question needs; one resource is acquired without.
fn script(question: &Question) -> Option<u8> {
    match question.verb() {
        Verb::Acquire if question.fence().is_some() => Some(4),
        Verb::Acquire => (question.keys().len() > 1).then_some(0),
        Verb::Certify => Some(5),
        Verb::Extend => Some(1),
        Verb::Repair => Some(2),
        Verb::Release | Verb::Undo => Some(3),
    }
}

impl Network {
    pub(super) fn arrive(&mut self, message: Message) {
        let route = message.route;
        let link = self.link(route);
        if link.is_dead(message.epoch) {
            return;
        }
        let current = link.epoch == message.epoch;
        if current && link.gap_requests {
            return link.is_over(&message);
        }
        match link.requests {
            Flow::Passes => {}
            Flow::Waits => return link.waiting.push(Event::Arrives(message)),
            Flow::IsLost => {
                link.gap_requests |= current;
                return link.is_over(&message);
            }
        }
        match self.servers[route.node].state {
            State::Up => self.serve(&message),
            State::Frozen => self.servers[route.node].pending.push_back(message),
            State::Down => {}
        }
    }

    pub(super) fn serve(&mut self, message: &Message) {
        let route = message.route;
        let link = self.link(route);
        if link.is_dead(message.epoch) {
            return;
        }
        let late = link.epoch != message.epoch;
        link.is_over(message);
        if late {
            self.counting.struck(Kind::LateArrival, Whom::Client(route.client));
        }
        let said = self.execute(message);
        if late || message.delivery == Delivery::Again {
            return;
        }
        if self.dice.chance(self.fates.lost_reply) {
            return self.counting.struck(Kind::LostReply, Whom::Client(route.client));
        }
        let delay = self.delay(route);
        self.in_order(route, 1, delay, Event::Answered(message.clone(), said));
    }

    fn execute(&mut self, message: &Message) -> Said {
        let Message { route, question, form, delivery, .. } = message;
        let server = &mut self.servers[route.node];
        if server.failing {
            return Said::Reply(Reply::Failed(Failure::from(NodeErrorKind::Refused)));
        }
        if let Some(script) = script(question) {
            if *form == Form::Text {
                server.scripts.insert(script);
            } else if !server.scripts.contains(&script) {
                return Said::NoScript;
            }
        }
        // Who was told so before asks nothing, and who is told so later has his grant void: it is there all the same.
        let abstains = question.verb() == Verb::Acquire && !server.abstains_for().is_zero();
        if abstains && message.memory == server.memory {
            return Said::Reply(Reply::Failed(NodeErrorKind::Quarantined.into()));
        }
        let ttl = millis(question.ttl());
        let now = server.now_ms();
        let (verb, keys, token) = (question.verb(), question.keys(), question.token());
        let had = |model: &Model, key: &String| {
            model.live(now).any(|(there, entry)| there == key && *entry.token == *token)
        };
        let missing: Vec<_> = keys.iter().filter(|key| !had(&server.model, key)).cloned().collect();
        let reply =
            server.model.ask(&Ask { verb, keys, token: &token, ttl, fence: question.fence() }, now);
        if *delivery == Delivery::Again {
            self.counting.struck(Kind::Duplicate, Whom::Client(route.client));
            if matches!(reply, Reply::Granted | Reply::Counted(_)) {
                let keys = missing.into_iter();
                self.excused.extend(keys.map(|key| (route.node, key, Arc::from(&*token))));
            }
        }
        Said::Reply(reply)
    }

    /// Runs what came in while it was frozen, in the order of arrival.
    pub(super) fn thaw(&mut self, node: usize) {
        if self.servers[node].state != State::Frozen {
            return;
        }
        self.servers[node].state = State::Up;
        while let Some(message) = self.servers[node].pending.pop_front() {
            self.serve(&message);
        }
    }

    /// Ends the process of a node; says whether it was there.
    pub(super) fn crash(&mut self, node: usize, memory: Memory) -> bool {
        if self.servers[node].state == State::Down {
            return false;
        }
        self.servers[node].state = State::Down;
        self.servers[node].joins_anew();
        self.servers[node].pending.clear();
        for route in self.routes_to(node) {
            self.silence_old(route);
            let _ = self.break_up(route);
        }
        let model = &mut self.servers[node].model;
        match memory {
            Memory::Empty => model.clear(),
            Memory::Intact => {}
            Memory::RolledBack(changes) => {
                let back = model.roll_back(changes);
                self.rolled_back.extend(back.iter().map(|(key, _)| (node, key.clone())));
                self.excused.extend(back.into_iter().map(|(key, token)| (node, key, token)));
            }
        }
        true
    }

    /// What waited goes on, before anything that is still on its way; what a way loses makes a gap in the stream.
    pub(super) fn cut(&mut self, route: Route, requests: Flow, replies: Flow) {
        let link = self.link(route);
        (link.requests, link.replies) = (requests, replies);
        for event in std::mem::take(&mut link.waiting) {
            self.happen(event);
        }
    }
}
