//! Rounds made one: the median and the ends of every figure, its ratio to `raw` and to healthy nodes in the same round.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Record;
use crate::contender::Name;
use crate::stats::{Spread, ratio};
use crate::workload::Case;

/// One contender in one case.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) workload: &'static str,
    pub(crate) case: String,
    pub(crate) contender: Name,
    #[serde(skip)]
    pub(crate) shown: &'static [&'static str],
    pub(crate) figures: BTreeMap<String, Spread>,
    /// Each round's value divided by that of `raw`.
    pub(crate) to_raw: BTreeMap<String, Spread>,
    /// Each round's value divided by the contender's own on healthy nodes.
    pub(crate) to_healthy: BTreeMap<String, Spread>,
    pub(crate) rounds: usize,
    /// Why rounds failed: of each reason one.
    pub(crate) failed: Vec<String>,
}

pub(crate) fn of(cases: &[Case], records: &[Record]) -> Vec<Summary> {
    let contenders = |case: &'_ Case| case.contenders.clone();
    cases
        .iter()
        .flat_map(|case| contenders(case).into_iter().map(move |name| one(case, name, records)))
        .collect()
}

fn one(case: &Case, contender: Name, records: &[Record]) -> Summary {
    let mine: Vec<_> = records.iter().filter(|record| is(record, case, contender)).collect();
    let mut failed: Vec<_> = mine.iter().filter_map(|record| record.failed.clone()).collect();
    failed.sort();
    failed.dedup();
    let to = |base: &dyn Fn(&Record) -> bool| {
        spreads(&mine, |record, figure, value| {
            let same_round = |other: &&Record| other.round == record.round && base(other);
            let base = records.iter().find(same_round)?.figures.as_ref()?.get(figure)?;
            ratio(value, *base)
        })
    };
    let healthy = |other: &Record| {
        other.workload == case.workload
            && Some(other.case.as_str()) == case.healthy
            && other.contender == contender
    };
    Summary {
        workload: case.workload,
        case: case.name.clone(),
        contender,
        shown: case.shown,
        figures: spreads(&mine, |_, _, value| Some(value)),
        to_raw: to(&|other| is(other, case, Name::Raw)),
        to_healthy: to(&healthy),
        rounds: mine.len(),
        failed,
    }
}

fn is(record: &Record, case: &Case, contender: Name) -> bool {
    record.workload == case.workload && record.case == case.name && record.contender == contender
}

/// The spread of what becomes of each figure.
fn spreads(
    records: &[&Record],
    becomes: impl Fn(&Record, &str, f64) -> Option<f64>,
) -> BTreeMap<String, Spread> {
    let mut values: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for record in records {
        for (figure, value) in record.figures.iter().flatten() {
            if let Some(value) = becomes(record, figure, *value) {
                values.entry(figure.clone()).or_default().push(value);
            }
        }
    }
    values.into_iter().filter_map(|(figure, values)| Some((figure, Spread::of(&values)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{Scale, all};

    #[test]
    fn a_ratio_is_to_raw_in_the_same_round() {
        let cases: Vec<_> = all(Scale { quick: true }).into_iter().take(1).collect();
        let record = |name, round, value: Option<f64>| {
            let figures = value.map(|value| ([("acquire_p50_us".to_owned(), value)].into(), None));
            Record::new(&cases[0], name, round, figures.ok_or_else(|| "failed: gone".to_owned()))
        };
        let records = [
            record(Name::Raw, 0, Some(100.0)),
            record(Name::Quorlock, 0, Some(50.0)),
            record(Name::Quorlock, 1, Some(60.0)),
            record(Name::Raw, 1, Some(200.0)),
            record(Name::Quorlock, 2, None),
        ];
        let rows = of(&cases, &records);
        let row = rows.iter().find(|row| row.contender == Name::Quorlock).unwrap();
        let spread = row.to_raw["acquire_p50_us"];
        assert_eq!((spread.median, spread.min, spread.max), (0.4, 0.3, 0.5));
        assert_eq!(row.figures["acquire_p50_us"].median, 55.0);
        assert_eq!((row.rounds, &row.failed[..]), (3, &["failed: gone".to_owned()][..]));
        assert!(row.to_healthy.is_empty());
    }
}
