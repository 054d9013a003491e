//! Times quorlock side by side with others that take the same locks: `quorlock-bench --help`. The command line, the order of
//! rounds, and the progress live here; what is timed in `workload`, who in `contender`, how in `host.rs` and `cell.rs`.

mod cell;
mod contender;
mod host;
mod load;
mod options;
mod report;
mod servers;
mod stats;
mod usage;
mod workload;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

use self::contender::Name;
use self::options::{CELL, Options};
use self::report::Record;
use self::workload::Case;

/// Whatever goes wrong ends the program, or one contender's turn, with a message.
pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quorlock-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Outcome {
    let mut arguments = std::env::args().skip(1);
    if let (Some(CELL), Some(job)) = (arguments.next().as_deref(), arguments.next()) {
        return cell::run(&job).await;
    }
    let options = Options::parse();
    let cases = chosen(&options)?;
    if options.list {
        list(&cases);
        return Ok(());
    }
    print!("{}", measure(&cases, &options).await?);
    Ok(())
}

/// The cases that are wanted, with the contenders that are wanted.
fn chosen(options: &Options) -> Outcome<Vec<Case>> {
    let mut cases = workload::all(options.scale());
    for wanted in &options.only {
        if !cases.iter().any(|case| case.workload == wanted) {
            return Err(format!("no workload is called {wanted}: see --list").into());
        }
    }
    cases.retain(|case| {
        options.only.is_empty() || options.only.iter().any(|wanted| case.workload == wanted)
    });
    if !options.contenders.is_empty() {
        for case in &mut cases {
            case.contenders.retain(|name| options.contenders.contains(name));
        }
        cases.retain(|case| !case.contenders.is_empty());
    }
    if cases.is_empty() {
        Err("none of these contenders can do any of that".into())
    } else {
        Ok(cases)
    }
}

fn list(cases: &[Case]) {
    for case in cases {
        let names: Vec<_> = case.contenders.iter().map(ToString::to_string).collect();
        println!("{:<11} {:<24} {}", case.workload, case.name, names.join(" "));
    }
}

/// Round after round, so that what the machine does besides meets everybody. Files are written after each: whoever ends this
/// before its end has them. Returns the table.
async fn measure(cases: &[Case], options: &Options) -> Outcome<String> {
    let rounds = options.rounds();
    let total: usize = cases.iter().map(|case| case.contenders.len() * rounds).sum();
    let bar = progress(total);
    let mut records = Vec::with_capacity(total);
    let mut table = String::new();
    for round in 0..rounds {
        for case in cases {
            for contender in turn(&case.contenders, round) {
                bar.set_message(format!("{}/{}/{contender}", case.workload, case.name));
                let outcome = host::play(case, contender).await;
                if let Err(why) | Ok((_, Some(why))) = &outcome {
                    bar.suspend(|| eprintln!("{}/{}/{contender}: {why}", case.workload, case.name));
                }
                records.push(Record::new(case, contender, round, outcome));
                bar.inc(1);
            }
        }
        table = report::write(options, cases, round + 1, &records)?;
    }
    bar.finish_and_clear();
    Ok(table)
}

/// Every other round the other way round: who comes after whom must not decide.
fn turn(contenders: &[Name], round: usize) -> Vec<Name> {
    let forward = contenders.iter().copied();
    if round.is_multiple_of(2) { forward.collect() } else { forward.rev().collect() }
}

fn progress(total: usize) -> ProgressBar {
    let bar = ProgressBar::new(total as u64);
    let style = ProgressStyle::with_template("[{elapsed_precise}] {bar:40} {pos}/{len} {msg}");
    // The template is a constant; without it there is the usual bar.
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
