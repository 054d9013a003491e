//! The program `simulate` as somebody who runs it sees it; and two hundred seeds, run without it.

use std::process::{Command, Output};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use quorlock_testkit::history::History;
use quorlock_testkit::simulation::{self, Assumptions, Depth, Plan};

fn simulate(arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_simulate"));
    command
        .args(arguments.split_whitespace())
        .output()
        .expect("the program was built with the test")
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn complained(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What is printed, but for the line that may differ.
fn report(output: &Output) -> Vec<String> {
    said(output).lines().filter(|line| !line.starts_with("time: ")).map(str::to_owned).collect()
}

fn accepts_and_repeats(depth: Depth, seeds: &str) {
    let run = |jobs| simulate(&format!("--depth {depth} --seeds {seeds} --jobs {jobs}"));
    let (one, three) = (run(1), run(3));
    assert_eq!(code(&one), Some(0), "{}{}", said(&one), complained(&one));
    assert_eq!(report(&one), report(&three));
    let digest =
        report(&one).into_iter().find_map(|line| line.strip_prefix("digest: ").map(str::len));
    assert_eq!(digest, Some(40), "{}", said(&one));
    assert!(said(&one).contains("\ntime: "), "{}", said(&one));
}

#[test]
fn the_number_of_jobs_changes_nothing_at_the_node_seam() {
    accepts_and_repeats(Depth::Node, "0..12");
}

#[test]
fn the_number_of_jobs_changes_nothing_on_the_wire() {
    accepts_and_repeats(Depth::Wire, "0..12");
}

#[test]
fn every_seed_is_the_same_twice() {
    let twice = simulate("--seeds 20..26 --twice");
    assert_eq!(code(&twice), Some(0), "{}", said(&twice));
    let digest =
        |output: &Output| report(output).into_iter().find(|line| line.starts_with("digest"));
    assert_eq!(digest(&twice), digest(&simulate("--seeds 20..26")));
}

#[test]
fn bad_usage_ends_with_2_and_says_what_would_be_right() {
    for (arguments, hint) in [
        ("--seeds 5..5", "B must be greater than A"),
        ("--seeds 7..2", "B must be greater than A"),
        ("--seeds few", "write A..B"),
        ("--seeds 0..9 --depth sea", "node, wire"),
        ("--seeds 0..9 --faults freeze,thaw", "script-flush"),
        ("--seeds 0..9 --faults client-suspend", "--beyond-assumptions"),
        ("--seeds 0..9 --depth wire --faults duplicate", "--depth wire"),
        ("--seeds 0..9 --jobs 0", "--jobs"),
        ("--seed 1 --nodes 0", "--nodes"),
        ("--seeds 0..9 --history h", "one seed"),
        ("--seed", "--seeds <A..B>"),
    ] {
        let output = simulate(arguments);
        assert_eq!(code(&output), Some(2), "{arguments}: {}", complained(&output));
        assert!(complained(&output).contains(hint), "{arguments}: {}", complained(&output));
        assert_eq!(said(&output), "", "{arguments}");
    }
}

#[test]
fn a_plan_is_accepted_as_it_is_printed() {
    for (seed, assumptions) in [(3, Assumptions::Kept), (4, Assumptions::Broken)] {
        let mut plan = Plan::draw(seed, Depth::Node, assumptions);
        (plan.nodes, plan.clients, plan.deals) = (3, 2, 2);
        let output = simulate(&plan.to_string());
        assert_eq!(code(&output), Some(0), "{}{}", said(&output), complained(&output));
        // One seed is drawn, with the command that runs it again.
        assert!(said(&output).contains(&format!("-- {plan}\n")), "{}", said(&output));
        assert!(said(&output).contains("c0.w0"), "{}", said(&output));
    }
}

#[test]
fn one_seed_is_written_as_a_history_and_as_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let (lines, picture) = (folder.path().join("lines"), folder.path().join("page.html"));
    let (history, html) = (lines.display(), picture.display());
    let output = simulate(&format!("--seed 3 --history {history} --html {html}"));
    assert_eq!(code(&output), Some(0), "{}", complained(&output));
    let written = std::fs::read(lines).unwrap();
    let plan = Plan::draw(3, Depth::Node, Assumptions::Kept);
    let expected = simulation::run(&plan).history;
    assert_eq!(History::read_lines(written.as_slice()).unwrap().events(), expected.events());
    assert!(std::fs::read_to_string(picture).unwrap().contains("</svg>"));
    let nowhere = folder.path().join("no/folder");
    assert_eq!(code(&simulate(&format!("--seed 3 --html {}", nowhere.display()))), Some(2));
}

#[test]
fn what_is_stuck_in_real_time_is_told_with_its_seed() {
    let output = simulate("--seeds 0..1000000 --patience 0");
    assert_eq!(code(&output), Some(3), "{}", said(&output));
    assert!(complained(&output).contains("simulate -- --depth node --seed "));
}

/// What the mutants are run against: cheap, and with the plan of a seed that fails.
#[test]
fn two_hundred_seeds_at_the_node_seam_break_no_promise() {
    let next = AtomicU64::new(0);
    let run = || {
        let mut failed = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= 200 {
                return failed;
            }
            let plan = Plan::draw(seed, Depth::Node, Assumptions::Kept);
            let findings = simulation::run(&plan).findings;
            if let Some(first) = findings.first() {
                failed.push(format!("simulate {plan}\n    {first}"));
            }
        }
    };
    let jobs = thread::available_parallelism().map_or(1, usize::from);
    let failed: Vec<String> = thread::scope(|scope| {
        let jobs: Vec<_> = (0..jobs).map(|_| scope.spawn(run)).collect();
        jobs.into_iter().flat_map(|job| job.join().expect("a panic was printed")).collect()
    });
    assert!(failed.is_empty(), "{} seeds failed:\n{}", failed.len(), failed.join("\n"));
}
