//! Every event against the metrics that it becomes: names, labels and values.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ::metrics::with_local_recorder;
use metrics_util::MetricKind;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};

use super::*;
use crate::resources::Resources;

/// Where the names are told to those who watch them.
const DOCUMENT: &str = include_str!("../../../../../docs/operations.md");

/// What is there after these events: counters and gauges as numbers, histograms as what was recorded.
fn told(events: &[Event]) -> BTreeMap<String, String> {
    let recorder = DebuggingRecorder::new();
    with_local_recorder(&recorder, || {
        let observer = MetricsObserver::new();
        events.iter().for_each(|event| observer.observe(event));
    });
    let all = recorder.snapshotter().snapshot().into_vec();
    let line = |(key, _, described, value): (metrics_util::CompositeKey, _, Option<_>, _)| {
        assert!(described.is_some(), "{key:?} is not described");
        let labels: String =
            key.key().labels().map(|label| format!(" {}", label.value())).collect();
        let value = match value {
            DebugValue::Counter(count) => count.to_string(),
            DebugValue::Gauge(level) => level.to_string(),
            DebugValue::Histogram(values) => format!("{values:?}"),
        };
        (format!("{}{labels}", key.key().name()), value)
    };
    all.into_iter().map(line).collect()
}

/// What differs after these events from what is there at the beginning.
fn changed(events: &[Event]) -> Vec<String> {
    let before = told(&[]);
    let changed = told(events).into_iter().filter(|(name, value)| before.get(name) != Some(value));
    changed.map(|(name, value)| format!("{name} {value}")).collect()
}

fn resources() -> Resources {
    "secret-customer".into()
}

fn node(name: &str) -> Arc<str> {
    name.into()
}

fn failure(node: &str, kind: NodeErrorKind) -> NodeError {
    NodeError::new(&node.into(), kind.into())
}

fn acquired(millis: u64, margin: usize) -> Event {
    let took = Duration::from_millis(millis);
    Event::Acquired { resources: resources(), took, votes: 3, margin, rounds: 1 }
}

fn released(millis: u64) -> Event {
    Event::Released { resources: resources(), valid_for: Duration::from_millis(millis) }
}

fn extend_failed() -> Event {
    let failures = vec![failure("c:1/0", NodeErrorKind::KeyGone)];
    Event::ExtendFailed { resources: resources(), valid_for: Duration::ZERO, failures }
}

fn anomaly() -> Event {
    let missing = Duration::from_secs(1);
    Event::ClockAnomaly { node: node("c:1/0"), resources: resources(), missing }
}

/// At least one of every kind.
fn one_of_each() -> Vec<Event> {
    let lost = |reason| Event::Lost { resources: resources(), reason };
    let failures =
        vec![failure("b:1/0", NodeErrorKind::NoAnswer), failure("c:1/0", NodeErrorKind::Down)];
    vec![
        acquired(250, 2),
        Event::Denied { resources: resources() },
        Event::AcquireFailed { resources: resources(), failures },
        Event::Extended { resources: resources(), valid_for: Duration::ZERO },
        extend_failed(),
        Event::Repaired { resources: resources(), node: node("a:1/0") },
        anomaly(),
        lost(LostReason::Expired),
        released(0),
        Event::TakenUp { resources: resources(), valid_for: Duration::ZERO },
        Event::HandedOver { resources: resources() },
        Event::NodeConnected { node: node("a:1/0"), owed: 7 },
        Event::NodeDown { error: failure("b:1/0", NodeErrorKind::Down) },
        Event::NodeVotes { node: node("a:1/0") },
        Event::NodeQuarantined { node: node("b:1/0"), ends_in: Duration::ZERO },
        Event::NodeRefused { error: failure("c:1/0", NodeErrorKind::Replica) },
        Event::NodeMayEvict { node: node("a:1/0"), policy: "allkeys-lru".to_owned() },
        Event::OldConnectionLeft { node: node("a:1/0") },
        Event::OwedReleaseDropped { node: node("b:1/0") },
    ]
}

#[test]
fn what_has_no_node_begins_at_zero() {
    let begin = told(&[]);
    assert!(begin.values().all(|value| value == "0"), "{begin:?}");
    let names: Vec<_> = begin.keys().map(String::as_str).collect();
    let expected = [
        "quorlock_acquire_failures_total no_quorum",
        "quorlock_acquire_failures_total too_late",
        "quorlock_acquired_total",
        "quorlock_denied_total",
        "quorlock_extend_failures_total",
        "quorlock_extended_total",
        "quorlock_guards",
        "quorlock_handed_over_total",
        "quorlock_lost_total expired",
        "quorlock_lost_total majority_gone",
        "quorlock_lost_total max_hold",
        "quorlock_released_total",
        "quorlock_taken_up_total",
    ];
    assert_eq!(names, expected);
}

