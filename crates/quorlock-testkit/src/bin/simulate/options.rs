//! The command line, as a value. Nothing is run here.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread::available_parallelism;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, ValueEnum};
use quorlock_testkit::simulation::{Assumptions, Depth, Faults, Plan};

const AFTER_HELP: &str = "\
Ends with 0 if no seed failed, 1 if one did (or, of 500 and more, if a fault or an outcome was never seen), 2 for bad usage, 3 if a seed is stuck in real time.

Everything else is drawn from the seed. --nodes, --clients, --workers, --resources, --deals and --faults say it
instead; a failing seed is printed with all of them, and so replays on its own.";

/// Simulates the lock from seeds, and reports what was found.
#[derive(Debug, Parser)]
#[command(name = "simulate", after_help = AFTER_HELP)]
pub(crate) struct Options {
    /// The seeds to run: A..B, without B, or one
    #[arg(long, visible_alias = "seed", value_name = "A..B", default_value = "0..100")]
    #[arg(value_parser = seeds)]
    pub(crate) seeds: Seeds,
    /// Where the library meets the simulated world: at its seam to one node, or under its driver
    #[arg(long, value_enum, default_value_t = DepthName::Node)]
    depth: DepthName,
    /// How many seeds run at the same time [default: one for each core]
    #[arg(long)]
    jobs: Option<NonZeroUsize>,
    /// What can go wrong, by name, with commas; `none` for nothing. One seed: just these. Many: none but these
    #[arg(long, value_name = "LIST")]
    faults: Option<Faults>,
    /// Breaks the assumptions under which exclusion is promised. It may break then, and nothing else
    #[arg(long)]
    beyond_assumptions: bool,
    /// How many nodes
    #[arg(long)]
    nodes: Option<NonZeroUsize>,
    /// How many processes, each with one handle
    #[arg(long)]
    clients: Option<NonZeroUsize>,
    /// How many tasks of each process take locks
    #[arg(long)]
    workers: Option<NonZeroUsize>,
    /// How many resources they compete for
    #[arg(long)]
    resources: Option<NonZeroUsize>,
    /// How often each worker asks for a lock
    #[arg(long)]
    deals: Option<NonZeroUsize>,
    /// Runs every seed twice: a seed whose histories differ has failed
    #[arg(long)]
    pub(crate) twice: bool,
    /// Stops at the first seed that fails: the lowest, whatever the number of jobs
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// Shows failing seeds as they are, and does not look for smaller plans that fail too
    #[arg(long)]
    pub(crate) as_is: bool,
    /// Draws time lines whole
    #[arg(long)]
    pub(crate) full: bool,
    /// Draws the first failing seed, or the only one, as a picture
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Writes the history of one seed, a line of JSON for each event
    #[arg(long, value_name = "FILE")]
    pub(crate) history: Option<PathBuf>,
    /// Prints panics of a simulation as they happen, too
    #[arg(long)]
    pub(crate) verbose: bool,
    /// After how many seconds of real time a seed is stuck
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    patience: u64,
}

/// Seeds one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seeds {
    first: u64,
    count: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DepthName {
    Node,
    Wire,
}

impl Options {
    /// Reads the command line; ends the program if it makes no sense.
    pub(crate) fn read() -> Self {
        let options = Self::parse();
        if let Err(problem) = options.check() {
            Self::command().error(ErrorKind::ValueValidation, problem).exit();
        }
        options
    }

    fn check(&self) -> Result<(), String> {
        if self.history.is_some() && self.seeds.only().is_none() {
            return Err("--history is for one seed".to_owned());
        }
        let (depth, assumptions) = (self.depth(), self.assumptions());
        let strange =
            self.faults.iter().flat_map(Faults::iter).find(|kind| !kind.exists(depth, assumptions));
        match strange {
            None => Ok(()),
            Some(kind) if kind.exists(depth, Assumptions::Broken) => {
                Err(format!("'{kind}' breaks the assumptions: it needs --beyond-assumptions"))
            }
            Some(kind) => Err(format!("'{kind}' cannot happen with --depth {depth}")),
        }
    }

    pub(crate) fn depth(&self) -> Depth {
        match self.depth {
            DepthName::Node => Depth::Node,
            DepthName::Wire => Depth::Wire,
        }
    }

    pub(crate) fn assumptions(&self) -> Assumptions {
        if self.beyond_assumptions { Assumptions::Broken } else { Assumptions::Kept }
    }

    pub(crate) fn jobs(&self) -> usize {
        self.jobs.or_else(|| available_parallelism().ok()).map_or(1, NonZeroUsize::get)
    }

    pub(crate) fn patience(&self) -> Duration {
        Duration::from_secs(self.patience)
    }

    /// Whether no kind of fault was left out.
    pub(crate) fn has_all_faults(&self) -> bool {
        self.faults.is_none()
    }

    pub(crate) fn plan(&self, seed: u64) -> Plan {
        let mut plan = Plan::draw(seed, self.depth(), self.assumptions());
        if let Some(faults) = &self.faults {
            plan.faults = match self.seeds.only() {
                Some(_) => faults.clone(),
                None => plan.faults.and(faults),
            };
        }
        let said = |said: Option<NonZeroUsize>, drawn| said.map_or(drawn, NonZeroUsize::get);
        plan.nodes = said(self.nodes, plan.nodes);
        plan.clients = said(self.clients, plan.clients);
        plan.workers = said(self.workers, plan.workers);
        plan.resources = said(self.resources, plan.resources);
        plan.deals = said(self.deals, plan.deals);
        plan
    }
}

impl Seeds {
    pub(crate) fn count(self) -> u64 {
        self.count
    }

    /// The seed in this place, counted from 0.
    pub(crate) fn get(self, place: u64) -> Option<u64> {
        (place < self.count).then(|| self.first + place)
    }

    /// The seed, if it is one.
    pub(crate) fn only(self) -> Option<u64> {
        (self.count == 1).then_some(self.first)
    }
}

fn seeds(text: &str) -> Result<Seeds, String> {
    let number = |text: &str| {
        text.parse::<u64>().map_err(|_| format!("'{text}' is no seed; write A..B, or a number"))
    };
    let Some((from, to)) = text.split_once("..") else {
        return Ok(Seeds { first: number(text)?, count: 1 });
    };
    let (first, end) = (number(from)?, number(to)?);
    match end.checked_sub(first) {
        None | Some(0) => Err("there is no seed in it: B must be greater than A".to_owned()),
        Some(count) => Ok(Seeds { first, count }),
    }
}
