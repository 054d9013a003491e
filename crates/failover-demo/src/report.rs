//! What the demo says at its end: a table for people, JSON for programs, and whether it passed.

use std::{path::Path, time::Duration};

use quorlock_testkit::checker::{Checker, Hold, Violation, holds};
use serde::Serialize;

use crate::{
    error::Result,
    script::Played,
    stage::Left,
    stats::{Figures, hand_overs},
};

/// How many proofs of violations are printed.
const PRINTED: usize = 20;

/// The demo's judgement of what was recorded.
#[derive(Debug)]
pub(crate) struct Report {
    summary: Summary,
    rows: Vec<Row>,
    /// A sentence for everything that must not be.
    proofs: Vec<String>,
}

/// The JSON: these keys, and no others.
#[derive(Debug, Serialize)]
struct Summary {
    backend: String,
    acquisitions: usize,
    violations: usize,
    lost_late: usize,
    residue_keys: usize,
    steps: Vec<StepSummary>,
}

#[derive(Debug, Serialize)]
struct StepSummary {
    name: &'static str,
    expected: &'static str,
    seen: String,
    /// `null` where the step was skipped.
    ok: Option<bool>,
    unavailable_ms: u64,
}

#[derive(Debug)]
struct Row {
    name: &'static str,
    verdict: &'static str,
    acquisitions: usize,
    unavailable: Duration,
    acquires: Figures,
    hand_overs: Figures,
}

impl Report {
    /// Checks everything that was recorded.
    pub(crate) fn new(played: Vec<Played>, left: Left) -> Self {
        let Left { backend, history, audit, residue, resource } = left;
        let found = Checker::new().residue(residue).check(&history);
        let lost_late = count(&found, |v| matches!(v, Violation::LostLate { .. }));
        let residue_keys = count(&found, |v| matches!(v, Violation::Residue(_)));
        let mut taken = holds(&history);
        taken.retain(|hold| hold.resource == resource);
        let summary = Summary {
            backend,
            acquisitions: taken.len(),
            violations: found.len() - lost_late - residue_keys + audit.mistakes.len(),
            lost_late,
            residue_keys,
            steps: played.iter().map(StepSummary::from).collect(),
        };
        let mut proofs: Vec<String> = found.iter().map(ToString::to_string).collect();
        proofs.extend(audit.mistakes.iter().map(ToString::to_string));
        let rows = played.iter().map(|step| Row::new(step, &taken)).collect();
        Self { summary, rows, proofs }
    }

    /// Whether every promise was kept and every step went as expected, as far as it was possible here.
    pub(crate) fn passed(&self) -> bool {
        let Summary { violations, lost_late, residue_keys, steps, .. } = &self.summary;
        violations + lost_late + residue_keys == 0
            && steps.iter().all(|step| step.ok != Some(false))
    }

    /// Prints it for people.
    pub(crate) fn print(&self) {
        println!(
            "\n{:<32} {:<16}{:>6} {:>10}  {:>17}  {:>17}",
            "step", "", "turns", "no holder", "acquire p50/p99", "hand-over p50/p99"
        );
        for row in &self.rows {
            println!(
                "{:<32} {:<16}{:>6} {:>7} ms  {:>14} ms  {:>14} ms",
                row.name,
                row.verdict,
                row.acquisitions,
                row.unavailable.as_millis(),
                row.acquires,
                row.hand_overs
            );
        }
        let Summary { acquisitions, violations, lost_late, residue_keys, .. } = &self.summary;
        println!(
            "\n{acquisitions} acquisitions, {violations} violations, {lost_late} late losses, \
             {residue_keys} keys left behind"
        );
        self.proofs.iter().take(PRINTED).for_each(|proof| println!("  {proof}"));
        if self.proofs.len() > PRINTED {
            println!("  and {} more", self.proofs.len() - PRINTED);
        }
        println!("{}", self.conclusion());
    }

    /// Writes it for programs.
    ///
    /// # Errors
    ///
    /// The file's.
    pub(crate) fn write_json(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(&self.summary)?;
        std::fs::write(path, text + "\n")
            .map_err(|error| format!("{}: {error}", path.display()).into())
    }

