//! How one seed is shown: its findings, the command that runs it again, and its time line. A failing one is made smaller
//! first.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};

use quorlock_testkit::simulation::{Extent, Finding, Outcome, Plan, html, shrink, timeline};

use super::options::Options;
use super::report::{Tally, command};
use super::trial;
use super::watch::Watch;

/// Failing seeds that are shrunk and drawn; of others only the findings are told.
const DRAWN: usize = 3;
/// Findings that are told: of a seed that is drawn, and of others.
const MOST_FINDINGS: usize = 10;
const FEW_FINDINGS: usize = 2;

/// Shows seeds, one after the other.
pub(crate) struct Show<'a> {
    pub(crate) options: &'a Options,
    pub(crate) watch: &'a Watch,
    /// The watch's place for runs of this one.
    pub(crate) place: usize,
}

impl Show<'_> {
    /// The failing seeds of a tally; if there is none, the only seed that was run.
    pub(crate) fn all(&self, tally: &Tally) -> Result<(), Box<dyn Error>> {
        let Options { seeds, history, .. } = self.options;
        if let (Some(seed), Some(file)) = (seeds.only(), history) {
            let mut to = BufWriter::new(File::create(file)?);
            self.run(&self.options.plan(seed)).history.write_lines(&mut to)?;
            to.flush()?;
        }
        for (number, (place, findings)) in tally.listed.iter().enumerate() {
            let Some(seed) = seeds.get(*place) else { continue };
            let plan = self.options.plan(seed);
            println!("\nseed {seed} failed: {}", self.command(&plan));
            if number < DRAWN {
                print_findings(findings, MOST_FINDINGS);
                self.draw_failing(&plan, findings, number == 0)?;
            } else {
                print_findings(findings, FEW_FINDINGS);
            }
        }
        let more = tally.failed - tally.listed.len() as u64;
        if more > 0 {
            println!("\n{more} more seeds failed");
        }
        if let (Some(seed), None) = (seeds.only(), tally.first) {
            let plan = self.options.plan(seed);
            println!("\nseed {seed}: {}", self.command(&plan));
            self.draw(&plan, &self.run(&plan), true)?;
        }
        Ok(())
    }

    fn command(&self, plan: &Plan) -> String {
        command(plan) + if self.options.twice { " --twice" } else { "" }
    }

    fn run(&self, plan: &Plan) -> Outcome {
        trial::run(self.watch, self.place, plan, self.options.twice)
    }

    fn draw_failing(
        &self,
        plan: &Plan,
        findings: &[Finding],
        is_first: bool,
    ) -> Result<(), Box<dyn Error>> {
        let kind = findings.first().map(Finding::kind);
        let fails = |plan: &Plan| {
            self.run(plan).findings.iter().any(|finding| Some(finding.kind()) == kind)
        };
        let small = if self.options.as_is { plan.clone() } else { shrink(plan, fails) };
        let outcome = self.run(&small);
        if small != *plan {
            println!("smaller, and fails as well: {}", self.command(&small));
            print_findings(&outcome.findings, MOST_FINDINGS);
        }
        self.draw(&small, &outcome, is_first)
    }

    fn draw(&self, plan: &Plan, outcome: &Outcome, is_first: bool) -> Result<(), Box<dyn Error>> {
        let extent = if self.options.full { Extent::Full } else { Extent::NearFindings };
        println!("\n{}", timeline(plan, outcome, extent));
        if let (Some(file), true) = (&self.options.html, is_first) {
            fs::write(file, html(plan, outcome))?;
        }
        Ok(())
    }
}

fn print_findings(findings: &[Finding], most: usize) {
    findings.iter().take(most).for_each(|finding| println!("    {finding}"));
    if let Some(more @ 1..) = findings.len().checked_sub(most) {
        println!("    and {more} more findings");
    }
}
