//! The operations of workers as words, for whoever draws them. Where they are drawn is not said here.

use std::collections::BTreeMap;
use std::mem::discriminant;
use std::time::Duration;

use crate::history::{Action, Event, History, Outcome, Verdict};

/// One operation: an event, or several that differ in nothing but their resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::simulation) struct Operation {
    pub(in crate::simulation) event: Event,
    pub(in crate::simulation) resources: String,
}

/// All operations, in the order in which they began to be recorded.
pub(in crate::simulation) fn operations(history: &History) -> Vec<Operation> {
    let names: BTreeMap<(&str, u64), &str> = history
        .events()
        .iter()
        .filter_map(|event| match &event.action {
            Action::Acquire { attempt, resource, .. } => {
                Some(((event.client.as_str(), *attempt), resource.as_str()))
            }
            _ => None,
        })
        .collect();
    let mut operations: Vec<Operation> = Vec::new();
    for event in history.events() {
        let attempt = event.attempt().map(|attempt| (event.client.as_str(), attempt));
        let name = attempt.and_then(|attempt| names.get(&attempt)).copied().unwrap_or_default();
        let same = |other: &&mut Operation| other.is_also(event);
        // A set of resources is recorded without a break.
        match operations.iter_mut().rev().take(8).find(same) {
            Some(operation) => {
                operation.resources.push(',');
                operation.resources.push_str(name);
            }
            None => operations.push(Operation { event: event.clone(), resources: name.to_owned() }),
        }
    }
    operations
}

impl Operation {
    fn is_also(&self, event: &Event) -> bool {
        let own = &self.event;
        own.attempt().is_some()
            && own.attempt() != event.attempt()
            && (&own.client, own.inv, own.ret) == (&event.client, event.inv, event.ret)
            && discriminant(&own.action) == discriminant(&event.action)
            && outcome(own) == outcome(event)
    }

    /// What can be said when it begins, if it takes time.
    fn begun(&self) -> Option<String> {
        let resources = &self.resources;
        match &self.event.action {
            Action::Acquire { .. } => Some(format!("ask {resources}")),
            Action::Release { .. } => Some(format!("release {resources}")),
            Action::Write { resource, .. } => Some(format!("write {resource}")),
            Action::Extend { .. } => Some(format!("extend {resources}")),
            Action::Lost { .. } | Action::Died => None,
        }
    }

    /// What can be said when it is over.
    fn ended(&self) -> Option<String> {
        let resources = &self.resources;
        match self.event.action {
            Action::Acquire { outcome, .. } => match outcome {
                Outcome::Granted { deadline, .. } => {
                    Some(format!("got {resources} until {}", millis(deadline)))
                }
                Outcome::Refused => Some(format!("refused {resources}")),
                Outcome::Unknown => None,
            },
            Action::Extend { outcome, .. } => match outcome {
                Outcome::Granted { deadline, .. } => {
                    Some(format!("extended until {}", millis(deadline)))
                }
                Outcome::Refused => Some("not extended".to_owned()),
                Outcome::Unknown => None,
            },
            Action::Release { .. } => Some(format!("released {resources}")),
            Action::Lost { .. } => Some(format!("LOST {resources}")),
            Action::Write { verdict: Verdict::Accepted, .. } => Some("stored".to_owned()),
            Action::Write { verdict: Verdict::Refused, .. } => Some("turned away".to_owned()),
            Action::Write { verdict: Verdict::Unknown, .. } => None,
            Action::Died => Some("DEAD".to_owned()),
        }
    }

    /// Its moments with their words: two, or one where it took no time, and the end says enough.
    pub(in crate::simulation) fn moments(&self) -> Vec<(Duration, String)> {
        let Event { inv, ret, .. } = self.event;
        let ended = ret.and_then(|ret| Some((ret, self.ended()?)));
        match ended {
            Some((ret, words)) if ret == inv => vec![(inv, words)],
            ended => self.begun().map(|words| (inv, words)).into_iter().chain(ended).collect(),
        }
    }

    /// A word for what kind it is: a class of the picture.
    pub(in crate::simulation) fn class(&self) -> &'static str {
        match self.event.action {
            Action::Acquire { .. } => "asks",
            Action::Extend { .. } => "extends",
            Action::Release { .. } | Action::Write { .. } => "gives",
            Action::Lost { .. } | Action::Died => "ends",
        }
    }
}

fn outcome(event: &Event) -> Option<Outcome> {
    match event.action {
        Action::Acquire { outcome, .. } | Action::Extend { outcome, .. } => Some(outcome),
        _ => None,
    }
}

/// In milliseconds, to the microsecond, without zeros at the end.
pub(in crate::simulation) fn millis(time: Duration) -> String {
    let micros = time.as_micros();
    let text = format!("{}.{:03}", micros / 1000, micros % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Recorder;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_set_of_resources_is_one_operation() {
        let mut worker = Recorder::new("c0.w0");
        let begun = [worker.acquire("a", ms(1)), worker.acquire("b", ms(1))];
        let mut history: History = begun.clone().into_iter().collect();
        history.extend(begun.map(|event| event.granted(ms(2), ms(90), None)));
        history.extend([worker.lost(1, ms(50), ms(0)), worker.lost(2, ms(50), ms(0))]);
        let words: Vec<_> = operations(&history).iter().flat_map(Operation::moments).collect();
        let said = |at, words: &str| (ms(at), words.to_owned());
        assert_eq!(words, [said(1, "ask a,b"), said(2, "got a,b until 90"), said(50, "LOST a,b")]);
    }

    #[test]
    fn what_takes_no_time_is_one_moment() {
        let mut worker = Recorder::new("c0.w0");
        let history = [worker.acquire("a", ms(1)).refused(ms(1)), worker.acquire("a", ms(3))];
        let operations = operations(&history.into_iter().collect());
        let words: Vec<_> = operations.iter().flat_map(Operation::moments).collect();
        assert_eq!(words, [(ms(1), "refused a".to_owned()), (ms(3), "ask a".to_owned())]);
    }

    #[test]
    fn milliseconds_have_no_zeros_at_the_end() {
        let us = Duration::from_micros;
        let texts = [us(0), us(120_000), us(1_500), us(7), us(1_230)].map(millis);
        assert_eq!(texts, ["0", "120", "1.5", "0.007", "1.23"]);
    }
}
