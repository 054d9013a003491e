//! What was measured, and what is said of it: in a table, as JSON, as a page. Nothing is measured here.

mod figure;
mod html;
mod machine;
mod plot;
mod summary;
mod table;

use serde::Serialize;
use serde_json::json;

use self::machine::Machine;
use self::summary::Summary;
use crate::Outcome;
use crate::contender::Name;
use crate::host::Played;
use crate::load::Figures;
use crate::options::Options;
use crate::workload::Case;

/// One contender's turn in one case.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Record {
    workload: &'static str,
    case: String,
    contender: Name,
    round: usize,
    figures: Option<Figures>,
    failed: Option<String>,
}

impl Record {
    pub(crate) fn new(case: &Case, contender: Name, round: usize, outcome: Played) -> Self {
        let (figures, failed) = match outcome {
            Ok((figures, noted)) => (Some(figures), noted),
            Err(why) => (None, Some(why)),
        };
        Self { workload: case.workload, case: case.name.clone(), contender, round, figures, failed }
    }
}

/// The table of so many rounds, and the files that are wanted of them, which are written.
pub(crate) fn write(
    options: &Options,
    cases: &[Case],
    rounds: usize,
    records: &[Record],
) -> Outcome<String> {
    let machine = Machine::look(options, rounds);
    let rows = summary::of(cases, records);
    if let Some(file) = &options.json {
        let all = json!({ "machine": machine, "summary": rows, "records": records });
        std::fs::write(file, serde_json::to_string_pretty(&all)?)?;
    }
    if let Some(file) = &options.html {
        std::fs::write(file, html::page(&machine, &rows))?;
    }
    if let Some(folder) = &options.plots {
        std::fs::create_dir_all(folder)?;
        for (name, svg) in html::plots(&rows) {
            std::fs::write(folder.join(name), svg)?;
        }
    }
    Ok(table::table(&machine, &rows))
}

/// The cases of all rows, in order, each with its rows.
fn by_case(rows: &[Summary]) -> impl Iterator<Item = &[Summary]> {
    rows.chunk_by(|one, other| (one.workload, &one.case) == (other.workload, &other.case))
}
