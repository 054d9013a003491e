//! Counts over all seeds, and the tables in which they are printed. Everything but the line that begins with `time:` is
//! the same on every run of the same build with the same options.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use quorlock_testkit::simulation::{Assumptions, Census, Depth, Finding, Kind, Plan};
use sha1_smol::Sha1;

use super::options::Options;
use super::trial::Verdict;

/// From so many seeds on, what never happened is a fault of the simulation, and so a failure.
const ENOUGH: u64 = 500;
/// The same for what is rare.
const ENOUGH_FOR_RARE: u64 = 10_000;
const RARE: [&str; 4] = ["acquire too late", "take up cancelled", "void grant", "write refused"];
/// Of more failing seeds, only the number is told.
const MOST_LISTED: usize = 20;

/// Outcomes that have to be seen. Any other is marked.
const EXPECTED: [&str; 29] = [
    "acquire cancelled",
    "acquire denied",
    "acquire granted",
    "acquire held",
    "acquire no quorum",
    "acquire quarantined",
    "acquire too late",
    "back within a TTL",
    "certified",
    "extend cancelled",
    "hand over lost",
    "extend lost",
    "extend no quorum",
    "extend ok",
    "lost: expired",
    "lost: majority gone",
    "lost: maximum hold",
    "release by drop",
    "take up cancelled",
    "take up lost",
    "take up no quorum",
    "take up ok",
    "release cancelled",
    "release lost",
    "release no quorum",
    "release ok",
    "void grant",
    "write accepted",
    "write refused",
];

/// Only where clocks run off.
const EXPECTED_BEYOND: [&str; 1] = ["clock anomaly"];

/// Only where there are commands.
const EXPECTED_ON_THE_WIRE: [&str; 1] = ["released together"];

/// The command that runs a plan again.
pub(crate) fn command(plan: &Plan) -> String {
    format!("cargo run --release -p quorlock-testkit --bin simulate -- {plan}")
}

/// What was counted so far.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) seeds: u64,
    pub(crate) failed: u64,
    /// The place of the first failing seed.
    pub(crate) first: Option<u64>,
    /// The first failing seeds, by place.
    pub(crate) listed: Vec<(u64, Vec<Finding>)>,
    pub(crate) census: Census,
    kinds: BTreeMap<&'static str, u64>,
    /// Seeds in which exclusion broke beyond the assumptions, and how often it did.
    beyond: (u64, usize),
    digest: Sha1,
}

impl Tally {
    /// Adds a verdict. They have to come in the order of the seeds.
    pub(crate) fn add(&mut self, place: u64, verdict: Verdict) {
        self.seeds += 1;
        self.census.add(&verdict.census);
        self.beyond.0 += u64::from(verdict.beyond > 0);
        self.beyond.1 += verdict.beyond;
        self.digest.update(&verdict.digest);
        for finding in &verdict.findings {
            *self.kinds.entry(finding.kind()).or_default() += 1;
        }
        if verdict.findings.is_empty() {
            return;
        }
        self.failed += 1;
        self.first.get_or_insert(place);
        if self.listed.len() < MOST_LISTED {
            self.listed.push((place, verdict.findings));
        }
    }

    pub(crate) fn digest(&self) -> String {
        self.digest.digest().to_string()
    }
}

/// A tally as text.
pub(crate) struct Report<'a> {
    pub(crate) options: &'a Options,
    pub(crate) tally: &'a Tally,
    pub(crate) took: Duration,
}

impl Display for Report<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Tally { seeds, failed, census, .. } = self.tally;
        let depth = self.options.depth();
        let assumptions = match self.options.assumptions() {
            Assumptions::Kept => "within the assumptions",
            Assumptions::Broken => "beyond the assumptions",
        };
        writeln!(f, "{seeds} seeds at depth {depth}, {assumptions}: {failed} failed")?;
        writeln!(f, "{} operations", census.operations)?;
        self.faults(f)?;
        self.outcomes(f)?;
        self.kinds(f)?;
        self.beyond(f)?;
        self.time(f)
    }
}

