//! How often what happened: faults, also those that struck while an operation was in flight, and outcomes of operations.
//! A simulation in which nothing goes wrong proves nothing, and this is where it would show.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use super::fault::Kind;
use crate::proxy::wire::lock;

/// Counts of one simulation, or of many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// How often each fault struck, and how often while an operation was in flight.
    pub faults: BTreeMap<Kind, Struck>,
    /// How often each operation ended how.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Operations of workers.
    pub operations: u64,
}

/// How often a fault struck.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Struck {
    /// In all.
    pub times: u64,
    /// While an operation was in flight.
    pub in_flight: u64,
}

impl Census {
    /// Adds the counts of another.
    pub fn add(&mut self, other: &Self) {
        for (kind, struck) in &other.faults {
            let sum = self.faults.entry(*kind).or_default();
            sum.times += struck.times;
            sum.in_flight += struck.in_flight;
        }
        for (outcome, count) in &other.outcomes {
            *self.outcomes.entry(outcome).or_default() += count;
        }
        self.operations += other.operations;
    }
}

/// Whose operations a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whom {
    Client(usize),
    All,
}

/// The counts of a simulation under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counting(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    counts: Mutex<Counts>,
    /// Rung when an operation begins.
    begins: Notify,
}

#[derive(Debug, Default)]
struct Counts {
    census: Census,
    /// By client.
    in_flight: BTreeMap<usize, u64>,
    /// Which client began the latest operation.
    latest: usize,
}

impl Counting {
    /// In flight is what the struck client does, or, where all are struck, what any does.
    pub(crate) fn struck(&self, kind: Kind, whom: Whom) {
        let Counts { census, in_flight, .. } = &mut *lock(&self.0.counts);
        let struck = census.faults.entry(kind).or_default();
        struck.times += 1;
        struck.in_flight += u64::from(match whom {
            Whom::Client(client) => in_flight.contains_key(&client),
            Whom::All => !in_flight.is_empty(),
        });
    }

    /// What a dead process had in flight is so no more.
    pub(crate) fn died(&self, client: usize) {
        lock(&self.0.counts).in_flight.remove(&client);
    }

    pub(crate) fn ended(&self, outcome: &'static str) {
        *lock(&self.0.counts).census.outcomes.entry(outcome).or_default() += 1;
    }

    /// An operation is in flight until the returned value is dropped.
    pub(crate) fn operation(&self, client: usize) -> InFlight {
        let mut counts = lock(&self.0.counts);
        counts.census.operations += 1;
        *counts.in_flight.entry(client).or_default() += 1;
        counts.latest = client;
        drop(counts);
        self.0.begins.notify_waiters();
        InFlight { counting: self.clone(), client }
    }

    /// Waits until an operation begins, and says whose.
    pub(crate) async fn next_operation(&self) -> usize {
        self.0.begins.notified().await;
        lock(&self.0.counts).latest
    }

    pub(crate) fn census(&self) -> Census {
        lock(&self.0.counts).census.clone()
    }
}

#[derive(Debug)]
pub(crate) struct InFlight {
    counting: Counting,
    client: usize,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut counts = lock(&self.counting.0.counts);
        if let Some(operations) = counts.in_flight.get_mut(&self.client) {
            *operations -= 1;
            if *operations == 0 {
                counts.in_flight.remove(&self.client);
            }
        }
    }
}
