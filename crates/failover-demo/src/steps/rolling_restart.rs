//! Every node dies and comes back empty, one after the other, while one guard is held: after each restart the guard's
//! keeper gives the node its key again.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    give_back, linger,
    repairs::{TAKEN_WITHIN, until_everywhere, until_kept},
    went_on,
};
use crate::{error::Result, script::Seen, stage::Stage};

/// What is locked.
const RESOURCE: &str = "survivor";

pub(super) async fn play(stage: &mut Stage, time: Duration) -> Result<Seen> {
    if let Some(reason) = stage.nodes.why_not_kill() {
        return Ok(Seen::Skipped(reason));
    }
    let (begun, since) = (Instant::now(), stage.clock.now());
    let mut holder = stage.client("survivor");
    let mut holding = holder.lock(RESOURCE, TAKEN_WITHIN).await?;
    let restarted = tokio::select! {
        biased;
        loss = holding.lost() => Err(loss.to_string().into()),
        restarted = restart_all(stage) => restarted,
    };
    let valid = holding.is_valid();
    let released = give_back(holding).await;
    // Where a restart was broken off half way.
    stage.nodes.heal().await?;
    linger(begun, time).await;
    Ok(match (restarted, valid, released, went_on(stage, since)) {
        (Err(error), ..) => Seen::Otherwise(error.to_string()),
        (Ok(_), false, ..) => Seen::Otherwise("the guard was no longer valid".to_owned()),
        (Ok(_), _, Err(error), _) => Seen::Otherwise(format!("the release failed: {error}")),
        (Ok(slowest), _, Ok(()), Seen::AsExpected(text)) => Seen::AsExpected(format!(
            "one guard outlived the restart of all {} nodes, each had its key again within {} ms; {text}",
            stage.nodes.count(),
            slowest.as_millis()
        )),
        (.., otherwise) => otherwise,
    })
}

/// Restarts one node after another, and says what the slowest repair took.
async fn restart_all(stage: &Stage) -> Result<Duration> {
    let mut slowest = Duration::ZERO;
    // Nodes that had just come back get the key with the first extend; until then a bare majority may hold it, which no
    // node may be taken from.
    let token = until_everywhere(stage, RESOURCE).await?;
    for index in 0..stage.nodes.count() {
        // So many that the workers can spare one: the node before this one may still not vote.
        stage.until_voting(stage.nodes.quorum() + 1).await?;
        stage.nodes.kill(index).await?;
        stage.nodes.heal_one(index).await?;
        let (_, took) = until_kept(stage, index, RESOURCE, Some(&token)).await?;
        slowest = slowest.max(took);
    }
    Ok(slowest)
}
