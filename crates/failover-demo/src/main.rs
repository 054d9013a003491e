//! The failover demo: five nodes, several worker processes, one lock, and a script of faults that it has to survive.
//! This file is the table of contents; everything happens in the modules.

mod attached;
mod clock;
mod crew;
mod error;
mod holding;
mod ledger;
mod nodes;
mod options;
mod probe;
mod reach;
mod record;
mod report;
mod screen;
mod script;
mod signals;
mod stage;
mod stats;
mod steps;
mod worker;

use std::process::ExitCode;

use crate::{error::Result, options::Task, report::Report, signals::Signals, stage::Stage};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("failover-demo: {error}");
            ExitCode::from(2)
        }
    }
}

async fn run() -> Result<ExitCode> {
    let options = match Task::from_arguments() {
        Task::Work => return worker::work().await.map(|()| ExitCode::SUCCESS),
        Task::Demonstrate(options) => options,
    };
    let json = options.json.clone();
    let mut signals = Signals::new()?;
    let mut stage = tokio::select! {
        biased;
        () = signals.interrupted() => return Ok(interrupted()),
        stage = Stage::set(options) => stage?,
    };
    let played = tokio::select! {
        biased;
        () = signals.interrupted() => None,
        played = script::play(&mut stage) => Some(played),
    };
    let left = stage.strike().await;
    let Some(played) = played else {
        left?;
        return Ok(interrupted());
    };
    let report = Report::new(played, left?);
    report.print();
    if let Some(path) = json {
        report.write_json(&path)?;
    }
    Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn interrupted() -> ExitCode {
    eprintln!("failover-demo: interrupted; everything is healed and cleaned up");
    ExitCode::from(130)
}