    fn conclusion(&self) -> String {
        if !self.passed() {
            return "FAILED".to_owned();
        }
        let skipped = self.summary.steps.iter().filter(|step| step.ok.is_none()).count();
        match skipped {
            0 => "passed: every promise was kept, every step went as expected".to_owned(),
            _ => format!("passed, but {skipped} steps were skipped: see above for the reasons"),
        }
    }
}

impl From<&Played> for StepSummary {
    fn from(played: &Played) -> Self {
        Self {
            name: played.name,
            expected: played.expected,
            seen: played.seen.text(),
            ok: played.seen.ok(),
            unavailable_ms: u64::try_from(played.unavailable.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl Row {
    fn new(played: &Played, taken: &[Hold]) -> Self {
        let (from, until) = played.span;
        let begin = taken.partition_point(|hold| hold.from < from);
        let end = taken.partition_point(|hold| hold.from < until);
        let taken = &taken[begin..end];
        Self {
            name: played.name,
            verdict: played.seen.verdict(),
            acquisitions: taken.len(),
            unavailable: played.unavailable,
            acquires: Figures::of(played.acquires.iter().copied()),
            hand_overs: Figures::of(hand_overs(taken)),
        }
    }
}

fn count(found: &[Violation], kind: impl Fn(&Violation) -> bool) -> usize {
    found.iter().filter(|violation| kind(violation)).count()
}

#[cfg(test)]
mod tests {
    use quorlock_testkit::{
        checker::Residue,
        history::{History, Recorder},
    };

    use super::*;
    use crate::{ledger::Audit, script::Seen};

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn step(seen: Seen) -> Played {
        let (name, expected) = ("a step", "a promise");
        let span = (Duration::ZERO, ms(100));
        Played { name, expected, seen, span, unavailable: ms(7), acquires: Vec::new() }
    }

    fn good() -> Seen {
        Seen::AsExpected("as promised".to_owned())
    }

    fn left() -> Left {
        let mut worker = Recorder::new("worker-1");
        let taken = worker.acquire("r", ms(1)).granted(ms(2), ms(90), None);
        let history: History = [taken, worker.release(1, ms(9)).done(ms(10))].into_iter().collect();
        let (backend, resource) = ("embedded".to_owned(), "r".to_owned());
        Left { backend, history, audit: Audit::default(), residue: Vec::new(), resource }
    }

    #[test]
    fn a_run_without_fault_passes() {
        assert!(Report::new(vec![step(good())], left()).passed());
    }

    #[test]
    fn a_skipped_step_is_neither_good_nor_bad() {
        let report = Report::new(vec![step(Seen::Skipped("no power here".to_owned()))], left());
        assert!(report.passed());
        assert_eq!(report.summary.steps[0].ok, None);
        assert_eq!(report.summary.steps[0].seen, "skipped: no power here");
        assert!(report.conclusion().contains("1 steps were skipped"));
    }

    #[test]
    fn a_step_that_went_otherwise_fails() {
        assert!(!Report::new(vec![step(Seen::Otherwise("surprise".to_owned()))], left()).passed());
    }

    #[test]
    fn a_key_that_is_left_fails() {
        let mut left = left();
        left.residue.push(Residue { node: "node-1".to_owned(), key: "r".to_owned() });
        let report = Report::new(vec![step(good())], left);
        assert!(!report.passed());
        assert_eq!((report.summary.residue_keys, report.summary.violations), (1, 0));
    }

    #[test]
    fn two_holders_and_a_late_loss_fail_and_are_counted_apart() {
        let (mut left, mut other) = (left(), Recorder::new("worker-2"));
        left.history.push(other.acquire("r", ms(1)).granted(ms(8), ms(20), None));
        left.history.push(other.lost(1, ms(21), Duration::ZERO));
        let report = Report::new(vec![step(good())], left);
        assert!(!report.passed());
        assert_eq!((report.summary.violations, report.summary.lost_late), (1, 1));
        assert_eq!(report.proofs.len(), 2);
    }

    #[test]
    fn the_json_has_the_agreed_keys_and_no_others() {
        let report = Report::new(vec![step(good())], left());
        let json = serde_json::to_value(&report.summary).unwrap();
        let expected = serde_json::json!({
            "backend": "embedded", "acquisitions": 1, "violations": 0, "lost_late": 0, "residue_keys": 0,
            "steps": [{
                "name": "a step", "expected": "a promise", "seen": "as promised", "ok": true, "unavailable_ms": 7
            }],
        });
        assert_eq!(json, expected);
    }
}
