//! From a request to a guard by one round. Which nodes say what is decided below; when to ask again, in `waiting.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Notify;
use uuid::Uuid;

use crate::entropy::Entropy;
use crate::error::{Error, NodeError, NodeErrorKind};
use crate::event::Event;
use crate::fan_out::Nodes;
use crate::fenced::Fenced;
use crate::guard::Guard;
use crate::handover::Lease;
use crate::held::{Held, no_quorum};
use crate::keeper::{Keeper, Keeping};
use crate::lease::Terms;
use crate::node::NodeSet;
use crate::report::ReleaseReport;
use crate::round::{self, Missed, Won};
use crate::settings::Settings;
use crate::standing::quarantine_left;
use crate::token::Token;
use crate::validity::{Validity, later};
use crate::wait::{Pace, Wait};
use crate::waiters::Waiters;

/// What every call on a handle needs.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) nodes: Arc<Nodes>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) entropy: Arc<Entropy>,
    pub(crate) client: Uuid,
    pub(crate) pace: Pace,
    pub(crate) keeper: Keeper,
    pub(crate) waiters: Waiters,
    pub(crate) closed: AtomicBool,
    /// Rung when it is.
    pub(crate) closing: Notify,
}

/// A request whose input has been checked.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) terms: Terms,
    pub(crate) wait_for: Option<Duration>,
    pub(crate) max_hold: Option<Duration>,
    pub(crate) keeping: Keeping,
}

/// When nodes were connected, as far as they can be.
enum Connected {
    InTime,
    TooLate,
}

impl Core {
    /// A handle's.
    pub(crate) fn new(
        nodes: Nodes,
        settings: Settings,
        entropy: Arc<Entropy>,
        client: Uuid,
    ) -> Self {
        Self {
            keeper: Keeper::new(Arc::clone(&nodes.clock), Arc::clone(&nodes.spawner)),
            nodes: Arc::new(nodes),
            settings: Arc::new(settings),
            entropy,
            client,
            pace: Pace::default(),
            waiters: Waiters::default(),
            closed: AtomicBool::new(false),
            closing: Notify::new(),
        }
    }

    /// The first round, on a handle that may have to connect first.
    pub(crate) async fn connect_and_attempt(
        &self,
        wish: &Wish,
        begun: Instant,
    ) -> Result<Guard, Missed> {
        // To wait for no time is to ask once, also on such a handle.
        let once = later(begun, wish.terms.time_limit);
        let end = Wait::new(begun, wish.wait_for).end().map(|end| end.max(once));
        let time_limit = match self.connect(self.needed(wish), end).await {
            Connected::InTime => wish.terms.time_limit,
            // Where the nodes were not even connected in time, their answers are not waited for.
            Connected::TooLate => Duration::ZERO,
        };
        self.attempt(wish, time_limit, self.nodes.clock.now()).await
    }

    /// One round; `None` where somebody else holds the lock or competes for it.
    pub(crate) async fn try_lock(&self, wish: &Wish) -> Result<Option<Guard>, Error> {
        self.check_open()?;
        self.connect(self.needed(wish), None).await;
        let start = self.nodes.clock.now();
        match self.attempt(wish, wish.terms.time_limit, start).await {
            Ok(guard) => Ok(Some(guard)),
            Err(mut missed @ Missed::Denied { .. }) => {
                let end = later(self.nodes.clock.now(), wish.terms.time_limit);
                self.foreign(wish, &mut missed, end).await.map_or(Ok(None), Err)
            }
            Err(missed) => Err(self.error(wish, missed, Duration::ZERO)),
        }
    }

    /// After a denial: the error, if a foreign key is what denied it and that is known by `end`, or the handle is closed.
    pub(crate) async fn foreign(
        &self,
        wish: &Wish,
        missed: &mut Missed,
        end: Instant,
    ) -> Option<Error> {
        let Missed::Denied { undone, .. } = missed else { return None };
        // Not kept for the rest of a wait: what has not answered by then is heard by nobody.
        let known = round::foreign(&self.nodes, self.needed(wish), undone.take()?, end);
        let failures = match self.unless_closed(known).await {
            Ok(failures) => failures?,
            Err(closed) => return Some(closed),
        };
        let resources = wish.terms.keys.resources();
        self.nodes.audience.tell(|| Event::AcquireFailed {
            resources: resources.clone(),
            failures: failures.clone(),
        });
        Some(Error::ForeignKey { resources: resources.clone(), failures })
    }

