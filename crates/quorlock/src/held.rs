//! A held lease with the nodes that hold it: extending it and giving it back. When that is done is decided above.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::audit::Baselines;
use crate::entropy::Entropy;
use crate::error::{Error, LostReason};
use crate::event::Event;
use crate::fan_out::{FanOut, Nodes};
use crate::fencing::Fencing;
use crate::handover::Lease;
use crate::lease::Terms;
use crate::lifetime::Lifetime;
use crate::node::NodeSet;
use crate::report::ReleaseReport;
use crate::round::{self, NotKept, Won};
use crate::sync::lock;
use crate::token::Token;
use crate::validity::{Validity, later};

/// What a guard owns and its keeper works on.
#[derive(Debug)]
pub(crate) struct Held {
    nodes: Arc<Nodes>,
    terms: Terms,
    token: Arc<Token>,
    pub(crate) life: Arc<Lifetime>,
    pub(crate) entropy: Arc<Entropy>,
    footprint: Arc<Mutex<Footprint>>,
    baselines: Arc<Baselines>,
    pub(crate) seat: Seat,
}

/// When its keeper looks at a lease next, with a number, since moments may be the same.
pub(crate) type Place = (Instant, u64);

/// A lease's place with its keeper, who alone changes it.
#[derive(Debug, Default)]
pub(crate) struct Seat(Mutex<Option<Place>>);

impl Seat {
    pub(crate) fn take(&self, place: Place) {
        *lock(&self.0) = Some(place);
    }

    pub(crate) fn leave(&self) -> Option<Place> {
        lock(&self.0).take()
    }
}

/// What a release has to cover.
#[derive(Clone, Copy, Debug)]
struct Footprint {
    /// The nodes that hold the keys or may hold them.
    touched: NodeSet,
    /// The longest TTL that any key was set to.
    ttl: Duration,
}

impl Held {
    pub(crate) fn new(
        nodes: &Arc<Nodes>,
        terms: Terms,
        won: Won,
        max_hold: Option<Duration>,
        entropy: &Arc<Entropy>,
    ) -> Self {
        let (clock, audience) = (&nodes.clock, &nodes.audience);
        let life = Lifetime::begin(won.until, max_hold, &terms, &won.token, clock, audience);
        let footprint = Footprint { touched: won.touched, ttl: terms.validity.ttl() };
        let backed = |index| won.granted.contains(index).then_some(won.until);
        let baselines = Baselines::new((0..nodes.len()).map(backed));
        let fencing = won.fencing.map_or(Fencing::Off, Fencing::Has);
        Self {
            nodes: Arc::clone(nodes),
            terms: Terms { fencing, ..terms },
            token: won.token,
            life: Arc::new(life),
            entropy: Arc::clone(entropy),
            footprint: Arc::new(Mutex::new(footprint)),
            baselines: Arc::new(baselines),
            seat: Seat::default(),
        }
    }

    pub(crate) fn terms(&self) -> &Terms {
        &self.terms
    }

    pub(crate) fn now(&self) -> Instant {
        self.nodes.clock.now()
    }

    /// The deadline as the user's own clock has it, as long as the lease is held.
    pub(crate) fn valid_until(&self) -> Option<Instant> {
        self.life.held_until().map(|until| self.nodes.clock.on_std_clock(until))
    }

    /// One extend, unless the deadline stands at the end of the maximum hold time already.
    ///
    /// # Errors
    ///
    /// Those of [`prove`](Self::prove).
    pub(crate) async fn extend(&self, validity: Validity) -> Result<(), Error> {
        if self.life.is_at_hold_end() && self.life.is_valid() {
            return Ok(());
        }
        self.prove(validity).await
    }

