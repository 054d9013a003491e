//! What is timed: every workload is some cases, and every case a load under some conditions. How a case is run lives in `host.rs`.

mod contended;
mod delay;
mod faults;
mod fenced;
mod held;
mod latency;
mod many;
mod throughput;

use std::time::Duration;

use crate::contender::Name;
use crate::load::Load;

/// The TTL of most libraries' examples.
const TTL: Duration = Duration::from_secs(10);
/// For how long brand-new nodes may be in quarantine: bootstrapped, they are in none.
const MAX_TTL: Duration = Duration::from_secs(60);

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) quick: bool,
}

impl Scale {
    fn window(self) -> Duration {
        Duration::from_millis(if self.quick { 400 } else { 3_000 })
    }

    fn warm_up(self) -> Duration {
        Duration::from_millis(if self.quick { 150 } else { 500 })
    }

    /// All of them, or the first few.
    fn some<T: Copy>(self, all: &[T], quick: &[T]) -> Vec<T> {
        if self.quick { quick.to_vec() } else { all.to_vec() }
    }
}

/// What is done to the nodes, when everything is warm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    None,
    Frozen(usize),
    Dead(usize),
    /// One node dies in mid-run, and is back, empty, a little later.
    Restarted,
}

/// One row of tables: the same conditions for every contender.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) workload: &'static str,
    pub(crate) name: String,
    pub(crate) load: Load,
    pub(crate) trouble: Trouble,
    /// To every node and back; zero without a proxy.
    pub(crate) round_trip: Duration,
    pub(crate) ttl: Duration,
    pub(crate) max_ttl: Duration,
    pub(crate) warm_up: Duration,
    pub(crate) window: Duration,
    pub(crate) contenders: Vec<Name>,
    /// The figures that tables and plots show, the most telling first.
    pub(crate) shown: &'static [&'static str],
    /// The case of the same workload that this one is compared with, too.
    pub(crate) healthy: Option<&'static str>,
}

impl Case {
    fn new(workload: &'static str, name: impl Into<String>, load: Load, scale: Scale) -> Self {
        Self {
            workload,
            name: name.into(),
            load,
            trouble: Trouble::None,
            round_trip: Duration::ZERO,
            ttl: TTL,
            max_ttl: MAX_TTL,
            warm_up: scale.warm_up(),
            window: scale.window(),
            contenders: Name::ALL.to_vec(),
            shown: &["acquire_p50_us", "acquire_p99_us", "release_p50_us", "cycles_per_s"],
            healthy: None,
        }
    }

    /// All but the floor, which is for healthy nodes and for resources that nobody else wants.
    fn without_floor(mut self) -> Self {
        self.contenders.retain(|name| *name != Name::Floor);
        self
    }

    /// How many resources one lock has.
    pub(crate) fn resources(&self) -> usize {
        match self.load {
            Load::Cycles { resources, .. } => resources,
            Load::Contended { .. } | Load::Held { .. } => 1,
        }
    }
}

/// `1 task`, `2 tasks`.
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// One task that takes and gives back one resource.
const ONE: Load = Load::Cycles { tasks: 1, resources: 1 };

/// Everything, in order.
pub(crate) fn all(scale: Scale) -> Vec<Case> {
    let workloads = [
        latency::cases,
        throughput::cases,
        faults::cases,
        fenced::cases,
        contended::cases,
        many::cases,
        delay::cases,
        held::cases,
    ];
    workloads.into_iter().flat_map(|cases| cases(scale)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_cases_have_one_name_and_every_healthy_one_is_there() {
        for quick in [false, true] {
            let all = all(Scale { quick });
            let names: Vec<_> = all.iter().map(|case| (case.workload, &case.name)).collect();
            let different: std::collections::BTreeSet<_> = names.iter().collect();
            assert_eq!(names.len(), different.len());
            for case in &all {
                assert!(!case.contenders.is_empty() && !case.shown.is_empty(), "{case:?}");
                let Some(healthy) = case.healthy else { continue };
                assert!(
                    all.iter()
                        .any(|other| other.workload == case.workload && other.name == healthy)
                );
            }
        }
    }
}