impl Report<'_> {
    fn faults(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{:<24}{:>10}{:>12}", "fault", "struck", "in flight")?;
        let (depth, assumptions) = (self.options.depth(), self.options.assumptions());
        for kind in Kind::all(depth, assumptions) {
            let struck = self.tally.census.faults.get(&kind).copied().unwrap_or_default();
            let count = |count| self.count(kind.name(), count);
            let (times, in_flight) = (count(struck.times), count(struck.in_flight));
            writeln!(f, "{kind:<24}{times:>10}{in_flight:>12}")?;
        }
        Ok(())
    }

    fn outcomes(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let seen = &self.tally.census.outcomes;
        let expected = self.expected();
        let mut all: Vec<&str> = seen.keys().copied().chain(expected.iter().copied()).collect();
        all.sort_unstable();
        all.dedup();
        writeln!(f, "\n{:<24}{:>10}", "outcome", "times")?;
        for outcome in all {
            let times = self.count(outcome, seen.get(outcome).copied().unwrap_or_default());
            let mark = if expected.contains(&outcome) { "" } else { "  UNEXPECTED" };
            writeln!(f, "{outcome:<24}{times:>10}{mark}")?;
        }
        Ok(())
    }

    fn expected(&self) -> Vec<&'static str> {
        let beyond = match self.options.assumptions() {
            Assumptions::Kept => [].as_slice(),
            Assumptions::Broken => &EXPECTED_BEYOND,
        };
        let on_the_wire = match self.options.depth() {
            Depth::Node => [].as_slice(),
            Depth::Wire => &EXPECTED_ON_THE_WIRE,
        };
        EXPECTED.iter().chain(beyond).chain(on_the_wire).copied().collect()
    }

    /// What makes the simulation itself doubtful: what never happened and should have, and what should not have.
    pub(crate) fn doubts(&self) -> Vec<String> {
        let Census { faults, outcomes, .. } = &self.tally.census;
        let is_missing = |name, count| count == 0 && self.is_enough(name);
        let (depth, assumptions) = (self.options.depth(), self.options.assumptions());
        let faults = Kind::all(depth, assumptions).filter(|kind| {
            is_missing(kind.name(), faults.get(kind).map_or(0, |struck| struck.in_flight))
        });
        let faults = faults.map(|kind| format!("never struck in flight: {kind}"));
        let expected = self.expected();
        let missing = expected
            .iter()
            .filter(|outcome| is_missing(outcome, outcomes.get(*outcome).copied().unwrap_or(0)));
        let missing = missing.map(|outcome| format!("never seen: {outcome}"));
        let unexpected = outcomes.keys().filter(|outcome| !expected.contains(outcome));
        let unexpected = unexpected.map(|outcome| format!("unexpected: {outcome}"));
        faults.chain(missing).chain(unexpected).collect()
    }

    fn is_enough(&self, name: &str) -> bool {
        let enough = if RARE.contains(&name) { ENOUGH_FOR_RARE } else { ENOUGH };
        self.tally.seeds >= enough && self.options.has_all_faults()
    }

    fn count(&self, name: &str, count: u64) -> String {
        match count {
            0 if self.is_enough(name) => "NEVER".to_owned(),
            0 => "-".to_owned(),
            count => count.to_string(),
        }
    }

    fn kinds(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.tally.kinds.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n{:<30}{:>4}", "finding", "times")?;
        self.tally.kinds.iter().try_for_each(|(kind, times)| writeln!(f, "{kind:<30}{times:>4}"))
    }

    fn beyond(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.options.assumptions() == Assumptions::Kept {
            return Ok(());
        }
        let (seeds, times) = self.tally.beyond;
        writeln!(f, "\nexclusion broke {times} times, in {seeds} of {} seeds", self.tally.seeds)?;
        writeln!(f, "beyond the assumptions nobody promises it: these are no failures")
    }

    fn time(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (seconds, jobs) = (self.took.as_secs_f64(), self.options.jobs());
        let per_second = |count: u64| count as f64 / seconds.max(f64::EPSILON);
        let seeds = per_second(self.tally.seeds);
        let operations = per_second(self.tally.census.operations);
        let each = seeds / jobs as f64;
        writeln!(
            f,
            "\ntime: {seconds:.1} s with {jobs} jobs: {seeds:.1} seeds/s, {each:.1} seeds/s of \
             each job, {operations:.0} operations/s"
        )
    }
}
