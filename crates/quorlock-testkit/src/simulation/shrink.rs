//! Makes a failing plan smaller while it still fails. What failing means is its caller's to say; it runs nothing itself.

use std::time::{Duration, Instant};

use super::fault::{Faults, Kind};
use super::plan::Plan;

const MOST_RUNS: usize = 300;
/// Of real time: somebody waits for the result.
const LONGEST: Duration = Duration::from_secs(10);

/// The smallest plan that greed finds: fewer clients, workers, resources, deals, nodes and faults. `fails` says whether a
/// plan still fails as the first one did; it is asked some 300 times at most, and for some 10 seconds.
pub fn shrink(plan: &Plan, fails: impl Fn(&Plan) -> bool) -> Plan {
    let mut search = Search { best: plan.clone(), runs: 0, begun: Instant::now(), fails };
    while search.pass() && !search.is_over() {}
    search.best
}

struct Search<F> {
    best: Plan,
    runs: usize,
    begun: Instant,
    fails: F,
}

impl<F: Fn(&Plan) -> bool> Search<F> {
    fn is_over(&self) -> bool {
        self.runs >= MOST_RUNS || self.begun.elapsed() >= LONGEST
    }

    /// Tries everything once. Says whether anything helped: then all the rest is worth another try.
    fn pass(&mut self) -> bool {
        let before = self.best.clone();
        self.lower(|plan| &mut plan.clients);
        self.lower(|plan| &mut plan.workers);
        self.lower(|plan| &mut plan.resources);
        self.lower(|plan| &mut plan.deals);
        self.fewer_nodes();
        self.fewer_faults();
        self.best != before
    }

    /// Takes `candidate` if it still fails.
    fn attempt(&mut self, candidate: Plan) -> bool {
        if candidate == self.best || self.is_over() {
            return false;
        }
        self.runs += 1;
        let fails = (self.fails)(&candidate);
        if fails {
            self.best = candidate;
        }
        fails
    }

    fn lower(&mut self, number: impl Fn(&mut Plan) -> &mut usize) {
        for lower in 1..*number(&mut self.best.clone()) {
            let mut candidate = self.best.clone();
            *number(&mut candidate) = lower;
            if self.attempt(candidate) || self.is_over() {
                return;
            }
        }
    }

    /// An odd number stays odd: an even one has another quorum for the same number of failures. Never below 3, where a
    /// quorum is no longer most of several.
    fn fewer_nodes(&mut self) {
        let nodes = self.best.nodes;
        for fewer in (3..nodes).filter(|fewer| fewer % 2 == nodes % 2) {
            if self.attempt(Plan { nodes: fewer, ..self.best.clone() }) {
                return;
            }
        }
    }

    /// All at once, then halves, then one by one.
    fn fewer_faults(&mut self) {
        let kinds: Vec<Kind> = self.best.faults.iter().collect();
        let (first, second) = kinds.split_at(kinds.len() / 2);
        for few in [&[][..], first, second] {
            let faults: Faults = few.iter().copied().collect();
            if self.attempt(Plan { faults, ..self.best.clone() }) {
                break;
            }
        }
        for kind in kinds {
            let faults = self.best.faults.without(kind);
            self.attempt(Plan { faults, ..self.best.clone() });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::super::plan::{Assumptions, Depth};
    use super::*;

    fn large() -> Plan {
        Plan {
            seed: 1,
            depth: Depth::Node,
            assumptions: Assumptions::Kept,
            nodes: 7,
            clients: 4,
            workers: 2,
            resources: 3,
            deals: 10,
            faults: Kind::all(Depth::Node, Assumptions::Kept).collect(),
        }
    }

    #[test]
    fn only_what_is_needed_stays() {
        let needs = |plan: &Plan| {
            let both = plan.faults.contains(Kind::Delay) && plan.faults.contains(Kind::Freeze);
            both && plan.clients >= 2 && plan.deals >= 4
        };
        let small = shrink(&large(), needs);
        let faults = [Kind::Delay, Kind::Freeze].into_iter().collect();
        let least = Plan { nodes: 3, clients: 2, workers: 1, resources: 1, deals: 4, ..large() };
        assert_eq!(small, Plan { faults, ..least });
    }

    #[test]
    fn what_helps_late_makes_room_for_the_rest() {
        // Fewer clients only help when there is no delay any more, which is tried after them.
        let needs = |plan: &Plan| plan.clients == 4 || !plan.faults.contains(Kind::Delay);
        let small = shrink(&large(), needs);
        assert_eq!((small.clients, small.faults), (1, Faults::default()));
    }

    #[test]
    fn what_fails_only_as_it_is_stays_as_it_is() {
        let runs = Cell::new(0);
        let small = shrink(&large(), |plan| {
            runs.set(runs.get() + 1);
            *plan == large()
        });
        assert_eq!(small, large());
        assert!(runs.get() < 50, "{}", runs.get());
    }

    #[test]
    fn it_asks_so_often_and_no_more() {
        let runs = Cell::new(0);
        let deep = Plan { deals: 100_000, ..large() };
        shrink(&deep, |_| {
            runs.set(runs.get() + 1);
            false
        });
        assert_eq!(runs.get(), MOST_RUNS);
    }

    #[test]
    fn an_even_number_of_nodes_stays_even() {
        let small = shrink(&Plan { nodes: 8, ..large() }, |_| true);
        assert_eq!(small.nodes, 4);
        assert_eq!(shrink(&Plan { nodes: 2, ..large() }, |_| true).nodes, 2);
    }
}
