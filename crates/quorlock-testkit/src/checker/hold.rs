//! From events to leases: when each counted, and how it ended. Judges nothing but whether the events make sense.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use super::violation::{Flaw, Violation};
use crate::history::{Action, Event, History, Outcome};

/// The time in which one lease counted: from `from` up to, but without, `until`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Who held.
    pub client: String,
    /// The client's number of the acquire.
    pub attempt: u64,
    /// What was held.
    pub resource: String,
    /// When the acquire began.
    pub asked: Duration,
    /// When the acquire returned.
    pub from: Duration,
    /// When it counted no more. Not after `from`: it never counted.
    pub until: Duration,
    /// Why it counted no more.
    pub ended: Ended,
    /// The fencing token, if there was one.
    pub token: Option<u64>,
}

/// How a lease came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Its release began.
    Released,
    /// Its validity ran out.
    Expired,
    /// The guard said "lost".
    Lost,
    /// Its process was gone.
    Died,
}

impl Hold {
    /// Whether it ever counted.
    #[must_use]
    pub fn counted(&self) -> bool {
        self.from < self.until
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, attempt, from, until, ended, .. } = self;
        write!(f, "{client}#{attempt} from {from:?} until {until:?} ({ended})")
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Lost => "lost",
            Self::Died => "died",
        })
    }
}

/// A hold and what else the checks need to know of it.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) hold: Hold,
    /// The last deadline that it had while it counted.
    pub(super) deadline: Duration,
    /// When the guard said "lost", less what the machine was late.
    pub(super) told: Option<Duration>,
}

/// The leases of a history, sorted by resource, then by begin.
#[derive(Debug)]
pub(super) struct Leases(Vec<Lease>);

impl Leases {
    /// Reads the leases, and reports the events that fit to none.
    pub(super) fn read(history: &History) -> (Self, Vec<Violation>) {
        let mut reader = Reader::default();
        let mut events: Vec<&Event> = history.events().iter().collect();
        // An extend counts from its return, so that is when its turn is; the rest counts from its begin.
        events.sort_by_key(|event| (event.attempt(), turn(event)));
        events.iter().for_each(|event| reader.read(event));
        let mut leases: Vec<Lease> =
            reader.leases.into_values().map(|l| l.cut(&reader.deaths)).collect();
        leases
            .sort_by(|a, b| (&a.hold.resource, a.hold.from).cmp(&(&b.hold.resource, b.hold.from)));
        (Self(leases), reader.flaws)
    }

    pub(super) fn all(&self) -> &[Lease] {
        &self.0
    }

    /// The leases of each resource, by their begin.
    pub(super) fn by_resource(&self) -> impl Iterator<Item = &[Lease]> {
        self.0.chunk_by(|a, b| a.hold.resource == b.hold.resource)
    }

    /// The leases of one resource, by their begin.
    pub(super) fn of(&self, resource: &str) -> &[Lease] {
        let from = self.0.partition_point(|lease| lease.hold.resource.as_str() < resource);
        let until = self.0.partition_point(|lease| lease.hold.resource.as_str() <= resource);
        &self.0[from..until]
    }

    /// All leases by their begin, whatever they hold.
    pub(super) fn by_begin(&self) -> impl Iterator<Item = &Lease> {
        let mut leases: Vec<&Lease> = self.0.iter().collect();
        leases.sort_by_key(|lease| lease.hold.from);
        leases.into_iter()
    }
}

/// Acquires first, then in the order in which events take effect.
fn turn(event: &Event) -> (u8, Duration) {
    match event.action {
        Action::Acquire { .. } => (0, event.inv),
        Action::Extend { .. } => (1, event.ret.unwrap_or(Duration::MAX)),
        _ => (1, event.inv),
    }
}

#[derive(Default)]
struct Reader {
    leases: BTreeMap<(String, u64), Lease>,
    deaths: BTreeMap<String, Duration>,
    /// Acquires that were seen, also those that were not granted.
    seen: BTreeSet<(String, u64)>,
    flaws: Vec<Violation>,
}

impl Reader {
    fn read(&mut self, event: &Event) {
        if let Some(flaw) = self.flaw(event) {
            self.flaws.push(Violation::Malformed { event: event.clone(), flaw });
            return;
        }
        match &event.action {
            Action::Acquire { attempt, resource, outcome } => {
                self.seen.insert((event.client.clone(), *attempt));
                if let (Outcome::Granted { deadline, token }, Some(ret)) = (*outcome, event.ret) {
                    let lease = Lease::granted(event, *attempt, resource, (ret, deadline), token);
                    self.leases.insert((event.client.clone(), *attempt), lease);
                }
            }
            Action::Died => {
                let death = self.deaths.entry(event.client.clone()).or_insert(event.inv);
                *death = event.inv.min(*death);
            }
            Action::Write { .. } => {}
            Action::Extend { attempt, .. }
            | Action::Release { attempt }
            | Action::Lost { attempt, .. } => {
                if let Some(lease) = self.leases.get_mut(&(event.client.clone(), *attempt)) {
                    lease.follow(event);
                }
            }
        }
    }

    fn flaw(&self, event: &Event) -> Option<Flaw> {
        if event.ret.is_some_and(|ret| ret < event.inv) {
            return Some(Flaw::EndsBeforeItBegins);
        }
        match &event.action {
            Action::Acquire { outcome, .. } | Action::Extend { outcome, .. }
                if event.ret.is_none() && *outcome != Outcome::Unknown =>
            {
                Some(Flaw::OutcomeWithoutEnd)
            }
            Action::Acquire { attempt, .. } => self
                .seen
                .contains(&(event.client.clone(), *attempt))
                .then_some(Flaw::NumberUsedTwice),
            Action::Extend { attempt, .. }
            | Action::Release { attempt }
            | Action::Lost { attempt, .. } => {
                (!self.leases.contains_key(&(event.client.clone(), *attempt)))
                    .then_some(Flaw::NothingHeld)
            }
            Action::Write { .. } | Action::Died => None,
        }
    }
}

impl Lease {
    fn granted(
        event: &Event,
        attempt: u64,
        resource: &str,
        (from, deadline): (Duration, Duration),
        token: Option<u64>,
    ) -> Self {
        let hold = Hold {
            client: event.client.clone(),
            attempt,
            resource: resource.to_owned(),
            asked: event.inv,
            from,
            until: Duration::MAX,
            ended: Ended::Expired,
            token,
        };
        Self { hold, deadline, told: None }
    }

    /// Takes in what happened to it next.
    fn follow(&mut self, event: &Event) {
        match event.action {
            Action::Extend { outcome: Outcome::Granted { deadline, .. }, .. } => {
                // Lost and released are final, and so is a deadline that has passed.
                let limit = self.deadline.min(self.hold.until);
                if event.ret.is_some_and(|ret| ret < limit) {
                    self.deadline = deadline;
                }
            }
            Action::Release { .. } => self.end(event.inv, Ended::Released),
            Action::Lost { lag, .. } => {
                self.told.get_or_insert_with(|| event.inv.saturating_sub(lag));
                self.end(event.inv, Ended::Lost);
            }
            _ => {}
        }
    }

    fn end(&mut self, at: Duration, how: Ended) {
        if at < self.hold.until {
            self.hold.until = at;
            self.hold.ended = how;
        }
    }

    /// The last cuts: the death of the process, then the deadline.
    fn cut(mut self, deaths: &BTreeMap<String, Duration>) -> Self {
        if let Some(death) = deaths.get(&self.hold.client) {
            self.end(*death, Ended::Died);
        }
        self.end(self.deadline, Ended::Expired);
        self
    }
}
