//! What a client's process does on its connections: asks, hears, gives up, connects again, and insists on its releases.
//! The same contract as the library's own node keeps; on the wire that one is simulated itself.

use std::sync::Arc;
use std::time::Duration;

use quorlock::NodeErrorKind;
use quorlock::seam::{Failure, Question, Reply, ReplyTo, Verb};

use super::events::{Delivery, Event, Form, Message, Route, Said};
use super::link::{Phase, Unanswered};
use super::network::Network;
use super::node::State;
use crate::simulation::census::Whom;
use crate::simulation::fault::Kind;
use crate::simulation::field::Flow;
use crate::simulation::tasks::Phase as Life;

/// As the library's own node: it gives no connection up sooner.
const PATIENCE_FLOOR: Duration = Duration::from_millis(100);

impl Network {
    /// See the library's `Node::ask`.
    pub(super) fn ask(&mut self, route: Route, question: Arc<Question>, to: ReplyTo) {
        self.start(route);
        if self.is_dead(route.client) || question.is_revoked() {
            return self.fail(to, NodeErrorKind::Down);
        }
        let owed = question.verb().is_release().then(|| self.number());
        if let Some(number) = owed {
            self.link(route).owed.insert(number, Arc::clone(&question));
        }
        let link = self.link(route);
        match link.phase {
            Phase::Up => self.send(route, question, Some(to), owed, Form::Hash),
            Phase::Idle | Phase::Connecting if question.verb() == Verb::Acquire => {
                link.first_asked.push((question, to));
            }
            _ => self.fail(to, NodeErrorKind::Down),
        }
    }

    pub(super) fn start(&mut self, route: Route) {
        if self.link(route).phase == Phase::Idle && !self.is_dead(route.client) {
            self.link(route).phase = Phase::Connecting;
            let epoch = self.link(route).epoch;
            let delay = self.delay(route);
            self.after(delay, Event::Reconnects(route, epoch));
        }
    }

    fn is_dead(&self, client: usize) -> bool {
        self.processes[client].phase() == Life::Dead
    }

    fn send(
        &mut self,
        route: Route,
        question: Arc<Question>,
        to: Option<ReplyTo>,
        owed: Option<u64>,
        form: Form,
    ) {
        let number = self.number();
        let link = self.link(route);
        let epoch = link.epoch;
        let is_overtaken = owed.is_some() && link.may_set_late(&question.token());
        let unanswered = Unanswered { question: Arc::clone(&question), to, owed, is_overtaken };
        link.unanswered.insert(number, unanswered);
        let patience = PATIENCE_FLOOR.max(question.time_limit() * 2);
        let memory = self.servers[route.node].memory;
        let delivery = Delivery::First;
        let message = Message { route, epoch, memory, number, question, form, delivery };
        self.after(patience, Event::GivesUp(message.clone()));
        if self.dice.chance(self.fates.lost_request) {
            return self.counting.struck(Kind::LostRequest, Whom::Client(route.client));
        }
        if self.dice.chance(self.fates.duplicate) {
            let delay = self.dice.millis(0, 3_000);
            let again = Message { delivery: Delivery::Again, ..message.clone() };
            self.after(delay, Event::Arrives(again));
        }
        self.link(route).under_way.insert(number, (epoch, Arc::clone(&message.question)));
        let delay = self.delay(route);
        self.in_order(route, 0, delay, Event::Arrives(message));
    }

    /// What the client's process does at this event, or does later if it is paused.
    pub(super) fn happen(&mut self, event: Event) {
        let client = event.client();
        let by_process = !matches!(event, Event::Arrives(_));
        match self.processes[client].phase() {
            Life::Paused if by_process => return self.parked[client].push(event),
            Life::Dead if by_process => return,
            _ => {}
        }
        match event {
            Event::Arrives(message) => self.arrive(message),
            Event::Answered(message, said) => self.answered(&message, said),
            Event::GivesUp(message) => {
                let link = self.link(message.route);
                if link.epoch == message.epoch && link.unanswered.contains_key(&message.number) {
                    self.break_up(message.route);
                }
            }
            Event::Reconnects(route, epoch) => self.reconnect(route, epoch),
            Event::Insists(route, owed) => {
                let link = self.link(route);
                if let (Phase::Up, Some(release)) = (link.phase, link.owed.get(&owed).cloned()) {
                    self.send(route, release, None, Some(owed), Form::Hash);
                }
            }
        }
    }

    pub(super) fn resumed(&mut self, client: usize) {
        // Either the process hears first what came in while it was paused, or it first looks at its clock.
        let hears = self.dice.chance(0.5);
        for event in std::mem::take(&mut self.parked[client]) {
            match hears {
                true => self.happen(event),
                false => self.after(Duration::ZERO, event),
            }
        }
    }

