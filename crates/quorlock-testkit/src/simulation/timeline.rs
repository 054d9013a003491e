//! One simulation as text: a line for each moment, a column for each worker, and beside them what went wrong. Judges
//! nothing. The same as a picture is `html.rs`.

mod operation;

use std::fmt::Write as _;
use std::time::Duration;

pub(super) use self::operation::{Operation, millis, operations};
use super::finding::Finding;
use super::plan::Plan;
use super::run::{Outcome, worker_name};
use crate::checker::{self, Ended, Hold};

/// Lines before and after the first finding.
const BEFORE: usize = 40;
const AFTER: usize = 10;
/// Lines around every other moment that a finding speaks of.
const AROUND: usize = 2;
/// Columns of text, if the notes leave the choice.
const WIDTH: usize = 150;
const LEAST_NOTE: usize = 30;
const TIME: usize = 12;

/// How much of a time line is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Every line, and every line whole.
    Full,
    /// What lies around the findings; the first lines, if there is none.
    NearFindings,
}

/// The time line of a simulation.
#[must_use]
pub fn timeline(plan: &Plan, outcome: &Outcome, extent: Extent) -> String {
    let table = Table::of(plan, outcome);
    let keep = match extent {
        Extent::Full => vec![true; table.rows.len()],
        Extent::NearFindings => table.near_findings(&outcome.findings),
    };
    table.draw(&keep, extent)
}

/// The names of all workers.
pub(super) fn lanes(plan: &Plan) -> Vec<String> {
    let clients = 0..plan.clients;
    clients.flat_map(|client| (0..plan.workers).map(move |w| worker_name(client, w))).collect()
}

struct Table {
    lanes: Vec<String>,
    operations: Vec<Operation>,
    holds: Vec<Hold>,
    rows: Vec<Row>,
    /// Findings that have no moment.
    rest: Vec<String>,
}

struct Row {
    at: Duration,
    /// By lane.
    cells: Vec<Option<String>>,
    note: Option<String>,
    findings: Vec<String>,
}

impl Row {
    fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Note(text) => self.note = Some(text),
            Entry::Cell(lane, words) => self.cells[lane] = Some(words),
            Entry::Finding(text) => self.findings.push(text),
        }
    }
}

enum Entry {
    Note(String),
    Cell(usize, String),
    Finding(String),
}

impl Table {
    fn of(plan: &Plan, outcome: &Outcome) -> Self {
        let holds = checker::holds(&outcome.history);
        let operations = operations(&outcome.history);
        let mut table =
            Self { lanes: lanes(plan), operations, holds, rows: Vec::new(), rest: Vec::new() };
        for (at, entry) in table.entries(outcome) {
            table.add(at, entry);
        }
        let rest = outcome.findings.iter().filter(|finding| finding.at().is_none());
        table.rest = rest.map(ToString::to_string).collect();
        table
    }

    /// By time. What happened at the same moment: faults first, then in the order of the record.
    fn entries(&self, outcome: &Outcome) -> Vec<(Duration, Entry)> {
        let lane = |client: &str| self.lanes.iter().position(|lane| lane == client);
        let notes = outcome.notes.iter().map(|note| (note.at, Entry::Note(note.text.clone())));
        let told = self.operations.iter().flat_map(|operation| {
            let lane = lane(&operation.event.client);
            let moments = lane.map(|lane| (lane, operation.moments())).into_iter();
            moments.flat_map(|(lane, moments)| {
                moments.into_iter().map(move |(at, words)| (at, Entry::Cell(lane, words)))
            })
        });
        let expired = self.holds.iter().filter(|hold| hold.counted());
        let expired = expired.filter(|hold| hold.ended == Ended::Expired).filter_map(|hold| {
            let words = format!("{} expires", hold.resource);
            Some((hold.until, Entry::Cell(lane(&hold.client)?, words)))
        });
        let found = outcome
            .findings
            .iter()
            .filter_map(|finding| Some((finding.at()?, Entry::Finding(finding.to_string()))));
        let mut all: Vec<_> = notes.chain(told).chain(expired).chain(found).collect();
        all.sort_by_key(|(at, _)| *at);
        all
    }

