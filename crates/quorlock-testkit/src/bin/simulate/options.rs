//! The command line, as a value. Nothing is run here.

use std::ops::RangeInclusive;

use clap::{Parser, ValueEnum};
use quorlock_testkit::simulation::{Assumptions, Depth, Faults, Plan};

/// Simulates the lock from seeds.
#[derive(Debug, Parser)]
#[command(name = "simulate")]
pub(crate) struct Options {
    /// The seeds to run: `A..B`, without B, or one.
    #[arg(long, visible_alias = "seed", default_value = "0..100", value_parser = seeds)]
    pub(crate) seeds: RangeInclusive<u64>,
    #[arg(long, value_enum, default_value_t = DepthName::Node)]
    depth: DepthName,
    /// Only these faults, by name.
    #[arg(long)]
    faults: Option<Faults>,
    #[arg(long)]
    beyond_assumptions: bool,
    #[arg(long)]
    nodes: Option<usize>,
    #[arg(long)]
    clients: Option<usize>,
    #[arg(long)]
    workers: Option<usize>,
    #[arg(long)]
    resources: Option<usize>,
    #[arg(long)]
    deals: Option<usize>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DepthName {
    Node,
    Wire,
}

fn seeds(text: &str) -> Result<RangeInclusive<u64>, String> {
    let number = |text: &str| text.parse::<u64>().map_err(|error| error.to_string());
    match text.split_once("..") {
        Some((from, to)) => Ok(number(from)?..=number(to)?.saturating_sub(1)),
        None => number(text).map(|seed| seed..=seed),
    }
}

impl Options {
    pub(crate) fn plan(&self, seed: u64) -> Plan {
        let depth = match self.depth {
            DepthName::Node => Depth::Node,
            DepthName::Wire => Depth::Wire,
        };
        let assumptions =
            if self.beyond_assumptions { Assumptions::Broken } else { Assumptions::Kept };
        let mut plan = Plan::draw(seed, depth, assumptions);
        if let Some(faults) = &self.faults {
            plan.faults = if self.seeds.start() == self.seeds.end() {
                faults.clone()
            } else {
                plan.faults.and(faults)
            };
        }
        plan.nodes = self.nodes.unwrap_or(plan.nodes);
        plan.clients = self.clients.unwrap_or(plan.clients);
        plan.workers = self.workers.unwrap_or(plan.workers);
        plan.resources = self.resources.unwrap_or(plan.resources);
        plan.deals = self.deals.unwrap_or(plan.deals);
        plan
    }
}
