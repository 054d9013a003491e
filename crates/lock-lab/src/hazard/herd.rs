//! Many wait for one lock: what one change of hands costs, in commands.

use futures::future::{LocalBoxFuture, join_all};
use quorlock_testkit::Node;

use super::{Hazard, LASTS};
use crate::error::{Error, Result};
use crate::recipe::Servers;
use crate::stage::{Needs, Stage};
use crate::verdict::Verdict;

const WAITERS: usize = 8;

pub(super) struct Herd;

impl Hazard for Herd {
    fn name(&self) -> &'static str {
        "herd"
    }

    fn title(&self) -> &'static str {
        "eight wait for one lock: commands until the next one has it, each trying once before and once after"
    }

    fn needs(&self) -> Needs {
        LASTS
    }

    fn play<'a>(&'a self, stage: &'a Stage) -> LocalBoxFuture<'a, Result<Verdict>> {
        Box::pin(async move {
            let mut holder = stage.client("A").await?;
            holder.acquire().await?;
            let mut waiters = Vec::new();
            for number in 0..WAITERS {
                waiters.push(stage.client(&format!("W{number}")).await?);
            }
            let before = commands(stage).await?;
            for waiter in &mut waiters {
                waiter.acquire().await?;
            }
            holder.release().await?;
            let mut holders = 0;
            for waiter in &mut waiters {
                holders += usize::from(waiter.acquire().await?);
            }
            if holders != 1 {
                return Err(Error::Scene(format!("one of them gets it, not {holders}")));
            }
            let sent: u64 = match stage.about.servers {
                Servers::Five => commands(stage).await? - before,
                _ => waiters.iter().chain([&holder]).map(|client| client.seat().sent()).sum(),
            };
            let per = if stage.about.servers == Servers::Five { ", over five nodes" } else { "" };
            Ok(Verdict::Counted(sent, format!("commands for one change of hands among eight{per}")))
        })
    }
}

/// What the nodes were asked about locks so far. Keys of what asks are not counted.
pub(super) async fn commands(stage: &Stage) -> Result<u64> {
    let counts = join_all(stage.nodes().iter().map(counted)).await;
    counts.into_iter().sum()
}

const OF_LOCKS: [&str; 8] = ["set", "get", "eval", "evalsha", "del", "delex", "delifeq", "pexpire"];

async fn counted(node: &Node) -> Result<u64> {
    if let Some(embedded) = node.embedded() {
        return Ok(embedded.commands());
    }
    let answer = node.command(&["INFO", "commandstats"]).await?;
    let stats: String = redis::from_redis_value(answer).map_err(redis::RedisError::from)?;
    Ok(stats.lines().filter_map(calls).sum())
}

/// Of a line `cmdstat_set:calls=3,usec=...`.
fn calls(line: &str) -> Option<u64> {
    let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
    OF_LOCKS.contains(&name).then(|| rest.split(',').next()?.parse().ok())?
}