    /// On the first line of the same moment that has room, behind what it must not overtake.
    fn add(&mut self, at: Duration, entry: Entry) {
        let has_room = |row: &&mut Row| {
            row.at == at
                && match &entry {
                    Entry::Note(_) => row.note.is_none(),
                    Entry::Cell(lane, _) => row.cells[*lane].is_none(),
                    Entry::Finding(_) => true,
                }
        };
        let mut fitting = self.rows.iter_mut().rev().take_while(has_room);
        let place = match entry {
            Entry::Finding(_) => fitting.next(),
            _ => fitting.last(),
        };
        if let Some(row) = place {
            return row.take(entry);
        }
        let cells = vec![None; self.lanes.len()];
        let mut row = Row { at, cells, note: None, findings: Vec::new() };
        row.take(entry);
        self.rows.push(row);
    }

    fn near_findings(&self, findings: &[Finding]) -> Vec<bool> {
        let mut keep = vec![false; self.rows.len()];
        let mut around = |at: Duration, before: usize, after: usize| {
            let middle = self.rows.partition_point(|row| row.at < at);
            let end = self.rows.partition_point(|row| row.at <= at);
            let range = middle.saturating_sub(before)..(end + after).min(keep.len());
            keep[range].fill(true);
        };
        match findings.iter().find_map(Finding::at) {
            Some(at) => around(at, BEFORE, AFTER),
            None if self.rest.is_empty() => around(Duration::ZERO, 0, BEFORE + AFTER),
            None => around(Duration::MAX, BEFORE, 0),
        }
        for finding in findings.iter().take(8) {
            for at in finding.moments() {
                around(at, AROUND, AROUND);
            }
        }
        keep
    }

    /// What this worker is doing: holding, or waiting for an answer.
    fn mark(&self, lane: usize, at: Duration) -> char {
        let name = &self.lanes[lane];
        let holds = |hold: &&Hold| hold.client == *name && hold.from <= at && at < hold.until;
        let waits = |operation: &&Operation| {
            let event = &operation.event;
            event.client == *name && event.inv <= at && event.ret.is_none_or(|ret| at < ret)
        };
        let dead = |operation: &&Operation| {
            let event = &operation.event;
            event.client == *name && event.inv <= at && event.action == crate::history::Action::Died
        };
        if self.operations.iter().any(|operation| dead(&operation)) {
            ' '
        } else if self.holds.iter().any(|hold| holds(&hold)) {
            '┃'
        } else if self.operations.iter().any(|operation| waits(&operation)) {
            '┊'
        } else {
            ' '
        }
    }

    fn draw(&self, keep: &[bool], extent: Extent) -> String {
        let kept = || self.rows.iter().zip(keep).filter(|(_, keep)| **keep).map(|(row, _)| row);
        let widths: Vec<usize> = (0..self.lanes.len())
            .map(|lane| {
                let cells = kept().filter_map(|row| row.cells[lane].as_ref());
                let longest = cells.map(|cell| cell.chars().count() + 2).max();
                longest.unwrap_or_default().max(self.lanes[lane].len() + 2)
            })
            .collect();
        let left = TIME + 3 + widths.iter().map(|width| width + 1).sum::<usize>();
        let note_width = match extent {
            Extent::Full => usize::MAX,
            Extent::NearFindings => WIDTH.saturating_sub(left).max(LEAST_NOTE),
        };
        let mut text = format!("{:>TIME$}  ", "ms");
        for (lane, width) in self.lanes.iter().zip(&widths) {
            let _ = write!(text, " {:<width$}", format!("  {lane}"));
        }
        text.push_str(" what went wrong, and what clients heard\n");
        let mut left_out = 0;
        for (row, keep) in self.rows.iter().zip(keep) {
            if !keep {
                left_out += 1;
                continue;
            }
            leave_out(&mut text, &mut left_out);
            self.draw_row(&mut text, row, &widths, note_width);
        }
        leave_out(&mut text, &mut left_out);
        for finding in &self.rest {
            let _ = writeln!(text, "!! {:>1$} {finding}", "", TIME - 3);
        }
        text
    }

