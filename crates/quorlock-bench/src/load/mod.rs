//! What is done in a process of its own with one contender, and what comes of it. Which of it makes a workload lives in `workload`.

pub(crate) mod contended;
pub(crate) mod cycles;
pub(crate) mod echo;
pub(crate) mod floor;
pub(crate) mod held;
pub(crate) mod tally;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::contender::{Name, Terms};

/// Names and values of what was measured.
pub(crate) type Figures = BTreeMap<String, f64>;

/// One kind of load.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Load {
    /// So many tasks take and give back locks of so many resources of their own, over one set of connections.
    Cycles { tasks: usize, resources: usize },
    /// So many clients with connections of their own want one lock, and hold it for so long.
    Contended { clients: usize, hold: Duration },
    /// So many locks are held at once, each with its keeper.
    Held { locks: usize },
}

/// What a child process is told to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) contender: Name,
    pub(crate) terms: Terms,
    pub(crate) load: Load,
    /// Not measured: connections, tables and buffers get their size.
    pub(crate) warm_up: Duration,
    pub(crate) window: Duration,
    /// Whether the way to the nodes is timed by itself too.
    pub(crate) echo: bool,
}

/// Notes a figure under its name.
pub(crate) fn note(figures: &mut Figures, name: &str, value: f64) {
    figures.insert(name.to_owned(), value);
}
