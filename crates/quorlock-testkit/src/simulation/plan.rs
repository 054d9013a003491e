//! What one seed stands for: how many of what, and which faults. Drawn once, then changed only to shrink a failure.

use std::fmt;
use std::time::Duration;

use super::dice::Dice;
use super::fault::{Faults, Kind};

/// So that what is locked at the end of a simulation has the time for a round over the slowest of wires.
const SHORTEST_MAX_TTL: Duration = Duration::from_millis(500);

/// Where the library meets the simulated world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// At its seam to one node: every message has a fate of its own. Fast.
    Node,
    /// Under its driver: real commands and scripts over in-memory pipes to embedded nodes.
    Wire,
}

/// Whether the assumptions A1 to A4 are kept, under which exclusion is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assumptions {
    /// Kept: nothing may break.
    Kept,
    /// Broken: exclusion may break, nothing else.
    Broken,
}

/// One simulation, complete: the same plan gives the same history, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Where everything that is not said below is drawn from.
    pub seed: u64,
    /// Where the library meets the simulated world.
    pub depth: Depth,
    /// Whether the assumptions of the promises are kept.
    pub assumptions: Assumptions,
    /// How many nodes.
    pub nodes: usize,
    /// How many processes, each with one handle.
    pub clients: usize,
    /// How many tasks of each process take locks.
    pub workers: usize,
    /// How many resources they compete for.
    pub resources: usize,
    /// How often each worker asks for a lock.
    pub deals: usize,
    /// What can go wrong.
    pub faults: Faults,
}

impl Plan {
    /// Draws all that a seed decides.
    #[must_use]
    pub fn draw(seed: u64, depth: Depth, assumptions: Assumptions) -> Self {
        let mut dice = Dice::new(seed, "plan");
        let nodes = dice.pick(&[5, 5, 5, 5, 3, 3, 3, 4, 1, 2, 7]).unwrap_or(5);
        let clients = dice.pick(&[2, 2, 3, 3, 4]).unwrap_or(2);
        let mut workers = dice.pick(&[1, 1, 2]).unwrap_or(1);
        let mut resources = dice.pick(&[1, 1, 1, 2, 3]).unwrap_or(1);
        let deals = 3 + dice.below(8);
        // Not always all of them: a fault can hide another, and what is absent leaves room for the rest.
        let share = dice.within(0.1, 1.0);
        let faults = Kind::all(depth, assumptions).filter(|_| dice.chance(share)).collect();
        if gathering(seed, depth).is_some() {
            (workers, resources) = (3, 5);
        }
        Self { seed, depth, assumptions, nodes, clients, workers, resources, deals, faults }
    }

    /// Dice for one purpose.
    pub(crate) fn dice(&self, purpose: &str) -> Dice {
        Dice::new(self.seed, purpose)
    }

    pub(crate) fn has(&self, kind: Kind) -> bool {
        self.faults.contains(kind)
    }

    /// The TTLs of this seed, from tiny to large: a few, so that they meet.
    pub(crate) fn ttls(&self) -> Vec<Duration> {
        let mut dice = self.dice("ttls");
        let all = [6, 10, 20, 50, 100, 250, 500, 1_000, 2_000, 10_000, 60_000];
        let count = 1 + dice.below(2);
        (0..count).filter_map(|_| dice.pick(&all)).map(Duration::from_millis).collect()
    }

    /// Where all give back at moments that they share: how far apart those are. Of the seed alone: it does not shrink.
    pub(crate) fn gathering(&self) -> Option<Duration> {
        gathering(self.seed, self.depth)
    }

    /// What all clients have for the longest TTL of any lock: often no longer than that, so that a quarantine has nothing to
    /// spare, and not much longer, so that it ends.
    pub(crate) fn max_ttl(&self) -> Duration {
        let longest = self.ttls().into_iter().max().unwrap_or_default().max(SHORTEST_MAX_TTL);
        let mut dice = self.dice("max ttl");
        let more = if dice.chance(0.5) { 0.0 } else { dice.within(0.0, 0.5) };
        longest + Duration::from_millis(longest.mul_f64(more).as_millis() as u64)
    }
}

/// In some worlds on the wire, so that what leaves at once goes together.
fn gathering(seed: u64, depth: Depth) -> Option<Duration> {
    let mut dice = Dice::new(seed, "gathering");
    (depth == Depth::Wire && dice.chance(0.12)).then(|| dice.millis(20, 500))
}

impl fmt::Display for Depth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Node => "node",
            Self::Wire => "wire",
        })
    }
}

/// The arguments that replay it.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, depth, nodes, clients, workers, resources, deals, faults, .. } = self;
        write!(f, "--depth {depth} --seed {seed} --nodes {nodes} --clients {clients}")?;
        write!(
            f,
            " --workers {workers} --resources {resources} --deals {deals} --faults {faults}"
        )?;
        match self.assumptions {
            Assumptions::Kept => Ok(()),
            Assumptions::Broken => f.write_str(" --beyond-assumptions"),
        }
    }
}
