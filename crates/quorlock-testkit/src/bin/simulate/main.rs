//! Runs simulations of the lock from seeds, many at a time, and reports what was found.
mod options;

use clap::Parser as _;
use quorlock_testkit::simulation::{self, Census, Plan};
use std::time::Instant;

fn main() {
    let options = options::Options::parse();
    let begun = Instant::now();
    let mut census = Census::default();
    let mut failed = 0;
    for seed in options.seeds.clone() {
        let plan: Plan = options.plan(seed);
        let outcome = simulation::run(&plan);
        census.add(&outcome.census);
        if !outcome.findings.is_empty() {
            failed += 1;
            println!("seed {seed}: simulate {plan}");
            for finding in &outcome.findings {
                println!("    {finding}");
            }
        }
        if options.seeds.end() - options.seeds.start() == 0 {
            let mut lines: Vec<_> = outcome.notes.iter().map(|n| (n.at, n.text.clone())).collect();
            lines.extend(
                outcome
                    .history
                    .events()
                    .iter()
                    .map(|e| (e.ret.unwrap_or(e.inv), e.to_line().unwrap())),
            );
            lines.sort_by_key(|l| l.0);
            for (at, text) in lines {
                println!("{at:>12?} {text}");
            }
        }
    }
    let took = begun.elapsed().as_secs_f64();
    println!(
        "{failed} failed; {:.1} seeds/s; {} operations",
        options.seeds.clone().count() as f64 / took,
        census.operations
    );
    for (kind, struck) in &census.faults {
        println!("{kind:20} {:>8} {:>8}", struck.times, struck.in_flight);
    }
    for (outcome, n) in &census.outcomes {
        println!("{outcome:24} {n:>8}");
    }
}
