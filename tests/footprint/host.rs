//! The process in which the nodes live: starts the one that is measured, passes its figures on, and does the faults that
//! it asks for. Measures nothing.

use std::process::Stdio;

use quorlock_testkit::Cluster;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use crate::Outcome;
use crate::console::PLEASE;
use crate::plan::{Plan, on};

/// The first argument of the process that is measured.
pub(crate) const MEASURE: &str = "measure";

const NODES: usize = 5;
const ALL: [&str; 4] = ["held", "waiters", "frozen", "slope"];

/// Measures each scenario in a process of its own, on nodes of its own.
pub(crate) async fn run(plan: &Plan) -> Outcome {
    let all: Vec<_> = ALL.iter().map(ToString::to_string).collect();
    let scenarios = if plan.scenarios.is_empty() { &all } else { &plan.scenarios };
    for scenario in scenarios {
        let cluster = Cluster::builder(NODES).unpooled().start().await?;
        on(cluster.urls()).build()?.bootstrap().await?;
        measure(scenario, &cluster).await?;
    }
    Ok(())
}

async fn measure(scenario: &str, cluster: &Cluster) -> Outcome {
    let options = std::env::args().skip_while(|arg| !arg.starts_with("--"));
    let mut child = Command::new(std::env::current_exe()?)
        .args([MEASURE, scenario])
        .args(cluster.urls())
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut stdin = child.stdin.take().ok_or("its input is piped")?;
    let stdout = child.stdout.take().ok_or("its output is piped")?;
    let mut lines = BufReader::new(stdout).lines();
    while let Some(line) = lines.next_line().await? {
        let Some(fault) = line.strip_prefix(PLEASE) else {
            println!("{scenario}.{line}");
            continue;
        };
        let node = cluster.node(NODES - 1);
        match fault {
            "freeze" => node.pause().await?,
            "thaw" => node.resume().await?,
            other => return Err(format!("no fault is called {other}").into()),
        }
        stdin.write_all(b"done\n").await?;
    }
    let status = child.wait().await?;
    if status.success() { Ok(()) } else { Err(format!("{scenario}: {status}").into()) }
}
