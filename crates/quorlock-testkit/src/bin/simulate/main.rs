//! Runs simulations of the lock from seeds, many at a time, reports what was counted, and shows what failed.
//!
//! `simulate --help` has the options and the exit codes.

mod failure;
mod jobs;
mod options;
mod report;
mod trial;
mod watch;

use std::ops::ControlFlow;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use self::failure::Show;
use self::options::Options;
use self::report::{Report, Tally};
use self::watch::Watch;

const EXIT_FAILED: u8 = 1;
/// As for bad usage: a file could not be written.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let options = Options::read();
    watch::keep_panics_quiet(options.verbose);
    // One place more than jobs, for what is run after them.
    let watch = Arc::new(Watch::new(options.jobs() + 1, options.patience()));
    let looks = Arc::clone(&watch);
    thread::spawn(move || looks.look());
    let (begun, mut tally) = (Instant::now(), Tally::default());
    jobs::run(&options, &watch, |place, verdict| {
        tally.add(place, verdict);
        let over = options.fail_fast && tally.first.is_some();
        if over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let report = Report { options: &options, tally: &tally, took: begun.elapsed() };
    print!("{report}");
    let doubts = report.doubts();
    let show = Show { options: &options, watch: &watch, place: options.jobs() };
    if let Err(error) = show.all(&tally) {
        eprintln!("simulate: {error}");
        return ExitCode::from(EXIT_USAGE);
    }
    println!("\ndigest: {}", tally.digest());
    match tally.first.and_then(|place| Some((place, options.seeds.get(place)?))) {
        None => {
            println!("first failure: none (after {} seeds)", tally.seeds);
            doubts
                .iter()
                .for_each(|doubt| println!("the simulation does not do its work: {doubt}"));
            if doubts.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) }
        }
        Some((place, seed)) => {
            println!("first failure: seed {seed} (after {} seeds)", place + 1);
            ExitCode::from(EXIT_FAILED)
        }
    }
}
