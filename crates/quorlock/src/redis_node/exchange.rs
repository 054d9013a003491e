//! One question on the connection that is up: queued in order, answered, and, for a release, followed until it is confirmed.
//! Whoever asked need not wait for any of it.
//! How the connection comes and goes is `connection.rs`'s. The invariants are those of `mod.rs`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::ProtocolVersion;

use super::asked::{Asked, NodeLine, Origin, Vote};
use super::join::{Joined, Place};
use super::owed::{Debt, MAX_UNANSWERED, SLACK};
use super::reply::Answer;
use super::{Link, Shared, State};
use crate::clock::Clock;
use crate::error::{Failure, NodeErrorKind};
use crate::event::Event;
use crate::node::{Inbox, Question, Reply, ReplyTo, Verb};
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
    began: Instant,
    /// The connection before this one may still deliver commands.
    old_left: bool,
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
        old_left: bool,
        native: Option<Delete>,
        joined: Option<Joined>,
        began: Instant,
    ) -> Self {
        let mut session = Self {
            number,
            place,
            began,
            old_left,
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

    /// Whether a key may still be set by what the older connection holds.
    fn may_set_late(&self, release: &Question, clock: &dyn Clock) -> bool {
        clock.now() < self.last_of_old(release)
    }

    /// Until when that may be; the beginning of this connection, if it is over.
    fn last_of_old(&self, release: &Question) -> Instant {
        if self.old_left { later(self.began, release.ttl) } else { self.began }
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
    pub(super) fn answered(self: &Arc<Self>, origin: &Origin, heard: &mut Vec<(Asked, Answer)>) {
        let mut state = lock(&self.state);
        let State { link, owed: ledger, .. } = &mut *state;
        let mut old_left = false;
        if let Link::Up(session) = link
            && session.number == origin.number
        {
            session.heard += heard.len() as u64;
            old_left = session.old_left;
        }
        let mut is_paid = false;
        for (asked, answer) in heard.iter_mut() {
            // All others are followed one by one.
            if !old_left
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

    fn hear(self: &Arc<Self>, origin: &Origin, asked: Asked, answer: Answer) {
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
            self.follow(to.shared(), number, origin.number, &reply);
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

    /// Sees to it that a release is confirmed: forgets it when it is, else has it sent again. Where the connection broke,
    /// the next one sends it.
    fn follow(self: &Arc<Self>, release: &Arc<Inbox>, owed: u64, number: u64, reply: &Reply) {
        let mut state = lock(&self.state);
        let State { link, owed: ledger, .. } = &mut *state;
        let again_after = match reply {
            Reply::Released { .. } => match link {
                Link::Up(session)
                    if session.number == number
                        && session.may_set_late(release.question(), &*self.clock)
                        && ledger.contains(owed) =>
                {
                    ledger.renew(owed, self.clock.now());
                    release.question().ttl.saturating_add(SLACK)
                }
                _ => {
                    ledger.settle(owed);
                    drop(state);
                    self.paid.notify_waiters();
                    return;
                }
            },
            Reply::Failed(failure) if failure.is_said() => {
                let now = self.clock.now();
                let last = match link {
                    Link::Up(session) => session.last_of_old(release.question()).max(now),
                    _ => now,
                };
                let debt = ledger.refuse(owed, last, now);
                if debt != Debt::Open {
                    drop(state);
                    self.tell_forgotten(usize::from(debt == Debt::Forgotten));
                    return self.paid.notify_waiters();
                }
                jittered(INSIST[0], INSIST[1], &self.entropy)
            }
            _ => return,
        };
        drop(state);
        self.insist(release, owed, number, again_after);
    }

    /// Sends a release again `after` a while, if it is still owed then; on the same connection: a later one has sent it already.
    fn insist(self: &Arc<Self>, release: &Arc<Inbox>, owed: u64, number: u64, after: Duration) {
        let (node, release) = (Arc::clone(self), Arc::clone(release));
        self.spawner.spawn(Box::pin(async move {
            if node.stays_owed(owed, after).await && node.is_up(number) {
                node.put(ReplyTo::nobody(release), None, Some(owed));
            }
        }));
    }

    /// Whether this is the connection that is up.
    fn is_up(&self, number: u64) -> bool {
        matches!(&lock(&self.state).link, Link::Up(session) if session.number == number)
    }

    /// Whether a release is still owed after `span`. Ends sooner if it is not: a later connection may have paid it.
    async fn stays_owed(&self, number: u64, span: Duration) -> bool {
        let end = later(self.clock.now(), span);
        loop {
            let paid = self.paid.notified();
            if !lock(&self.state).owed.contains(number) {
                return false;
            }
            tokio::select! {
                biased;
                () = paid => {}
                () = self.clock.sleep_until(end) => return true,
            }
        }
    }
}
