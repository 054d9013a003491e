//! Many wait for one lock: what one change of hands costs, in commands.

use futures::future::{LocalBoxFuture, join_all};
use quorlock_testkit::Node;

use super::Hazard;
use crate::actor::Actor;
use crate::error::{Error, Result};
use crate::recipe::Servers;
use crate::stage::Stage;
use crate::verdict::Verdict;

const WAITERS: usize = 8;
/// The recipe whose locks are taken by a script.
const FENCED: u8 = 13;

pub(super) struct Herd;

impl Hazard for Herd {
    fn name(&self) -> &'static str {
        "herd"
    }

    fn title(&self) -> &'static str {
        "eight wait for one lock: commands until the next one has it, each trying once before and once after"
    }

    fn play<'a>(&'a self, stage: &'a Stage) -> LocalBoxFuture<'a, Result<Verdict>> {
        Box::pin(async move {
            let mut holder = stage.client("A").await?;
            stage.until_held(&mut holder).await?;
            let mut waiters = Vec::new();
            for number in 0..WAITERS {
                waiters.push(stage.client(&format!("W{number}")).await?);
            }
            // Connected by now, which takes commands of its own.
            for waiter in &mut waiters {
                waiter.acquire().await?;
            }
            let before = commands(stage, waiters.iter().chain([&holder])).await?;
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
            let sent = commands(stage, waiters.iter().chain([&holder])).await? - before;
            let per = if stage.about.servers == Servers::Five {
                ", who poll by `try_lock`, over five nodes"
            } else {
                ""
            };
            Ok(Verdict::Counted(sent, format!("commands for one change of hands among eight{per}")))
        })
    }
}

/// How many commands were sent about locks so far: those of one server by these clients; of five, by anybody, as the nodes count.
pub(crate) async fn commands(
    stage: &Stage,
    clients: impl IntoIterator<Item = &Actor>,
) -> Result<u64> {
    if stage.about.servers != Servers::Five {
        return Ok(clients.into_iter().map(|client| client.seat().sent()).sum());
    }
    let counts = join_all(stage.nodes().iter().map(|node| counted(node, stage.about.number))).await;
    counts.into_iter().sum()
}

/// What the library sends about locks. Servers count what a script does in turn, too, so the `SET` in the script of a fenced lock is
/// left out.
const OF_LOCKS: [&str; 5] = ["set", "eval", "evalsha", "delex", "delifeq"];

pub(super) async fn counted(node: &Node, recipe: u8) -> Result<u64> {
    let which = if recipe == FENCED { &OF_LOCKS[1..] } else { &OF_LOCKS };
    if let Some(embedded) = node.embedded() {
        let log = embedded.log();
        let all = embedded.commands();
        // It keeps the last ones only; setting connections up is then a small part of all.
        if all > u64::try_from(log.len()).unwrap_or(u64::MAX) {
            return Ok(all);
        }
        let of_locks = log.iter().filter(|line| {
            let name = line.split(' ').next().unwrap_or_default();
            which.iter().any(|which| which.eq_ignore_ascii_case(name))
        });
        return Ok(u64::try_from(of_locks.count()).unwrap_or(u64::MAX));
    }
    let answer = node.command(&["INFO", "commandstats"]).await?;
    let stats: String = redis::from_redis_value(answer).map_err(redis::RedisError::from)?;
    Ok(stats.lines().filter_map(|line| calls(line, which)).sum())
}

/// Of a line `cmdstat_set:calls=3,usec=...`.
fn calls(line: &str, which: &[&str]) -> Option<u64> {
    let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
    which.contains(&name).then(|| rest.split(',').next()?.parse().ok())?
}