    /// One extend, with the repair of nodes that have lost the keys. A failed one changes nothing about the lease.
    ///
    /// # Errors
    ///
    /// `Lost` if the lease is over; `NoQuorum` if too few nodes kept it: then the old deadline stands.
    pub(crate) async fn prove(&self, validity: Validity) -> Result<(), Error> {
        let now = self.now();
        let old_deadline = match self.life.held_until() {
            Some(until) if now < until => until,
            _ => return Err(self.life.lost()),
        };
        // What the nodes are told backs the whole deadline, also on those that are repaired.
        let validity = validity.covering(old_deadline.saturating_duration_since(now));
        let terms = Terms { validity, ..self.terms.clone() };
        self.outlast(validity.ttl());
        let Self { nodes, token, baselines, .. } = self;
        match round::extend(nodes, &terms, token, baselines, now, old_deadline).await {
            Ok(kept) if self.life.extend(kept.until) => {
                let footprint = Arc::clone(&self.footprint);
                round::repair(&self.nodes, &terms, &self.token, kept, move |repaired| {
                    let mut footprint = lock(&footprint);
                    footprint.touched = footprint.touched.and(repaired);
                });
                let (life, audience) = (&self.life, &self.nodes.audience);
                audience.tell(|| Event::Extended {
                    resources: life.resources().clone(),
                    valid_for: life.valid_for(),
                });
                Ok(())
            }
            Ok(_) => Err(self.life.lost()),
            Err(NotKept::MajorityGone) => {
                self.life.lose(LostReason::MajorityGone);
                Err(self.life.lost())
            }
            Err(NotKept::NoQuorum(_)) if !self.life.is_valid() => Err(self.life.lost()),
            Err(NotKept::NoQuorum(failures)) => {
                let (life, audience) = (&self.life, &self.nodes.audience);
                audience.tell(|| Event::ExtendFailed {
                    resources: life.resources().clone(),
                    valid_for: life.valid_for(),
                    failures: failures.clone(),
                });
                Err(no_quorum(&self.nodes, &self.terms, failures))
            }
        }
    }

    /// Ends the lease and puts the release onto every node's queue before it returns. The first part says whether the
    /// lease was still valid.
    pub(crate) fn release(&self) -> (Result<(), LostReason>, Releasing<'_>) {
        // Retires the token before the footprint is read: a late repair is either in it, or is not sent.
        let now = self.now();
        let valid_for = self.life.valid_for_at(now);
        let was = self.life.release(now);
        let releasing = self.releasing(now);
        let resources = self.life.resources();
        self.nodes.audience.tell(|| Event::Released { resources: resources.clone(), valid_for });
        (was, releasing)
    }

    /// The same for somebody who waits for nothing, and may block this thread next.
    pub(crate) fn release_in_passing(&self) {
        drop(self.release());
        self.nodes.spawner.let_run();
    }

    /// Puts the release of a lease that has ended onto every node's queue.
    pub(crate) fn releasing(&self, now: Instant) -> Releasing<'_> {
        let Footprint { touched, ttl } = *lock(&self.footprint);
        let asked = round::release(&self.nodes, &self.terms, &self.token, ttl, touched, now);
        Releasing { held: self, asked, touched, end: later(now, self.terms.time_limit) }
    }

    /// Ends the lease here and hands it on as data: no key is deleted, and none is set from here any more.
    ///
    /// # Errors
    ///
    /// How it was lost, if it was.
    pub(crate) fn hand_over(&self) -> Result<Lease, LostReason> {
        // In this order, before anything that may take its time: what is said is never later than what is meant.
        let (wall, now) = (self.nodes.clock.wall(), self.now());
        let until = self.life.held_until();
        self.life.release(now)?;
        let resources = self.life.resources().clone();
        self.nodes.audience.tell(|| Event::HandedOver { resources: resources.clone() });
        let on_the_wall = |instant: Instant| {
            wall.checked_add(instant.saturating_duration_since(now)).unwrap_or(wall)
        };
        Ok(Lease {
            resources,
            token: self.token.again(),
            ttl: self.terms.validity.ttl(),
            lasts: lock(&self.footprint).ttl,
            until: until.map_or(wall, on_the_wall),
            fencing: self.terms.fencing.token(),
            hold_until: self.life.hold_end().map(on_the_wall),
        })
    }

    /// From now on keys may last for at least `ttl`.
    pub(crate) fn outlast(&self, ttl: Duration) {
        let mut footprint = lock(&self.footprint);
        footprint.ttl = footprint.ttl.max(ttl);
    }
}

/// A release under way; dropped, it goes on in the background.
#[derive(Debug)]
pub(crate) struct Releasing<'a> {
    held: &'a Held,
    asked: FanOut,
    touched: NodeSet,
    end: Instant,
}

impl Releasing<'_> {
    pub(crate) async fn report(self) -> ReleaseReport {
        let Held { nodes, terms, .. } = self.held;
        round::released(nodes, terms, self.asked, self.touched, self.end).await
    }
}

/// The error of a round that too few nodes took part in.
pub(crate) fn no_quorum(
    nodes: &Nodes,
    terms: &Terms,
    failures: Vec<crate::error::NodeError>,
) -> Error {
    Error::NoQuorum {
        resources: terms.keys.resources().clone(),
        needed: terms.fencing.needed(nodes.quorum()),
        total: nodes.len(),
        failures,
    }
}