    fn draw_row(&self, text: &mut String, row: &Row, widths: &[usize], note_width: usize) {
        let flag = if row.findings.is_empty() { "  " } else { "!!" };
        let mut line = format!("{flag}{}  ", aligned(row.at));
        for (lane, width) in widths.iter().enumerate() {
            let words = row.cells[lane].as_deref().unwrap_or_default();
            let cell = format!("{} {words}", self.mark(lane, row.at));
            let _ = write!(line, " {cell:<width$}");
        }
        if let Some(note) = &row.note {
            let _ = write!(line, " {}", shortened(note, note_width));
        }
        let _ = writeln!(text, "{}", line.trim_end());
        for finding in &row.findings {
            let _ = writeln!(text, "!! {:>1$} {finding}", "", TIME - 3);
        }
    }
}

fn leave_out(text: &mut String, lines: &mut usize) {
    match std::mem::take(lines) {
        0 => {}
        1 => text.push_str("           ... 1 line left out\n"),
        lines => drop(writeln!(text, "           ... {lines} lines left out")),
    }
}

/// With its point where every time has it.
fn aligned(at: Duration) -> String {
    let text = millis(at);
    let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len() + 1);
    let width = TIME - 2 - (4 - decimals);
    format!("{text:>width$}{:1$}", "", 4 - decimals)
}

fn shortened(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(3)).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::plan::{Assumptions, Depth};
    use super::super::record::Note;
    use super::super::run::run;
    use super::*;
    use crate::history::{History, Recorder};

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn plan() -> Plan {
        let drawn = Plan::draw(1, Depth::Node, Assumptions::Kept);
        Plan { clients: 2, workers: 1, resources: 1, deals: 1, ..drawn }
    }

    /// Two hold at the same time, after `refusals`; then one expires.
    fn two_holders(refusals: u64) -> Outcome {
        let (mut a, mut b) = (Recorder::new("c0.w0"), Recorder::new("c1.w0"));
        let mut history = History::new();
        for at in 0..refusals {
            history.push(b.acquire("r0", ms(at)).refused(ms(at)));
        }
        history.push(a.acquire("r0", ms(100)).granted(ms(101), ms(150), None));
        history.push(b.acquire("r0", ms(101)).granted(
            Duration::from_micros(103_500),
            ms(190),
            None,
        ));
        history.push(b.release(refusals + 1, ms(120)).done(ms(130)));
        let note = |at, text: &str| Note { at: ms(at), text: text.to_owned() };
        let notes = vec![note(101, "freeze of n1"), note(101, "freeze of n2")];
        let found = checker::Checker::new().losses(checker::Losses::Unheard).check(&history);
        let findings = found.into_iter().map(Finding::History).collect();
        Outcome { history, findings, notes, ..run(&plan()) }
    }

    #[test]
    fn every_moment_has_a_line_and_the_finding_its_own() {
        let text = timeline(&plan(), &two_holders(0), Extent::NearFindings);
        let expected = [
            "          ms     c0.w0              c1.w0            what went wrong, and what clients heard",
            "     100       ┊ ask r0",
            "     101       ┃ got r0 until 150 ┊ ask r0           freeze of n1",
            "     101       ┃                  ┊                  freeze of n2",
            "!!   103.5     ┃                  ┃ got r0 until 190",
            "!!           two holders of r0: c0.w0#1 from 101ms until 150ms (expired) \
             and c1.w0#1 from 103.5ms until 120ms (released)",
            "     120       ┃                  ┊ release r0",
            "     130       ┃                    released r0",
            "     150         r0 expires",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected, "\n{text}");
    }

    #[test]
    fn what_is_far_from_the_finding_is_left_out_and_counted() {
        let outcome = two_holders(90);
        let text = timeline(&plan(), &outcome, Extent::NearFindings);
        assert!(text.contains("... 53 lines left out"), "{text}");
        assert!(text.contains("\n      53 ") && !text.contains("\n      52 "), "{text}");
        let full = timeline(&plan(), &outcome, Extent::Full);
        assert!(full.contains("\n       0 ") && !full.contains("left out"), "{full}");
    }

    #[test]
    fn a_finding_without_a_moment_stands_at_the_end() {
        let outcome = Outcome { findings: vec![Finding::Hung], ..two_holders(90) };
        let text = timeline(&plan(), &outcome, Extent::NearFindings);
        assert!(text.ends_with("!!           it did not come to an end\n"), "{text}");
        assert!(text.contains("r0 expires") && text.contains("lines left out"), "{text}");
    }
}