    /// A lease that came from elsewhere, as if it had been won here and not yet extended.
    fn adopt(&self, lease: &Lease) -> Result<(Held, Validity), Error> {
        let terms = self.settings.terms(lease.resources.clone(), Some(lease.ttl))?;
        let (nodes, validity) = (&self.nodes, terms.validity);
        // Not beyond what the TTL can mean, whatever the clock of the day says.
        let now = nodes.clock.now();
        let wall = nodes.clock.wall();
        let left = |until: SystemTime| until.duration_since(wall).unwrap_or_default();
        let until = later(now, left(lease.until).min(validity.length()));
        let max_hold = lease.hold_until.map(left);
        let won = Won {
            token: Arc::new(lease.token.again()),
            at: now,
            until,
            touched: nodes.all(),
            granted: NodeSet::EMPTY,
            took: Duration::ZERO,
            votes: 0,
            margin: 0,
            fencing: lease.fencing,
            rounds: 0,
        };
        let held = Held::new(nodes, terms, won, max_hold, &self.entropy);
        held.outlast(lease.lasts);
        Ok((held, validity))
    }

    /// Holds a lease that came from elsewhere, once a quorum has extended it.
    pub(crate) async fn take_up(&self, lease: &Lease) -> Result<Guard, Error> {
        self.check_open()?;
        self.connect(self.nodes.quorum(), None).await;
        let (held, validity) = self.adopt(lease)?;
        // Also at the end of its maximum hold time: without a quorum it is not held here.
        if let Err(error) = held.prove(validity).await {
            if matches!(error, Error::Lost { .. }) {
                // Nobody will take it up any more, and some nodes may just have prolonged it.
                drop(held.releasing(self.nodes.clock.now()));
            }
            return Err(error);
        }
        let (resources, valid_for) = (held.life.resources().clone(), held.life.valid_for());
        let now = self.nodes.clock.now();
        let guard = self.guard(Arc::new(held), Keeping::Extended, now);
        self.nodes.audience.tell(|| Event::TakenUp { resources, valid_for });
        Ok(guard)
    }

    /// Gives a lease back that came from elsewhere.
    pub(crate) async fn give_back(&self, lease: &Lease) -> Result<ReleaseReport, Error> {
        self.check_open()?;
        self.connect(self.nodes.quorum(), None).await;
        let (held, _) = self.adopt(lease)?;
        Ok(held.releasing(self.nodes.clock.now()).report().await)
    }

    /// How many nodes certify a fencing token.
    pub(crate) fn certify_on(&self) -> usize {
        self.settings.certify_on.unwrap_or_else(|| self.nodes.quorum())
    }

    /// A guard with its fencing token.
    pub(crate) fn fenced(&self, wish: &Wish, guard: Guard) -> Result<Fenced<Guard>, Error> {
        // A round with fencing is only won with a token.
        Fenced::new(guard).ok_or_else(|| no_quorum(&self.nodes, &wish.terms, Vec::new()))
    }

    fn guard(&self, held: Arc<Held>, keeping: Keeping, now: Instant) -> Guard {
        Guard::new(self.keeper.keep(held, keeping, now), Arc::clone(&self.settings))
    }

    /// How many nodes have to grant.
    pub(crate) fn needed(&self, wish: &Wish) -> usize {
        wish.terms.fencing.needed(self.nodes.quorum())
    }

    /// Waits for the first connections to so many nodes, until `end` at the latest.
    async fn connect(&self, needed: usize, end: Option<Instant>) -> Connected {
        if self.nodes.are_settled() {
            return Connected::InTime;
        }
        // Boxed: only the first few locks of a handle wait for it.
        let connect = Box::pin(self.nodes.connect(needed));
        let Some(end) = end else {
            connect.await;
            return Connected::InTime;
        };
        tokio::select! {
            biased;
            () = connect => Connected::InTime,
            () = self.nodes.clock.sleep_until(end) => Connected::TooLate,
        }
    }

