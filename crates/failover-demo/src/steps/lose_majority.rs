//! So many nodes freeze that a majority is gone: a holder has to hear it in time, and whoever asks has to be told why.

use std::time::Duration;

use super::{
    linger,
    majority_gone::{self, LOST_WITHIN},
};
use crate::{error::Result, nodes::Condition, script::Seen, stage::Stage};

pub(super) async fn play(stage: &mut Stage, time: Duration) -> Result<Seen> {
    if let Some(reason) = stage.nodes.why_not_freeze() {
        return Ok(Seen::Skipped(reason));
    }
    let begun = tokio::time::Instant::now();
    let (mut holder, mut asker) = (stage.client("holder"), stage.client("asker"));
    let mut holding = holder.lock("witness", LOST_WITHIN).await?;
    freeze_majority(stage, time.max(LOST_WITHIN)).await?;
    let since = stage.clock.now();
    let heard = majority_gone::listen(&mut holding, &mut asker).await;
    // A majority is gone: a release cannot succeed, and every node is owed one.
    holding.release().await.ok();
    linger(begun, time).await;
    Ok(match (heard.judge(), taken_since(stage, since)) {
        (Seen::AsExpected(text), 0) => Seen::AsExpected(text),
        (seen, taken) => Seen::Otherwise(format!("{}; {taken} turns of workers", seen.text())),
    })
}

/// Freezes as many living nodes as it takes.
async fn freeze_majority(stage: &Stage, at_most: Duration) -> Result<()> {
    let conditions = stage.nodes.conditions().get();
    let living: Vec<usize> =
        (0..conditions.len()).filter(|index| conditions[*index] == Condition::Up).collect();
    let frozen = (living.len() + 1).saturating_sub(stage.nodes.quorum());
    for index in living.into_iter().take(frozen) {
        stage.nodes.freeze(index, at_most).await?;
    }
    Ok(())
}

/// How many leases the workers got for which they asked after that moment.
fn taken_since(stage: &Stage, since: Duration) -> usize {
    stage.holds().iter().filter(|hold| hold.asked > since).count()
}
