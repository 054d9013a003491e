//! Promise G7 in bytes and tasks: what held locks, waiters and a frozen node cost has a bound, and is given back. What is
//! measured, and how, is `tests/footprint`, which runs as a process of its own; here is what must be true of it.
//!
//! The bounds are twice what was measured (`docs/performance.md`) or more: they are for any kind of nodes and any load.

use std::collections::BTreeMap;
use std::process::Command;

/// What may be left of the largest burst, in buffers, when all is at rest.
const BUFFERS: f64 = 1.2e6;

/// What the runtime and this program may keep of a handle that is gone.
const CLOSED: f64 = 1e5;

/// The figures of one scenario, by their names.
struct Figures(BTreeMap<String, f64>);

impl Figures {
    fn measure(scenario: &str, options: &[&str]) -> Self {
        let output = Command::new(env!("CARGO_BIN_EXE_quorlock-footprint"))
            .arg(scenario)
            .args(options)
            .output()
            .expect("cargo has built it");
        let said = String::from_utf8_lossy(&output.stdout);
        // Shown where the test fails, or with `--nocapture`.
        println!("{said}{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{}", output.status);
        let figure = |line: &str| {
            let (name, value) = line.strip_prefix(scenario)?.strip_prefix('.')?.split_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        let figures = Self(said.lines().filter_map(figure).collect());
        figures.is_at_most("bytes_closed", CLOSED);
        figures
    }

    #[track_caller]
    fn of(&self, name: &str) -> f64 {
        *self.0.get(name).unwrap_or_else(|| panic!("no figure is called {name}"))
    }

    #[track_caller]
    fn is_at_most(&self, name: &str, bound: f64) {
        let value = self.of(name);
        assert!(value <= bound, "{name} is {value}, above {bound}");
    }
}

/// For a lock and its release on five nodes, with two of this program's own.
const ALLOCATIONS: f64 = 17.0;

#[test]
fn g7_a_held_lock_costs_no_task_and_at_most_one_kilobyte_and_gives_them_back() {
    let options = ["--locks", "10000", "--ttl", "900", "--hold", "0"];
    let figures = Figures::measure("held", &options);
    figures.is_at_most("guard_bytes", 64.0);
    figures.is_at_most("bytes_per_lock", 1024.0);
    assert_eq!(figures.of("tasks_per_lock"), 0.0);
    figures.is_at_most("bytes_left", BUFFERS);
    assert_eq!(figures.of("tasks_left"), 0.0);
    // An extend leaves nothing behind, and neither do ten thousand locks that were given back.
    let locks = figures.of("locks");
    let first = figures.of("bytes_per_lock");
    figures.is_at_most("bytes_per_lock_extended", first + BUFFERS / locks);
    figures.is_at_most("bytes_per_lock_second_time", first + BUFFERS / locks);
    figures.is_at_most("bytes_left_second_time", BUFFERS);
}

#[test]
fn g7_a_waiter_costs_the_task_that_waits_and_less_than_four_kilobytes() {
    let figures = Figures::measure("waiters", &["--waiters", "1000", "--hold", "0"]);
    figures.is_at_most("bytes_per_waiter", 4096.0);
    assert_eq!(figures.of("tasks_per_waiter"), 1.0);
    figures.is_at_most("bytes_left", BUFFERS);
    assert_eq!(figures.of("tasks_left"), 0.0);
}

/// By default for as long as the locks take; `QUORLOCK_FROZEN_SECONDS=60` freezes it for a minute.
#[test]
fn g7_what_a_frozen_node_costs_does_not_grow_with_the_locks_and_is_given_back() {
    let seconds = std::env::var("QUORLOCK_FROZEN_SECONDS").unwrap_or_else(|_| "0".to_owned());
    let figures = Figures::measure("frozen", &["--cycles", "5000", "--frozen", &seconds]);
    // A release that is owed is less than a kilobyte: room for 4096 of them, and for the buffers.
    figures.is_at_most("bytes_first", 4096.0 * 1024.0 + BUFFERS);
    // Before it is given up, 8192 commands may wait for its answers, each with a task and its part of a round.
    figures.is_at_most("bytes_most", 8192.0 * 8192.0);
    figures.is_at_most("tasks_most", 2.0 * 8192.0);
    let (first, last) = (figures.of("cycles_first"), figures.of("cycles_last"));
    assert!(last >= 4.0 * first, "{last} locks after {first}");
    // Nothing per lock: buffers still grow, and not without end.
    let growth = (128.0 * (last - first)).min(2.0 * BUFFERS);
    figures.is_at_most("bytes_last", figures.of("bytes_first") + growth);
    figures.is_at_most("bytes_left", BUFFERS / 2.0);
    assert_eq!(figures.of("tasks_left"), 0.0);
}

#[test]
fn g7_locks_that_were_given_back_leave_nothing() {
    let figures = Figures::measure("slope", &["--slope", "0", "--batches", "40"]);
    figures.is_at_most("cycles_failed", 0.0);
    figures.is_at_most("bytes_most", BUFFERS);
    // Less than a token, a question or a task. Buffers that still grow are in it: by hand, for longer, it comes near zero.
    let surely = figures.of("bytes_per_cycle") - figures.of("bytes_per_cycle_error");
    assert!(surely <= 64.0, "at least {surely} bytes stay of every lock");
    // Does not depend on how fast or loaded the machine is: what makes it grow has to be meant. docs/performance.md has the list.
    figures.is_at_most("allocations_per_cycle", ALLOCATIONS);
}
