//! The table on a terminal: a block for every case, a line for every contender.

use std::fmt::Write;

use super::by_case;
use super::figure::{label, number};
use super::machine::Machine;
use super::summary::Summary;

pub(crate) fn table(machine: &Machine, rows: &[Summary]) -> String {
    let mut text = format!(
        "{}\nmedian [min..max] xRATIO to raw of the same round; hX to the same contender on healthy nodes\n",
        machine.sentence()
    );
    for case in by_case(rows) {
        block(&mut text, case);
    }
    text
}

fn block(text: &mut String, case: &[Summary]) {
    let Some(first) = case.first() else { return };
    let mut lines = vec![vec![format!("{}: {}", first.workload, first.case)]];
    lines[0].extend(first.shown.iter().map(|figure| label(figure)));
    for row in case {
        lines.push(line(row));
    }
    let columns = first.shown.len() + 1;
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(String::len).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    text.push('\n');
    for (line, row) in lines.iter().zip(std::iter::once(None).chain(case.iter().map(Some))) {
        let mut padded = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            let _ = write!(padded, "{cell:<width$}  ");
        }
        // Below the columns there is no room for a sentence.
        for why in row.into_iter().flat_map(|row| &row.failed) {
            padded += why;
        }
        text.push_str(padded.trim_end());
        text.push('\n');
    }
}

fn line(row: &Summary) -> Vec<String> {
    let mut line = vec![row.contender.to_string()];
    if !row.figures.is_empty() {
        line.extend(row.shown.iter().map(|figure| cell(row, figure)));
    }
    line
}

/// One value: its median, its ends where there was more than one round, its ratios.
pub(crate) fn cell(row: &Summary, figure: &str) -> String {
    let Some(spread) = row.figures.get(figure) else { return "-".to_owned() };
    let mut text = number(spread.median);
    if row.rounds > 1 {
        let _ = write!(text, " [{}..{}]", number(spread.min), number(spread.max));
    }
    if let Some(ratio) = row.to_raw.get(figure) {
        let _ = write!(text, " x{:.2}", ratio.median);
    }
    if let Some(ratio) = row.to_healthy.get(figure) {
        let _ = write!(text, " h{:.2}", ratio.median);
    }
    text
}
