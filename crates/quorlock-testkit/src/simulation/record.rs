//! What the workers of a simulation did, as a history for the checker; and an oracle beside it that asks the guards
//! themselves. Both on virtual time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use quorlock::{Event, Guard, Observer, Resources};
use tokio::time::Instant;

use super::backing::Backing;
use super::census::Counting;
use super::fencing::Store;
use super::field::Key;
use super::finding::Finding;
use super::tasks::Process;
use crate::history::{History, Recorder, Verdict};
use crate::proxy::wire::lock;

/// The record of one simulation. Clones are handles to the same.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    begun: Instant,
    inner: Arc<Mutex<Inner>>,
    /// Unless the assumptions are broken.
    backing: Arc<OnceLock<Backing>>,
    /// When the clocks of the nodes are set right.
    healed: Arc<OnceLock<()>>,
}

#[derive(Debug, Default)]
struct Inner {
    history: History,
    findings: Vec<Finding>,
    notes: Vec<Note>,
    /// The guards that workers hold, by worker.
    held: BTreeMap<String, Held>,
    store: Store,
}

/// Something that is not an operation, for the reader of a time line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// When.
    pub at: Duration,
    /// What: a fault, or what a client heard.
    pub text: String,
}

#[derive(Clone, Debug)]
struct Held {
    client: usize,
    process: Process,
    resources: Vec<String>,
    /// Its token, or where no quorum knew it when it was had, what all tokens of its client begin with.
    owner: Arc<str>,
    /// Of the acquisitions in the history, one for each resource.
    attempts: Vec<u64>,
    recorder: Recorder,
    guard: Arc<Guard>,
    /// As it was told last, on the clock of the process.
    deadline: Option<std::time::Instant>,
}

