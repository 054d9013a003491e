//! One seed: run, once or twice, and brought down to what the report needs.

use quorlock_testkit::history::History;
use quorlock_testkit::simulation::{Census, Finding, Outcome, Plan};
use sha1_smol::Sha1;

use super::watch::Watch;

/// What came of one seed.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) findings: Vec<Finding>,
    pub(crate) beyond: usize,
    pub(crate) census: Census,
    /// Of the history, the findings, the faults, and what clients heard.
    pub(crate) digest: [u8; 20],
}

impl Verdict {
    pub(crate) fn of(outcome: Outcome) -> Self {
        let mut sha1 = Sha1::new();
        sha1.update(&lines(&outcome.history));
        for line in beside(&outcome) {
            sha1.update(format!("{line}\n").as_bytes());
        }
        let Outcome { findings, beyond, census, .. } = outcome;
        Self { findings, beyond, census, digest: sha1.digest().bytes() }
    }
}

/// Runs a plan; twice, if `twice`, and then it is a finding if the histories differ.
pub(crate) fn run(watch: &Watch, place: usize, plan: &Plan, twice: bool) -> Outcome {
    let mut outcome = watch.run(place, plan);
    if twice {
        let again = watch.run(place, plan);
        outcome.findings.extend(difference(&outcome, &again));
    }
    outcome
}

fn lines(history: &History) -> Vec<u8> {
    let mut lines = Vec::new();
    history.write_lines(&mut lines).expect("no simulation runs for 584 years");
    lines
}

/// What came of a run beside its history.
fn beside(outcome: &Outcome) -> impl Iterator<Item = String> {
    let findings = outcome.findings.iter().map(ToString::to_string);
    findings.chain(outcome.notes.iter().map(|note| format!("{:?} {}", note.at, note.text)))
}

/// The first line in which two runs of the same plan differ: of their histories, else of their findings.
fn difference(first: &Outcome, second: &Outcome) -> Option<Finding> {
    let all = |outcome: &Outcome| -> Vec<String> {
        let history = String::from_utf8_lossy(&lines(&outcome.history)).into_owned();
        history.lines().map(str::to_owned).chain(beside(outcome)).collect()
    };
    let (first, second) = (all(first), all(second));
    let line = (0..first.len().max(second.len())).find(|n| first.get(*n) != second.get(*n))?;
    let said = |lines: &[String]| lines.get(line).cloned().unwrap_or_else(|| "nothing".to_owned());
    Some(Finding::Unequal { line: line + 1, first: said(&first), second: said(&second) })
}
