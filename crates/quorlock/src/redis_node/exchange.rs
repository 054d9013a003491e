//! One question on the connection that is up: queued in order, answered, and, for a release, followed until it is confirmed.
//! How the connection comes and goes is `connection.rs`'s. The invariants are those of `mod.rs`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Value};
use tokio::task::coop::unconstrained;

use super::join::{Joined, Watch};
use super::owed::{MAX_UNANSWERED, SLACK};
use super::reply::{self, Answer};
use super::session::Opened;
use super::{Link, Shared, State};
use crate::error::{Failure, NodeErrorKind};
use crate::event::Event;
use crate::node::{Question, Reply, Verb};
use crate::retry::jittered;
use crate::script::{self, Compared, Delete, Form};
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
    pub(super) connection: MultiplexedConnection,
    began: Instant,
    /// The connection before this one may still deliver commands.
    old_left: bool,
    /// The server's own compare-and-delete, as long as it does not refuse it.
    native: Option<Delete>,
    fitness: Fitness,
    watch: Arc<Watch>,
    /// How often the marker had changed when the node was joined.
    changes: u64,
    compared: Option<Arc<Compared>>,
    sent: u64,
    heard: u64,
    /// Since when it owes an answer without having given one.
    pub(super) waiting_since: Instant,
    /// How long it may owe an answer: twice the longest time limit that it was asked under.
    pub(super) patience: Duration,
}

impl Session {
    pub(super) fn new(number: u64, opened: Opened, began: Instant) -> Self {
        let Opened { connection, old_left, native, watch, joined, .. } = opened;
        let (sent, heard, waiting_since, patience) = (0, 0, began, PATIENCE_FLOOR);
        let mut session = Self {
            number,
            connection,
            began,
            old_left,
            native,
            fitness: Fitness::Voting,
            watch,
            changes: 0,
            compared: None,
            sent,
            heard,
            waiting_since,
            patience,
        };
        if let Some(joined) = joined {
            session.is_joined(joined);
        }
        session
    }

