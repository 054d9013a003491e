//! One question on the connection that is up: queued in order, answered, and, for a release, followed until it is confirmed.
//! Whoever asked need not wait for any of it.
//! How the connection comes and goes is `connection.rs`'s. The invariants are those of `mod.rs`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::ProtocolVersion;

use super::again::Again;
use super::asked::{Asked, NodeLine, Origin, Vote};
use super::join::{Joined, Place};
use super::owed::{Debt, MAX_UNANSWERED, SLACK};
use super::reply::Answer;
use super::{Link, Shared, State};
use crate::clock::Clock;
use crate::error::{Failure, NodeErrorKind};
use crate::event::Event;
use crate::node::{Question, Reply, ReplyTo, Verb};
use crate::retry::jittered;
use crate::script::{Compared, Delete, Form};
use crate::standing::Fitness;
use crate::sync::lock;
use crate::validity::later;

/// A connection is not given up sooner, however short the time limit: a hiccup of a node is not its death.
const PATIENCE_FLOOR: Duration = Duration::from_millis(100);
/// Between attempts to get a release through that the node refuses: at least, and at most.
const INSIST: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(1)];

/// The connection that is up.
pub(super) struct Session {
    number: u64,
    place: Place,
    /// Since when, if a connection before this one may still deliver commands.
    old_left: Option<Instant>,
    /// What is sent once more on this one.
    again: Again,
    /// How plain releases are put, as long as the server does not refuse it.
    plain_release: Form,
    fitness: Fitness,
    /// How often the marker had changed when the node was joined.
    changes: u64,
    compared: Option<Arc<Compared>>,
    /// The policy of its server, if that may cost locks.
    evicts: Option<String>,
    sent: u64,
    heard: u64,
    /// The longest that it was asked under.
    time_limit: Duration,
}

/// What a connection owes answers to.
pub(super) struct Owing {
    /// How many it has given.
    pub(super) heard: u64,
    pub(super) line: Arc<NodeLine>,
    /// How long it may.
    pub(super) patience: Duration,
}

impl Session {
    pub(super) fn new(
        number: u64,
        place: Place,
        old_left: Option<Instant>,
        native: Option<Delete>,
        joined: Option<Joined>,
    ) -> Self {
        let mut session = Self {
            number,
            place,
            old_left,
            again: Again::default(),
            plain_release: Form::plain_release(native),
            fitness: Fitness::Voting,
            changes: 0,
            compared: None,
            evicts: None,
            sent: 0,
            heard: 0,
            time_limit: Duration::ZERO,
        };
        if let Some(joined) = joined {
            session.is_joined(joined);
        }
        session
    }