    pub(crate) fn check_open(&self) -> Result<(), Error> {
        if self.closed.load(Ordering::SeqCst) { Err(Error::Closed) } else { Ok(()) }
    }

    /// Waits for `work`, unless the handle is closed before.
    pub(crate) async fn unless_closed<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        // Before the look, so that no closing is missed after it.
        let closing = self.closing.notified();
        self.check_open()?;
        tokio::select! {
            biased;
            () = closing => Err(Error::Closed),
            done = work => Ok(done),
        }
    }

    /// One round of no more than `time_limit`, with a fresh token (safety.md H1).
    // Not an `async fn`, which would have room for what it is given twice.
    pub(crate) fn attempt(
        &self,
        wish: &Wish,
        time_limit: Duration,
        start: Instant,
    ) -> impl Future<Output = Result<Guard, Missed>> + Send {
        let token = Arc::new(Token::new(self.client, self.entropy.bytes()));
        async move {
            let (nodes, terms) = (&self.nodes, &wish.terms);
            let round = round::acquire(nodes, terms, time_limit, token, start).await;
            self.end_of_attempt(wish, time_limit, round)
        }
    }

    /// What comes of it.
    fn end_of_attempt(
        &self,
        wish: &Wish,
        time_limit: Duration,
        round: Result<Won, Missed>,
    ) -> Result<Guard, Missed> {
        let resources = wish.terms.keys.resources();
        let audience = &self.nodes.audience;
        match round {
            Ok(won) => {
                self.pace.note(won.took, time_limit);
                let (at, took) = (won.at, won.took);
                let (votes, margin, rounds) = (won.votes, won.margin, won.rounds);
                let held =
                    Held::new(&self.nodes, wish.terms.clone(), won, wish.max_hold, &self.entropy);
                let guard = self.guard(Arc::new(held), wish.keeping, at);
                audience.tell(|| Event::Acquired {
                    resources: resources.clone(),
                    took,
                    votes,
                    margin,
                    rounds,
                });
                Ok(guard)
            }
            Err(missed) => {
                match &missed {
                    Missed::Denied { took, .. } => {
                        took.iter().for_each(|took| self.pace.note(*took, time_limit));
                        audience.tell(|| Event::Denied { resources: resources.clone() });
                    }
                    Missed::NoQuorum(failures) => audience.tell(|| Event::AcquireFailed {
                        resources: resources.clone(),
                        failures: failures.clone(),
                    }),
                    Missed::TooLate { .. } => audience.tell(|| Event::AcquireFailed {
                        resources: resources.clone(),
                        failures: Vec::new(),
                    }),
                }
                Err(missed)
            }
        }
    }

    /// Whether a quarantine stands in the way that this wait does not see the end of.
    pub(crate) fn is_quarantined(&self, wish: &Wish, missed: &Missed, wait: &mut Wait) -> bool {
        match missed {
            Missed::NoQuorum(failures) if is_for_quarantine(failures) => self
                .quarantine_left(wish)
                .is_some_and(|left| !wait.outlasts(left, self.nodes.clock.now())),
            _ => false,
        }
    }

    /// How long until enough nodes vote, if quarantines are all that stands in the way.
    fn quarantine_left(&self, wish: &Wish) -> Option<Duration> {
        let standings: Vec<_> = self.nodes.list.iter().map(|node| node.standing()).collect();
        quarantine_left(&standings, self.needed(wish))
    }

    pub(crate) fn error(&self, wish: &Wish, missed: Missed, waited: Duration) -> Error {
        let resources = wish.terms.keys.resources().clone();
        match missed {
            Missed::Denied { .. } => Error::Held { resources, waited },
            Missed::NoQuorum(failures) => match self.quarantine_left(wish) {
                Some(ends_in) if is_for_quarantine(&failures) => {
                    Error::Quarantined { resources, ends_in, failures }
                }
                _ => no_quorum(&self.nodes, &wish.terms, failures),
            },
            Missed::TooLate { took } => {
                Error::TooLate { resources, took, validity: wish.terms.validity.length() }
            }
        }
    }
}

fn is_for_quarantine(failures: &[NodeError]) -> bool {
    failures.iter().any(|error| error.kind() == NodeErrorKind::Quarantined)
}
