//! What is to be measured, and how much of it: the command line. Nothing is measured here.

use std::time::Duration;

use quorlock::{Builder, Redlock};

use crate::Outcome;

/// Longer than any round takes: a late answer is no failure where memory is measured.
const PATIENT: Duration = Duration::from_secs(20);

/// No lock lasts for longer, whatever `--ttl` says.
const MAX_TTL: Duration = Duration::from_secs(3_600);

/// A handle on nodes, as everybody here has it who locks there.
pub(crate) fn on(urls: Vec<String>) -> Builder {
    Redlock::builder(urls).max_ttl(MAX_TTL)
}

/// The command line.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) scenarios: Vec<String>,
    /// `--locks`: how many are held at once.
    pub(crate) locks: u64,
    /// `--ttl`: of these locks, in seconds; their keepers extend them at a third of it.
    pub(crate) ttl: u64,
    /// `--hold`: for how many seconds they are held and watched.
    pub(crate) hold: u64,
    /// `--waiters`: how many wait for one lock.
    pub(crate) waiters: u64,
    /// `--cycles`: how many locks are taken and given back while a node is frozen, by the first look; three times as many
    /// by the second.
    pub(crate) cycles: u64,
    /// `--frozen`: for how many seconds a node is frozen at least.
    pub(crate) frozen: u64,
    /// `--batches`: how many looks the slope is drawn through at least.
    pub(crate) batches: u64,
    /// `--slope`: for how many seconds at least.
    pub(crate) slope: u64,
    urls: Vec<String>,
}

impl Plan {
    /// # Errors
    ///
    /// What cannot be read.
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut plan = Self {
            scenarios: Vec::new(),
            locks: 10_000,
            ttl: 60,
            hold: 45,
            waiters: 1_000,
            cycles: 5_000,
            frozen: 60,
            batches: 40,
            slope: 300,
            urls: Vec::new(),
        };
        while let Some(arg) = args.next() {
            if arg.contains("://") {
                plan.urls.push(arg);
            } else if let Some(option) = arg.strip_prefix("--") {
                let value = args.next().ok_or_else(|| format!("{arg} needs a number"))?;
                *plan.option(option).ok_or_else(|| format!("{arg}?"))? = value.parse()?;
            } else {
                plan.scenarios.push(arg);
            }
        }
        Ok(plan)
    }

    fn option(&mut self, name: &str) -> Option<&mut u64> {
        Some(match name {
            "locks" => &mut self.locks,
            "ttl" => &mut self.ttl,
            "hold" => &mut self.hold,
            "waiters" => &mut self.waiters,
            "cycles" => &mut self.cycles,
            "frozen" => &mut self.frozen,
            "batches" => &mut self.batches,
            "slope" => &mut self.slope,
            _ => return None,
        })
    }

    /// A handle on the nodes, for which no answer is late.
    pub(crate) fn patient(&self) -> Builder {
        self.usual().ttl(3 * PATIENT).time_limit(PATIENT)
    }

    /// A handle on the nodes as most programs have it.
    pub(crate) fn usual(&self) -> Builder {
        on(self.urls.clone())
    }

    pub(crate) fn nodes(&self) -> usize {
        self.urls.len()
    }
}