    pub(super) fn is_joined(&mut self, joined: Joined) {
        let Joined { fitness, changes, compared, evicts } = joined;
        // Two may join at once: the older look must not replace the newer one, which nothing would wake again.
        if changes < self.changes {
            return;
        }
        self.fitness = fitness;
        self.changes = changes;
        self.compared = compared.map(Arc::new);
        self.evicts = evicts;
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn fitness(&self) -> &Fitness {
        &self.fitness
    }

    pub(super) fn evicts(&self) -> Option<&String> {
        self.evicts.as_ref()
    }

    /// Where the server tells of changes, if it does, and if what it says of a lock is worth hearing.
    pub(super) fn told_at(&self) -> Option<Place> {
        let tells = self.place.protocol != ProtocolVersion::RESP2
            && self.compared.is_none()
            && matches!(self.fitness, Fitness::Voting)
            && !self.place.watch.is_mute()
            && !self.is_full();
        tells.then(|| self.place.clone())
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Why the node is not asked this.
    fn objection(&self, question: &Question, clock: &dyn Clock) -> Option<Failure> {
        let objection = match question.verb {
            Verb::Acquire if self.place.watch.changes() != self.changes => {
                // It is joined anew at this moment.
                Some(NodeErrorKind::Quarantined.into())
            }
            Verb::Acquire => self.fitness.objection(|| clock.now()),
            Verb::Certify | Verb::Extend | Verb::Repair => self.fitness.objection_to_any(),
            Verb::Release | Verb::Undo => return None,
        };
        objection.or_else(|| self.is_full().then(|| NodeErrorKind::Overloaded.into()))
    }

    /// What it owes, if it owes an answer.
    pub(super) fn owes(&self) -> Option<Owing> {
        let owing = || Owing {
            heard: self.heard,
            line: Arc::clone(&self.place.line),
            patience: self.time_limit.saturating_mul(2).max(PATIENCE_FLOOR),
        };
        (!self.is_at_rest()).then(owing)
    }

    /// It owes no answer.
    pub(super) fn is_at_rest(&self) -> bool {
        self.sent == self.heard
    }

    fn is_full(&self) -> bool {
        self.sent - self.heard >= MAX_UNANSWERED
    }

    /// Until when a key may be set by what an older connection holds, if that may be.
    fn last_of_old(&self, release: &Question) -> Option<Instant> {
        self.old_left.map(|since| later(since, release.ttl))
    }
}

impl Shared {
    /// Queues the question, or answers it at once.
    pub(super) fn exchange(&self, to: ReplyTo) {
        self.put(to, None, None);
    }

    /// Queues the command, in the first form that the node knows unless another is asked for, or says why not. `owed` is the
    /// number of a release already noted.
    fn put(&self, to: ReplyTo, form: Option<Form>, owed: Option<u64>) {
        let mut state = lock(&self.state);
        let question = to.question();
        if question.is_revoked() {
            drop(state);
            return to.send(Reply::Failed(NodeErrorKind::Down.into()));
        }
        let owed = match owed {
            None if question.is_release() => Some(state.owed.add(Arc::clone(to.shared()))),
            known => known,
        };
        let State { link, first_asked, owed: ledger, .. } = &mut *state;
        let failure = match link {
            Link::Up(session) => match session.objection(question, &*self.clock) {
                Some(failure) => failure,
                None => {
                    if ledger.is_large() {
                        session.place.line.has_grown();
                    }
                    let over = self.send(session, to, form, owed);
                    // Nobody is answered while the node is locked: whoever is woken may do anything.
                    drop(state);
                    return drop(over);
                }
            },
            Link::Connecting
                if question.verb == Verb::Acquire
                    && (first_asked.len() as u64) < MAX_UNANSWERED =>
            {
                return first_asked.push(to);
            }
            Link::Idle | Link::Connecting => NodeErrorKind::Down.into(),
            Link::Down(failure) => failure.clone(),
        };
        let forgotten = state.owed.trim(self.clock.now());
        drop(state);
        self.tell_forgotten(forgotten);
        to.send(Reply::Failed(failure));
    }

    pub(super) fn tell_forgotten(&self, releases: usize) {
        for _ in 0..releases {
            self.audience.tell(|| Event::OwedReleaseDropped { node: Arc::clone(&self.name) });
        }
    }

    /// Returns what has to be dropped where the connection has ended: then a later one sends what is owed.
    #[must_use = "it is answered when it is dropped"]
    pub(super) fn send(
        &self,
        session: &mut Session,
        to: ReplyTo,
        form: Option<Form>,
        owed: Option<u64>,
    ) -> Option<Asked> {
        let question = to.question();
        let form = form.unwrap_or_else(|| Form::first(question, session.plain_release));
        session.time_limit = session.time_limit.max(question.time_limit);
        if session.is_at_rest() {
            self.busy.notify_one();
        }
        session.sent += 1;
        let vote = (question.verb == Verb::Acquire)
            .then(|| Vote { changes: session.changes, compared: session.compared.clone() });
        session.place.line.put(Asked { to, form, owed, vote }).err()
    }

    /// What has come on a connection, in its order. Who waits for it is told when all of it is noted.
    pub(super) fn answered(&self, origin: &Origin, heard: &mut Vec<(Asked, Answer)>) {
        let mut state = lock(&self.state);
        let State { link, owed: ledger, .. } = &mut *state;
        let mut old_left = None;
        if let Link::Up(session) = link
            && session.number == origin.number
        {
            session.heard += heard.len() as u64;
            old_left = session.old_left.map(|since| (since, self.clock.now()));
        }
        let mut is_paid = false;
        for (asked, answer) in heard.iter_mut() {
            let may_come_late = |(since, now)| now < later(since, asked.to.question().ttl);
            // All others are followed one by one.
            if !old_left.is_some_and(may_come_late)
                && matches!(answer, Answer::Reply(Reply::Released { .. }))
                && let Some(number) = asked.owed.take()
            {
                ledger.settle(number);
                is_paid = true;
            }
        }
        drop(state);
        if is_paid {
            self.paid.notify_waiters();
        }
        for (asked, answer) in heard.drain(..) {
            self.hear(origin, asked, answer);
        }
    }

    fn hear(&self, origin: &Origin, asked: Asked, answer: Answer) {
        let Asked { to, form, owed, vote } = asked;
        if matches!(answer, Answer::NotInThisForm) {
            self.note_refused(form, origin.number);
        }
        let reply = match answer {
            Answer::Reply(reply) => match &vote {
                Some(vote) => vote.judge(reply, &origin.watch),
                None => reply,
            },
            Answer::OtherForm | Answer::NotInThisForm => {
                return self.put(to, Some(form.next()), owed);
            }
        };
        if let Some(number) = owed {
            self.follow(to.question(), number, origin.number, &reply);
        }
        to.send(reply);
    }

    /// Plain releases are put otherwise from now on.
    fn note_refused(&self, form: Form, number: u64) {
        if let Link::Up(session) = &mut lock(&self.state).link
            && session.number == number
            && session.plain_release == form
        {
            session.plain_release = form.instead();
        }
    }

    /// Sees to it that a release is confirmed: forgets it when it is, else has it sent again, on the same connection. Where that
    /// breaks, the next one sends it.
    fn follow(&self, release: &Question, owed: u64, number: u64, reply: &Reply) {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        let State { link, owed: ledger, .. } = &mut *state;
        let session = match link {
            Link::Up(session) if session.number == number => Some(session),
            _ => None,
        };
        let last_of_old = session.as_ref().and_then(|session| session.last_of_old(release));
        let (debt, after) = match reply {
            Reply::Released { .. } if last_of_old.is_some_and(|last| now < last) => {
                (ledger.renew(owed, now), release.ttl.saturating_add(SLACK))
            }
            Reply::Released { .. } => {
                ledger.settle(owed);
                (Debt::Over, Duration::ZERO)
            }
            Reply::Failed(failure) if failure.is_said() => {
                let last = last_of_old.unwrap_or(now).max(now);
                let after = jittered(INSIST[0], INSIST[1], &self.entropy);
                (ledger.refuse(owed, last, now), after)
            }
            _ => return,
        };
        if debt != Debt::Open {
            drop(state);
            self.tell_forgotten(usize::from(debt == Debt::Forgotten));
            return self.paid.notify_waiters();
        }
        if session.is_some_and(|session| session.again.add(later(now, after), owed)) {
            self.sooner.notify_one();
        }
    }

    /// Sends releases once more on the connection that is up, each when it is due.
    pub(super) async fn insist(&self) -> Infallible {
        loop {
            let next = match &lock(&self.state).link {
                Link::Up(session) => session.again.next(),
                _ => None,
            };
            tokio::select! {
                biased;
                () = self.sooner.notified() => {}
                () = self.sleep_until(next) => self.send_again(),
            }
        }
    }

    /// Those that are due, and are still owed.
    fn send_again(&self) {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        let State { link: Link::Up(session), owed: ledger, .. } = &mut *state else { return };
        let due = session.again.due(now).into_iter();
        let due: Vec<_> =
            due.filter_map(|number| Some((number, ledger.release(number)?))).collect();
        drop(state);
        for (number, release) in due {
            self.put(ReplyTo::nobody(release), None, Some(number));
        }
    }
}
