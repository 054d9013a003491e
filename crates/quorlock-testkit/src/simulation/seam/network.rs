//! The simulated network and the nodes in it: messages on their way, each with a fate of its own, and connections that
//! break and come back. One copy of everything, under one lock; when it happens is `mod.rs`'s.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use quorlock::seam::{Reply, ReplyTo};

use super::events::{Agenda, Due, Event, Route};
use super::link::Link;
use super::node::Server;
use crate::simulation::census::{Counting, Whom};
use crate::simulation::dice::Dice;
use crate::simulation::fault::Kind;
use crate::simulation::fencing::Day;
use crate::simulation::plan::Plan;
use crate::simulation::tasks::Process;

/// From here on a message counts as delayed.
const DELAYED: Duration = Duration::from_millis(5);

/// How likely which fate of a message is, in one simulation.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fates {
    usual_delay: u64,
    long_delay: f64,
    pub(super) lost_request: f64,
    pub(super) lost_reply: f64,
    pub(super) duplicate: f64,
    pub(super) late: f64,
}

impl Fates {
    fn draw(plan: &Plan) -> Self {
        let mut dice = plan.dice("fates");
        let mut share = |kind, most: f64| {
            let drawn = dice.within(0.0, most);
            if plan.has(kind) { drawn } else { 0.0 }
        };
        Self {
            long_delay: share(Kind::Delay, 0.1),
            lost_request: share(Kind::LostRequest, 0.08),
            lost_reply: share(Kind::LostReply, 0.08),
            duplicate: share(Kind::Duplicate, 0.1),
            late: share(Kind::LateArrival, 1.0),
            usual_delay: dice.below(4) as u64,
        }
    }
}

#[derive(Debug)]
pub(super) struct Network {
    pub(super) servers: Vec<Server>,
    /// By client, then by node.
    links: Vec<Vec<Link>>,
    pub(super) processes: Vec<Process>,
    pub(super) agenda: Agenda,
    /// What a client's process would do, were it not paused.
    pub(super) parked: Vec<Vec<Event>>,
    pub(super) fates: Fates,
    /// Whether a new connection ends the one before it on the node's side.
    pub(super) may_kill: bool,
    pub(super) dice: Dice,
    pub(super) counting: Counting,
    /// Keys that are nobody's fault.
    pub(super) excused: BTreeSet<(usize, String, Arc<str>)>,
    /// Those that a crash brought back.
    pub(super) rolled_back: BTreeSet<(usize, String)>,
    /// What clients have heard. They are told without the lock: they may ask what follows from it.
    pub(super) answers: Vec<(ReplyTo, Reply)>,
    next_number: u64,
    pub(super) now: Duration,
}

impl Network {
    pub(super) fn new(plan: &Plan, counting: &Counting) -> Self {
        let mut dice = plan.dice("network");
        let links = || (0..plan.nodes).map(|_| Link::default()).collect();
        Self {
            servers: (0..plan.nodes).map(|_| Server::new(plan.max_ttl())).collect(),
            links: (0..plan.clients).map(|_| links()).collect(),
            processes: vec![Process::new(Day::right()); plan.clients],
            agenda: Agenda::default(),
            answers: Vec::new(),
            parked: vec![Vec::new(); plan.clients],
            fates: Fates::draw(plan),
            may_kill: dice.chance(0.7),
            dice,
            counting: counting.clone(),
            excused: BTreeSet::new(),
            rolled_back: BTreeSet::new(),
            next_number: 0,
            now: Duration::ZERO,
        }
    }

    pub(super) fn set_process(&mut self, client: usize, process: &Process) {
        self.processes[client] = process.clone();
    }

    pub(super) fn link(&mut self, route: Route) -> &mut Link {
        &mut self.links[route.client][route.node]
    }

    pub(super) fn routes_to(&self, node: usize) -> impl Iterator<Item = Route> + use<> {
        (0..self.links.len()).map(move |client| Route { client, node })
    }

    pub(super) fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    pub(super) fn after(&mut self, delay: Duration, event: Event) {
        let due = Due { at: self.now + delay, tie: self.dice.tie() };
        self.agenda.add(due, event);
    }

    /// Behind what goes the same way on the same link.
    pub(super) fn in_order(&mut self, route: Route, way: usize, delay: Duration, event: Event) {
        let mut due = Due { at: self.now + delay, tie: self.dice.tie() };
        let last = &mut self.link(route).last[way];
        due = due.max(*last);
        *last = due;
        self.agenda.add(due, event);
    }

    pub(super) fn delay(&mut self, route: Route) -> Duration {
        let delay = match self.dice.chance(self.fates.long_delay) {
            true => self.dice.millis(5, 800),
            false => self.dice.millis(0, self.fates.usual_delay),
        };
        if delay >= DELAYED {
            self.counting.struck(Kind::Delay, Whom::Client(route.client));
        }
        delay
    }
}