    fn answered(&mut self, message: &Message, said: Said) {
        let route = message.route;
        let link = self.link(route);
        if link.epoch != message.epoch || link.gap_replies {
            return;
        }
        match link.replies {
            Flow::Passes => {}
            Flow::Waits => {
                return link.waiting.push(Event::Answered(message.clone(), said));
            }
            Flow::IsLost => {
                link.gap_replies = true;
                return;
            }
        }
        let Some(unanswered) = link.unanswered.remove(&message.number) else { return };
        match said {
            // The node told of what it forgot before it said anything more.
            Said::Reply(Reply::Granted | Reply::Counted(_))
                if message.question.verb() == Verb::Acquire
                    && self.servers[route.node].memory != message.memory =>
            {
                self.answer(unanswered, Reply::Failed(NodeErrorKind::Forgot.into()));
            }
            Said::Reply(reply) => self.confirm(route, unanswered, reply),
            Said::NoScript if message.question.is_revoked() => {
                self.answer(unanswered, Reply::Failed(NodeErrorKind::Down.into()));
            }
            Said::NoScript => {
                let Unanswered { question, to, owed, .. } = unanswered;
                self.send(route, question, to, owed, Form::Text);
            }
        }
    }

    /// Sees to it that a release is confirmed, behind everything that could set its keys.
    fn confirm(&mut self, route: Route, unanswered: Unanswered, reply: Reply) {
        if let Some(owed) = unanswered.owed {
            match &reply {
                Reply::Released { .. } if !unanswered.is_overtaken => self.link(route).settle(owed),
                _ => {
                    let delay = self.dice.millis(50, 1_000);
                    self.after(delay, Event::Insists(route, owed));
                }
            }
        }
        self.answer(unanswered, reply);
    }

    /// Ends the connection, if there is one, and says so; whether what is under way still arrives is drawn.
    pub(super) fn break_up(&mut self, route: Route) -> bool {
        let dies = !self.dice.chance(self.fates.late);
        let link = self.link(route);
        if link.phase != Phase::Up {
            return false;
        }
        link.phase = Phase::Down;
        link.attempts = 0;
        for unanswered in std::mem::take(&mut link.unanswered).into_values() {
            self.answer(unanswered, Reply::Failed(NodeErrorKind::Disconnected.into()));
        }
        if dies {
            self.silence_old(route);
        }
        self.link(route).epoch += 1;
        self.try_again(route);
        true
    }

    /// Nothing of the present connection, or of an older one, arrives any more.
    pub(super) fn silence_old(&mut self, route: Route) {
        let link = self.link(route);
        link.dead_until = link.epoch;
        link.under_way.clear();
        link.waiting.retain(|event| !matches!(event, Event::Arrives(_)));
        self.servers[route.node].pending.retain(|message| message.route != route);
    }

    fn try_again(&mut self, route: Route) {
        let link = self.link(route);
        link.attempts += 1;
        let (epoch, most) = (link.epoch, 10 << link.attempts.min(7));
        let delay = self.dice.millis(10, most.min(1_000));
        self.after(delay, Event::Reconnects(route, epoch));
    }

    fn reconnect(&mut self, route: Route, epoch: u64) {
        let up = self.servers[route.node].state == State::Up;
        let may_kill = self.may_kill;
        let link = self.link(route);
        if link.epoch != epoch || link.phase == Phase::Up {
            return;
        }
        let passes = link.requests == Flow::Passes && link.replies == Flow::Passes;
        if !up || !passes {
            link.phase = Phase::Down;
            self.settled(route);
            return self.try_again(route);
        }
        if may_kill && epoch > 0 {
            // All before this one; its own epoch has sent nothing yet.
            self.silence_old(route);
        }
        let link = self.link(route);
        link.epoch += 1;
        link.phase = Phase::Up;
        link.attempts = 0;
        link.last = Default::default();
        (link.gap_requests, link.gap_replies) = (false, false);
        let owed: Vec<_> = link.owed.iter().map(|(n, q)| (*n, Arc::clone(q))).collect();
        for (number, release) in owed {
            self.send(route, release, None, Some(number), Form::Hash);
        }
        self.settled(route);
    }

    /// The first attempt to connect has ended.
    fn settled(&mut self, route: Route) {
        let link = self.link(route);
        let up = link.phase == Phase::Up;
        for waiter in std::mem::take(&mut link.first_awaited) {
            let _ = waiter.send(up);
        }
        for (question, to) in std::mem::take(&mut link.first_asked) {
            if up && !question.is_revoked() {
                self.send(route, question, Some(to), None, Form::Hash);
            } else {
                self.fail(to, NodeErrorKind::Down);
            }
        }
    }

    fn answer(&mut self, unanswered: Unanswered, reply: Reply) {
        self.answers.extend(unanswered.to.map(|to| (to, reply)));
    }

    fn fail(&mut self, to: ReplyTo, kind: NodeErrorKind) {
        self.answers.push((to, Reply::Failed(Failure::from(kind))));
    }
}
