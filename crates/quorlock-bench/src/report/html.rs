//! The page: tables and plots, in one file that needs nothing else.

use std::fmt::Write;

use super::figure::label;
use super::machine::Machine;
use super::summary::Summary;
use super::{by_case, plot, table};

const STYLE: &str = include_str!("page.css");
/// More than the first few figures of a workload make a wall of dots.
const PLOTS: usize = 2;

pub(crate) fn page(machine: &Machine, rows: &[Summary]) -> String {
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>quorlock side by side</title>",
    );
    let _ = write!(page, "<style>{STYLE}</style></head><body><h1>quorlock side by side</h1>");
    let _ = write!(page, "<p>{}.</p>", escaped(&machine.sentence()));
    page += "<p>A dot is the median of the rounds, its line goes from the least to the most. <b>x</b> is the ratio to <i>raw</i> in the same round \
             (a hand-written loop over redis-rs), <b>h</b> to the same contender on healthy nodes. Read ratios, not absolutes.</p>";
    for workload in rows.chunk_by(|one, other| one.workload == other.workload) {
        section(&mut page, workload);
    }
    page += "</body></html>\n";
    page
}

/// The page's plots with the names of files that they may stand in alone.
pub(crate) fn plots(rows: &[Summary]) -> Vec<(String, String)> {
    let mut plots = Vec::new();
    for workload in rows.chunk_by(|one, other| one.workload == other.workload) {
        let Some(first) = workload.first() else { continue };
        let cases: Vec<_> = by_case(workload).collect();
        for figure in first.shown.iter().take(PLOTS) {
            let plot = plot::plot(&cases, figure);
            if let Some(body) = plot.strip_prefix("<svg ") {
                let head = "<svg xmlns=\"http://www.w3.org/2000/svg\" ";
                let styled = body.replacen('>', &format!("><style>{STYLE}</style>"), 1);
                plots.push((
                    format!("{}-{figure}.svg", first.workload),
                    format!("{head}{styled}\n"),
                ));
            }
        }
    }
    plots
}

fn section(page: &mut String, rows: &[Summary]) {
    let Some(first) = rows.first() else { return };
    let _ = write!(page, "<section><h2>{}</h2>", escaped(first.workload));
    let cases: Vec<_> = by_case(rows).collect();
    for figure in first.shown.iter().take(PLOTS) {
        *page += &plot::plot(&cases, figure);
    }
    for case in cases {
        case_table(page, case);
    }
    *page += "</section>";
}

fn case_table(page: &mut String, case: &[Summary]) {
    let Some(first) = case.first() else { return };
    let _ = write!(page, "<div class=\"wide\"><table><thead><tr><th>{}</th>", escaped(&first.case));
    for figure in first.shown {
        let _ = write!(page, "<th>{}</th>", escaped(&label(figure)));
    }
    *page += "</tr></thead><tbody>";
    for row in case {
        let _ = write!(page, "<tr><th>{}</th>", row.contender);
        if row.figures.is_empty() {
            let why = escaped(&row.failed.join("; "));
            let _ = write!(page, "<td class=\"failed\" colspan=\"{}\">{why}</td>", row.shown.len());
        } else {
            for figure in row.shown {
                let _ = write!(page, "<td>{}</td>", escaped(&table::cell(row, figure)));
            }
        }
        *page += "</tr>";
    }
    *page += "</tbody></table></div>";
}

/// Text as it may stand anywhere in a page.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