impl Record {
    pub(crate) fn begin() -> Self {
        Self {
            begun: Instant::now(),
            inner: Arc::default(),
            backing: Arc::default(),
            healed: Arc::default(),
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(crate) fn offset(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.begun)
    }

    /// An instant of a client's clock, on the time of the history.
    pub(crate) fn time(&self, instant: std::time::Instant, process: &Process) -> Duration {
        Instant::from_std(instant).saturating_duration_since(self.begun) + process.suspended_for()
    }

    /// From now on the nodes are asked, too.
    pub(crate) fn watch(&self, backing: Backing) {
        drop(self.backing.set(backing));
    }

    /// The oracle: a lease is backed by a quorum of the nodes until its deadline, when it is granted and whenever it is
    /// extended.
    fn ask_nodes(&self, worker: &str) {
        let held = lock(&self.inner).held.get(worker).cloned();
        let Some(held) = held.filter(|held| held.guard.is_valid()) else { return };
        let needed = held.guard.valid_for();
        for resource in &held.resources {
            if let Some(nodes) = self.is_short(resource, &held.owner, needed) {
                let (worker, resource, at) = (worker.to_owned(), resource.clone(), self.now());
                self.found(Finding::Unbacked { worker, resource, at, needed, nodes });
            }
        }
    }

    /// A node that held these keys may have forgotten them.
    pub(crate) fn forgot(&self, node: usize, kept: Vec<Key>) {
        if let Some(backing) = self.backing.get() {
            backing.forgot(node, kept);
        }
    }

    /// See [`Backing::is_short`].
    pub(crate) fn is_short(&self, resource: &str, owner: &str, needed: Duration) -> Option<usize> {
        self.backing.get().and_then(|backing| backing.is_short(resource, owner, needed))
    }

    /// Whether a quorum is known to hold all that this worker's guard is for.
    pub(crate) fn is_held(&self, worker: &str) -> bool {
        let held = lock(&self.inner).held.get(worker).cloned();
        self.backing.get().zip(held).is_some_and(|(backing, held)| {
            held.resources.iter().all(|resource| backing.is_held(resource, &held.owner))
        })
    }

    /// From now on clocks jump, though no lock is held any more.
    pub(crate) fn healed(&self) {
        let _ = self.healed.set(());
        self.note("everything is healed");
    }

    /// The oracle: no node's clock gains more than the drift, so no client says so; but a node that came back with what was
    /// before has keys that end as early. Says whether clocks do what they like.
    fn accused(&self, client: usize, node: &str, resources: &Resources, missing: Duration) -> bool {
        let Some(backing) = self.backing.get() else { return true };
        let node = number_of(node).unwrap_or(usize::MAX);
        if self.healed.get().is_none() && !backing.is_rolled_back(node, resources.names()) {
            self.found(Finding::FalseAlarm { client, node, at: self.now(), missing });
        }
        false
    }

    /// A node holds these again, and its client knows.
    fn repaired(&self, node: &str, resources: &Resources) {
        if let (Some(backing), Some(node)) = (self.backing.get(), number_of(node)) {
            backing.repaired(node, resources.names());
        }
    }

    /// A write arrives at the store of this resource.
    pub(crate) fn write(&self, resource: &str, token: u64) -> Verdict {
        lock(&self.inner).store.write(resource, token)
    }

    pub(crate) fn push(&self, event: crate::history::Event) {
        lock(&self.inner).history.push(event);
    }

    pub(crate) fn found(&self, finding: Finding) {
        lock(&self.inner).findings.push(finding);
    }

    pub(crate) fn note(&self, text: impl Into<String>) {
        let note = Note { at: self.now(), text: text.into() };
        lock(&self.inner).notes.push(note);
    }

    /// A worker holds `guard` from now on.
    pub(crate) fn hold(
        &self,
        (client, process, owner): (usize, &Process, &str),
        worker: &str,
        recorder: &Recorder,
        attempts: &[u64],
        guard: &Arc<Guard>,
    ) {
        let resources: Vec<String> = guard.resources().names().map(str::to_owned).collect();
        // All resources of one lock have the same token.
        let backing = self.backing.get().zip(resources.first());
        let token = backing.and_then(|(backing, resource)| backing.token(resource, owner));
        let held = Held {
            client,
            process: process.clone(),
            owner: token.unwrap_or_else(|| owner.into()),
            resources,
            attempts: attempts.to_vec(),
            recorder: recorder.clone(),
            deadline: guard.valid_until(),
            guard: Arc::clone(guard),
        };
        lock(&self.inner).held.insert(worker.to_owned(), held);
        self.ask_guards(worker);
        self.ask_nodes(worker);
    }

    /// The deadline that the guard of this worker had, also when it is lost.
    pub(crate) fn deadline(&self, worker: &str) -> Option<std::time::Instant> {
        lock(&self.inner).held.get(worker).and_then(|held| held.deadline)
    }

    /// It does so no more, or its process is gone.
    pub(crate) fn let_go(&self, worker: &str) {
        // Dropped outside of the lock: the last one sends releases and tells observers.
        let held = lock(&self.inner).held.remove(worker);
        drop(held);
    }

    /// The oracle: while this worker's guard is valid, no other on the same resource is.
    fn ask_guards(&self, worker: &str) {
        let at = self.now();
        let inner = &mut *lock(&self.inner);
        let Some(own) = inner.held.get(worker).filter(|held| held.guard.is_valid()) else { return };
        for (other, held) in inner.held.iter().filter(|(other, _)| *other != worker) {
            let both = own.resources.iter().find(|resource| held.resources.contains(resource));
            if let Some(resource) = both
                && held.guard.is_valid()
            {
                inner.findings.push(Finding::TwoValid {
                    resource: resource.clone(),
                    first: other.clone(),
                    second: worker.to_owned(),
                    at,
                });
            }
        }
    }

    /// A client said that it extended a lease: that of its guards whose deadline is the new one.
    fn extended(&self, client: usize, resources: Vec<String>, valid_for: Duration) {
        let now = self.now();
        let deadline = now + valid_for;
        let mut extended = Vec::new();
        {
            let inner = &mut *lock(&self.inner);
            for (worker, held) in &mut inner.held {
                let own = held.guard.valid_until();
                let until = own.map(|until| self.time(until, &held.process));
                if held.client != client || held.resources != resources || until != Some(deadline) {
                    continue;
                }
                held.deadline = own;
                extended.push(worker.clone());
                for attempt in &held.attempts {
                    let extend = held.recorder.extend(*attempt, now);
                    inner.history.push(extend.granted(now, deadline, None));
                }
            }
        }
        for worker in &extended {
            self.ask_guards(worker);
            self.ask_nodes(worker);
        }
    }

    /// The clock of a client stood still from `since` until now, and with it what it thinks of its deadlines.
    pub(crate) fn stood_still(&self, client: usize, since: Instant) {
        let since = self.offset(since);
        let inner = &mut *lock(&self.inner);
        for held in inner.held.values().filter(|held| held.client == client) {
            let Some(until) = held.guard.valid_until() else { continue };
            let deadline = self.time(until, &held.process);
            for attempt in &held.attempts {
                let extend = held.recorder.extend(*attempt, since);
                inner.history.push(extend.granted(since, deadline, None));
            }
        }
    }

    /// The process of a client is gone, or did its last at `since`: its guards count no more.
    pub(crate) fn died(
        &self,
        client: usize,
        workers: impl IntoIterator<Item = String>,
        since: Option<Duration>,
    ) {
        let now = since.unwrap_or_else(|| self.now());
        for worker in workers {
            self.push(Recorder::new(worker.as_str()).died(now));
            self.let_go(&worker);
        }
        self.note(format!("c{client} is dead"));
    }

    pub(crate) fn take(&self) -> (History, Vec<Finding>, Vec<Note>) {
        let inner = &mut *lock(&self.inner);
        let Inner { history, findings, notes, .. } = inner;
        (std::mem::take(history), std::mem::take(findings), std::mem::take(notes))
    }
}

/// Hears what one client's handle tells.
pub(crate) struct Hears {
    pub(crate) client: usize,
    pub(crate) record: Record,
    pub(crate) counting: Counting,
}

impl Observer for Hears {
    fn observe(&self, event: &Event) {
        let client = self.client;
        match event {
            Event::Acquired { rounds: 2, .. } => self.counting.ended("certified"),
            Event::Extended { resources, valid_for, .. } => {
                let resources = resources.names().map(str::to_owned).collect();
                self.record.extended(client, resources, *valid_for);
            }
            Event::ClockAnomaly { node, resources, missing, .. } => {
                self.record.note(format!("c{client} misses {missing:?} on {node}"));
                if self.record.accused(client, node, resources, *missing) {
                    self.counting.ended("clock anomaly");
                }
            }
            Event::Repaired { resources, node, .. } => {
                self.record.note(format!("c{client} repaired {node}"));
                self.record.repaired(node, resources);
            }
            Event::NodeQuarantined { node, ends_in, .. } => {
                self.record.note(format!("c{client} joins {node}: no vote for {ends_in:.1?}"));
            }
            Event::NodeRefused { error, .. } => {
                self.record.note(format!("c{client} refuses: {error}"));
            }
            Event::NodeDown { error, .. } => self.record.note(format!("c{client} hears: {error}")),
            _ => {}
        }
    }
}

/// Of a node, by its name.
fn number_of(node: &str) -> Option<usize> {
    node.trim_start_matches('n').split(':').next()?.parse().ok()
}
