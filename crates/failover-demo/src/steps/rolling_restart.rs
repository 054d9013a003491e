//! Every node dies and comes back empty, one after the other, while one guard is held: after each restart the guard's
//! keeper gives the node its key again.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{linger, went_on};
use crate::{
    error::Result,
    options::TTL,
    script::Seen,
    stage::{LOOK_EVERY, Stage},
};

/// How long taking the guard may take.
const TAKEN_WITHIN: Duration = Duration::from_secs(5);
/// How long a node stays away at least: longer than any round, so that no vote from before its death is still counted.
const AWAY: Duration = Duration::from_millis(300);
/// How long the keeper may take to give a node its key again. It extends at a third of the TTL.
const REPAIRED_WITHIN: Duration = TTL.saturating_mul(3);

pub(super) async fn play(stage: &mut Stage, time: Duration) -> Result<Seen> {
    if let Some(reason) = stage.nodes.why_not_kill() {
        return Ok(Seen::Skipped(reason));
    }
    let (begun, since) = (Instant::now(), stage.clock.now());
    let (mut holder, resource) = (stage.client("survivor"), stage.resource("survivor"));
    let mut holding = holder.lock(&resource, TAKEN_WITHIN).await?;
    let restarted = tokio::select! {
        biased;
        _ = holding.lost() => Err("the guard said \"lost\"".into()),
        restarted = restart_all(stage, &resource) => restarted,
    };
    let valid = holding.is_valid();
    let released = holding.release().await;
    // Where a restart was broken off half way.
    stage.nodes.heal().await?;
    linger(begun, time).await;
    Ok(match (restarted, valid, released, went_on(stage, since)) {
        (Err(error), ..) => Seen::Otherwise(error.to_string()),
        (Ok(_), false, ..) => Seen::Otherwise("the guard was no longer valid".to_owned()),
        (Ok(_), _, Err(error), _) => Seen::Otherwise(format!("the release failed: {error}")),
        (Ok(slowest), _, Ok(_), Seen::AsExpected(text)) => Seen::AsExpected(format!(
            "one guard outlived the restart of all {} nodes, each had its key again within {} ms; {text}",
            stage.nodes.count(),
            slowest.as_millis()
        )),
        (.., otherwise) => otherwise,
    })
}

/// Restarts one node after another, and says what the slowest repair took.
async fn restart_all(stage: &Stage, resource: &str) -> Result<Duration> {
    let mut slowest = Duration::ZERO;
    // Nodes that had just come back get the key with the first extend; until then a bare majority may hold it, which no
    // node may be taken from.
    let mut token = String::new();
    for index in 0..stage.nodes.count() {
        token = until_kept(stage, index, resource, None).await?.0;
    }
    for index in 0..stage.nodes.count() {
        stage.nodes.kill(index).await?;
        until_nobody_relies_on_it(stage).await;
        stage.nodes.heal_one(index).await?;
        let (_, took) = until_kept(stage, index, resource, Some(&token)).await?;
        slowest = slowest.max(took);
    }
    Ok(slowest)
}

/// Waits until every lease is over to which the dead node may have been needed. A node that came back earlier, and
/// empty, could help to grant such a lease twice: the published algorithm asks for restarts that are late enough, and
/// this demo needs not wait for a whole TTL, for it knows who holds what.
async fn until_nobody_relies_on_it(stage: &Stage) {
    let died = stage.clock.now();
    sleep(AWAY).await;
    let (workers, until) = (stage.crew.names(), Instant::now() + TTL);
    while !stage.record.all_over(&workers, died + AWAY) && Instant::now() < until {
        sleep(LOOK_EVERY).await;
    }
}

/// Waits until a node holds the guard's key, with that value if one is given. Says which value, and how long it took.
async fn until_kept(
    stage: &Stage,
    index: usize,
    resource: &str,
    token: Option<&str>,
) -> Result<(String, Duration)> {
    let begun = Instant::now();
    while begun.elapsed() < REPAIRED_WITHIN {
        match stage.nodes.value(index, resource).await? {
            Some(other) if token.is_some_and(|token| token != other) => {
                return Err(format!("node-{index} has the key of another lease").into());
            }
            Some(value) => return Ok((value, begun.elapsed())),
            None => sleep(LOOK_EVERY).await,
        }
    }
    Err(format!("node-{index} did not have the guard's key within {REPAIRED_WITHIN:?}").into())
}
