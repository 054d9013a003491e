//! Checks a variant and says what came out. Which variants there are is said elsewhere.

use std::fmt;
use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries, Model};

use crate::model::Quorlock;
use crate::trace;
use crate::usage;
use crate::variants::{Expected, Variant};

/// What came out of a check.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How many different states were reached.
    pub states: usize,
    /// After how many steps the last of them.
    pub depth: usize,
    /// How long the processors worked for it, where the system tells; else how long it took.
    pub took: Duration,
    /// The most memory that the process had meanwhile, in MiB, where the system tells.
    pub memory: Option<u64>,
    /// The promise that was broken, with the steps to it: no others are shorter.
    pub broken: Option<(&'static str, Vec<String>)>,
    /// What should have been reached, and was not.
    pub unreached: Vec<&'static str>,
}

impl Outcome {
    /// Whether it is what the variant is there to show.
    pub fn is_as(&self, expected: Expected) -> bool {
        match (expected, &self.broken) {
            (Expected::Holds, None) => self.unreached.is_empty(),
            (Expected::Breaks(promise), Some((broken, _))) => promise == *broken,
            _ => false,
        }
    }
}

/// Looks at every state, or as far as the first broken promise.
pub fn check(variant: &Variant) -> Outcome {
    usage::reset_peak();
    let (start, worked) = (Instant::now(), usage::worked());
    let model = variant.model();
    let checker = search(model, None);
    let mut found = broken_of(&checker, model);
    // A search stops a little behind the first: look again for a shorter one.
    while let Some((_, steps)) = &found {
        let shorter = search(model, Some(steps.len() + 1));
        match broken_of(&shorter, model) {
            None => break,
            better => found = better,
        }
    }
    let missed = |name: &&'static str| checker.discovery(name).is_none();
    let unreached = match found {
        Some(_) => Vec::new(),
        None => witnesses(&model).into_iter().filter(missed).collect(),
    };
    let worked = usage::worked().zip(worked).map(|(now, before)| now.saturating_sub(before));
    Outcome {
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        took: worked.unwrap_or_else(|| start.elapsed()),
        memory: usage::peak(),
        broken: found,
        unreached,
    }
}

fn search(model: Quorlock, depth: Option<usize>) -> impl Checker<Quorlock> {
    let builder = model.checker().finish_when(HasDiscoveries::AnyFailures);
    // One thread, so that it is breadth first to the state, and the same every time.
    match depth {
        Some(depth) => builder.target_max_depth(depth).spawn_bfs().join(),
        None => builder.spawn_bfs().join(),
    }
}

fn witnesses(model: &Quorlock) -> Vec<&'static str> {
    let all = model.properties().into_iter();
    all.filter(|property| !property.expectation.discovery_is_failure())
        .map(|property| property.name)
        .collect()
}

fn broken_of(
    checker: &impl Checker<Quorlock>,
    model: Quorlock,
) -> Option<(&'static str, Vec<String>)> {
    let promises = model.properties().into_iter();
    promises
        .filter(|property| property.expectation.discovery_is_failure())
        .find_map(|property| Some((property.name, checker.discovery(property.name)?)))
        .map(|(name, path)| (name, trace::lines(&path.into_vec())))
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { states, depth, took, .. } = self;
        write!(f, "{states} states, depth {depth}, {:.1} s", took.as_secs_f64())?;
        if let Some(memory) = self.memory {
            write!(f, ", {memory} MiB")?;
        }
        for name in &self.unreached {
            write!(f, "\n  never reached: {name}")?;
        }
        let Some((name, lines)) = &self.broken else { return write!(f, ": holds") };
        write!(f, ": broken after {} steps: {name}", lines.len())?;
        lines.iter().try_for_each(|line| write!(f, "\n    {line}"))
    }
}