    pub(super) fn is_joined(&mut self, joined: Joined) {
        let Joined { fitness, changes, compared, .. } = joined;
        // Two may join at once: the older look must not replace the newer one, which nothing would wake again.
        if changes < self.changes {
            return;
        }
        self.fitness = fitness;
        self.changes = changes;
        self.compared = compared.map(Arc::new);
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn fitness(&self) -> &Fitness {
        &self.fitness
    }

    pub(super) fn watch(&self) -> &Arc<Watch> {
        &self.watch
    }

    /// Why the node is not asked this.
    fn objection(&self, question: &Question, now: Instant) -> Option<Failure> {
        match question.verb {
            Verb::Acquire if self.watch.changes() != self.changes => {
                // It is joined anew at this moment.
                Some(NodeErrorKind::Quarantined.into())
            }
            Verb::Acquire => self.fitness.objection(now),
            Verb::Certify | Verb::Extend | Verb::Repair => self.fitness.objection_to_any(),
            Verb::Release | Verb::Undo => None,
        }
    }

    /// Up to where it was asked, if it owes an answer.
    pub(super) fn owes(&self) -> Option<u64> {
        (self.sent > self.heard).then_some(self.sent)
    }

    /// The node has answered everything up to `sequence`: it answers in order.
    pub(super) fn heard_up_to(&mut self, sequence: u64, now: Instant) {
        self.heard = self.heard.max(sequence);
        self.waiting_since = now;
    }

    fn is_full(&self) -> bool {
        self.sent - self.heard >= MAX_UNANSWERED
    }

    /// Whether a key may still be set by what the older connection holds.
    fn may_set_late(&self, release: &Question, now: Instant) -> bool {
        self.old_left && now < later(self.began, release.ttl)
    }
}

/// A question on the queue.
pub(super) struct Sent {
    answer: BoxFuture<'static, RedisResult<Value>>,
    form: Form,
    session: u64,
    sequence: u64,
    owed: Option<u64>,
    /// Of an acquire.
    vote: Option<Vote>,
}

/// What a grant is worth.
struct Vote {
    watch: Arc<Watch>,
    changes: u64,
    compared: Option<Arc<Compared>>,
}

impl Vote {
    /// A grant counts only if the node has forgotten nothing since before it was asked (invariant 5).
    fn judge(&self, reply: Reply) -> Reply {
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

enum Put {
    Queued(Sent),
    /// The first connection is on its way.
    Later,
    Refused(Failure),
}

impl Shared {
    pub(super) async fn exchange(self: Arc<Self>, question: Arc<Question>) -> Reply {
        loop {
            match self.put(&question, None, None) {
                Put::Queued(sent) => return self.hear(&question, sent).await,
                Put::Later => self.settled.wait().await,
                Put::Refused(failure) => return Reply::Failed(failure),
            }
        }
    }

    /// Queues the command, in the first form that the node knows unless another is asked for, or says why not. `owed` is the
    /// number of a release already noted.
    fn put(&self, question: &Arc<Question>, form: Option<Form>, owed: Option<u64>) -> Put {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        if question.is_revoked() {
            return Put::Refused(NodeErrorKind::Down.into());
        }
        let owed = match owed {
            None if question.is_release() => Some(state.owed.add(Arc::clone(question), now)),
            known => known,
        };
        let objection = match &state.link {
            Link::Up(session) => session.objection(question, now),
            _ => None,
        };
        if let Some(failure) = objection {
            return Put::Refused(failure);
        }
        let failure = match &mut state.link {
            Link::Up(session) if !question.is_release() && session.is_full() => {
                NodeErrorKind::Overloaded.into()
            }
            Link::Up(session) => {
                return Put::Queued(self.send(session, question, form, owed, now));
            }
            Link::Idle | Link::Connecting if question.verb == Verb::Acquire => return Put::Later,
            Link::Idle | Link::Connecting => NodeErrorKind::Down.into(),
            Link::Down(failure) => failure.clone(),
        };
        let forgotten = state.owed.trim(now);
        // An observer may do anything, so nothing is locked while it is told.
        drop(state);
        self.tell_forgotten(forgotten);
        Put::Refused(failure)
    }

    pub(super) fn tell_forgotten(&self, releases: usize) {
        for _ in 0..releases {
            self.audience.tell(|| Event::OwedReleaseDropped { node: Arc::clone(&self.name) });
        }
    }

    pub(super) fn send(
        &self,
        session: &mut Session,
        question: &Question,
        form: Option<Form>,
        owed: Option<u64>,
        now: Instant,
    ) -> Sent {
        let form = form.unwrap_or_else(|| Form::first(question, session.native));
        session.patience = session.patience.max(question.time_limit.saturating_mul(2));
        if session.owes().is_none() {
            session.waiting_since = now;
            self.busy.notify_one();
        }
        session.sent += 1;
        let mut connection = session.connection.clone();
        let vote = (question.verb == Verb::Acquire).then(|| Vote {
            watch: Arc::clone(&session.watch),
            changes: session.changes,
            compared: session.compared.clone(),
        });
        let compared = vote.as_ref().and_then(|vote| vote.compared.as_deref());
        let command = script::command(question, form, compared);
        let mut answer: BoxFuture<'static, RedisResult<Value>> =
            Box::pin(async move { connection.send_packed_command(&command).await });
        let answer = match unconstrained(&mut answer).now_or_never() {
            Some(at_once) => Box::pin(ready(at_once)),
            None => answer,
        };
        Sent { answer, form, session: session.number, sequence: session.sent, owed, vote }
    }

    /// Waits for the answer; sends the script's text where the node does not know it.
    pub(super) async fn hear(self: &Arc<Self>, question: &Arc<Question>, mut sent: Sent) -> Reply {
        loop {
            let answer = sent.answer.await;
            if answer.is_ok() {
                self.note_heard(sent.session, sent.sequence);
            }
            let compared = sent.vote.as_ref().and_then(|vote| vote.compared.as_deref());
            let answer = reply::read(question, sent.form, compared, answer);
            if matches!(answer, Answer::NotNative) {
                self.note_not_native(sent.session);
            }
            let reply = match answer {
                Answer::Reply(reply) => match &sent.vote {
                    Some(vote) => vote.judge(reply),
                    None => reply,
                },
                Answer::OtherForm | Answer::NotNative => {
                    match self.put(question, Some(sent.form.next()), sent.owed) {
                        Put::Queued(again) => {
                            sent = again;
                            continue;
                        }
                        Put::Later => Reply::Failed(NodeErrorKind::Down.into()),
                        Put::Refused(failure) => Reply::Failed(failure),
                    }
                }
            };
            if let Some(number) = sent.owed {
                self.follow(question, number, sent.session, &reply);
            }
            return reply;
        }
    }

    fn note_not_native(&self, number: u64) {
        if let Link::Up(session) = &mut lock(&self.state).link
            && session.number == number
        {
            session.native = None;
        }
    }

    fn note_heard(&self, number: u64, sequence: u64) {
        let now = self.clock.now();
        if let Link::Up(session) = &mut lock(&self.state).link
            && session.number == number
        {
            session.heard_up_to(sequence, now);
        }
    }

    /// Sees to it that a release is confirmed: forgets it when it is, else has it sent again. Where the connection broke,
    /// the next one sends it.
    fn follow(self: &Arc<Self>, release: &Arc<Question>, owed: u64, number: u64, reply: &Reply) {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        let State { link, owed: ledger, .. } = &mut *state;
        let again_after = match reply {
            Reply::Released { .. } => match link {
                Link::Up(session)
                    if session.number == number
                        && session.may_set_late(release, now)
                        && ledger.contains(owed) =>
                {
                    ledger.renew(owed, now);
                    release.ttl.saturating_add(SLACK)
                }
                _ => {
                    ledger.settle(owed);
                    drop(state);
                    self.paid.notify_waiters();
                    return;
                }
            },
            Reply::Failed(failure) if failure.is_said() && ledger.is_live(owed, now) => {
                jittered(INSIST[0], INSIST[1], &self.entropy)
            }
            _ => return,
        };
        drop(state);
        let (node, release) = (Arc::clone(self), Arc::clone(release));
        self.spawner.spawn(Box::pin(async move {
            if node.stays_owed(owed, again_after).await
                && let Put::Queued(sent) = node.put(&release, None, Some(owed))
            {
                node.hear(&release, sent).await;
            }
        }));
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