#[test]
fn every_event_becomes_its_metrics() {
    let expected = [
        "quorlock_acquire_failures_total no_quorum 1",
        "quorlock_acquire_margin [2.0]",
        "quorlock_acquire_seconds [0.25]",
        "quorlock_acquired_total 1",
        "quorlock_clock_anomalies_total a:1/0 0",
        "quorlock_clock_anomalies_total c:1/0 1",
        "quorlock_denied_total 1",
        "quorlock_extend_failures_total 1",
        "quorlock_extended_total 1",
        "quorlock_forgotten_releases_total a:1/0 0",
        "quorlock_forgotten_releases_total b:1/0 1",
        "quorlock_handed_over_total 1",
        "quorlock_lost_total expired 1",
        "quorlock_node_downs_total a:1/0 0",
        "quorlock_node_downs_total b:1/0 1",
        "quorlock_node_failures_total b:1/0 no_answer 1",
        "quorlock_node_failures_total c:1/0 down 1",
        "quorlock_node_failures_total c:1/0 key_gone 1",
        "quorlock_node_failures_total c:1/0 replica 1",
        "quorlock_node_may_evict_total a:1/0 1",
        "quorlock_node_quarantines_total a:1/0 0",
        "quorlock_node_quarantines_total b:1/0 1",
        "quorlock_node_up a:1/0 1",
        "quorlock_node_up b:1/0 0",
        "quorlock_node_votes a:1/0 1",
        "quorlock_node_votes b:1/0 0",
        "quorlock_node_votes c:1/0 0",
        "quorlock_old_connections_left_total a:1/0 1",
        "quorlock_owed_releases_total a:1/0 7",
        "quorlock_release_left_seconds [0.0]",
        "quorlock_released_total 1",
        "quorlock_repairs_total a:1/0 1",
        "quorlock_taken_up_total 1",
    ];
    assert_eq!(changed(&one_of_each()), expected);
}

#[test]
fn a_round_in_which_nobody_failed_was_won_too_late() {
    let failed = Event::AcquireFailed { resources: resources(), failures: Vec::new() };
    assert_eq!(changed(&[failed]), ["quorlock_acquire_failures_total too_late 1"]);
}

#[test]
fn guards_are_counted_up_and_down_and_a_node_has_one_state() {
    let guards = |events: &[Event]| told(events)["quorlock_guards"].clone();
    assert_eq!(guards(&[acquired(1, 0), acquired(1, 0), released(5)]), "1");
    assert_eq!(guards(&[acquired(1, 0), released(5)]), "0");
    let up = || Event::NodeConnected { node: node("a:1/0"), owed: 0 };
    let down = || Event::NodeDown { error: failure("a:1/0", NodeErrorKind::Down) };
    let state = |events: &[Event]| told(events)["quorlock_node_up a:1/0"].clone();
    assert_eq!([state(&[up(), down()]), state(&[up(), down(), up()])], ["0", "1"]);
}

#[test]
fn no_label_tells_a_resource() {
    let all = told(&one_of_each());
    assert!(all.keys().all(|name| !name.contains("secret")), "{all:?}");
}

#[test]
fn every_name_is_in_the_document_with_its_kind_and_no_other_is() {
    let recorder = DebuggingRecorder::new();
    with_local_recorder(&recorder, || {
        let observer = MetricsObserver::new();
        one_of_each().iter().for_each(|event| observer.observe(event));
    });
    let rows: Vec<_> = DOCUMENT.lines().filter(|line| line.starts_with("| `quorlock_")).collect();
    let mut names = BTreeMap::new();
    for (key, ..) in recorder.snapshotter().snapshot().into_vec() {
        let kind = match key.kind() {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
        };
        names.insert(key.key().name().to_owned(), kind);
    }
    for (name, kind) in &names {
        let row = format!("| `{name}` | {kind} |");
        assert!(rows.iter().any(|line| line.starts_with(&row)), "no row that begins `{row}`");
    }
    assert_eq!(rows.len(), names.len(), "{rows:#?}");
}
