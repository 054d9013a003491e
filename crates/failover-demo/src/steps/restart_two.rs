//! As many nodes as can be spared come back empty, one directly after the other, while a guard is held and a rival asks for
//! it without a pause: nodes that may have forgotten the guard do not vote, and are given its key again.

use std::time::Duration;

use quorlock::Standing;
use tokio::time::{Instant, sleep};

use super::{
    give_back, linger,
    repairs::{TAKEN_WITHIN, until_everywhere, until_kept},
    went_on,
};
use crate::{error::Result, holding::Client, record::Record, script::Seen, stage::Stage};

/// What is locked.
const RESOURCE: &str = "coveted";
/// The rival's only rest.
const PAUSE: Duration = Duration::from_millis(1);

pub(super) async fn play(stage: &mut Stage, time: Duration) -> Result<Seen> {
    if let Some(reason) = stage.nodes.why_not_kill() {
        return Ok(Seen::Skipped(reason));
    }
    let (begun, since) = (Instant::now(), stage.clock.now());
    stage.until_voting(stage.nodes.count()).await?;
    let mut rival = stage.client_on("rival", stage.reach.handle()?);
    let (mut holder, mut rivalry) = (stage.client("coveted"), Rivalry::default());
    let mut holding = holder.lock(RESOURCE, TAKEN_WITHIN).await?;
    // Where its key arrives after the guard was had already, a rival could for a moment be there before it.
    let token = until_everywhere(stage, RESOURCE).await?;
    let restarted = tokio::select! {
        biased;
        loss = holding.lost() => Err(loss.to_string().into()),
        () = rivalry.until_won(&mut rival) => Err("the rival got the lock too".into()),
        restarted = restart(stage, &token) => restarted,
    };
    let valid = holding.is_valid();
    let released = give_back(holding).await;
    // Where a restart was broken off half way.
    stage.nodes.heal().await?;
    linger(begun, time).await;
    Ok(match (restarted, valid, released, rivalry.judge(stage), went_on(stage, since)) {
        (Err(error), ..) => Seen::Otherwise(error.to_string()),
        (Ok(_), false, ..) => Seen::Otherwise("the guard was no longer valid".to_owned()),
        (Ok(_), _, Err(error), ..) => Seen::Otherwise(format!("the release failed: {error}")),
        (Ok(repaired), _, Ok(()), Seen::AsExpected(rivalry), Seen::AsExpected(text)) => {
            Seen::AsExpected(format!(
                "the guard was kept, both nodes had its key again within {} ms; {rivalry}; {text}",
                repaired.as_millis()
            ))
        }
        (.., Seen::Otherwise(text), _) | (.., Seen::Otherwise(text)) => Seen::Otherwise(text),
        (.., otherwise) => otherwise,
    })
}

/// Which nodes restart.
fn restarted(stage: &Stage) -> std::ops::Range<usize> {
    0..stage.nodes.count() - stage.nodes.quorum()
}

/// Restarts them, and waits until they have the guard's key again and vote. Says what the slower repair took.
async fn restart(stage: &Stage, token: &str) -> Result<Duration> {
    for index in restarted(stage) {
        stage.nodes.kill(index).await?;
        stage.nodes.heal_one(index).await?;
    }
    let mut slowest = Duration::ZERO;
    for index in restarted(stage) {
        slowest = slowest.max(until_kept(stage, index, RESOURCE, Some(token)).await?.1);
    }
    stage.until_voting(stage.nodes.count()).await?;
    Ok(slowest)
}

/// What became of the one who asks.
#[derive(Debug, Default)]
struct Rivalry {
    denied: usize,
    failed: usize,
    /// Of each node, how often it did not vote, since it may have forgotten locks.
    abstained: Vec<usize>,
}

impl Rivalry {
    /// Asks until there is a yes.
    async fn until_won(&mut self, rival: &mut Client<Record>) {
        loop {
            match rival.try_lock(RESOURCE).await {
                Ok(Some(_)) => return,
                Ok(None) => self.denied += 1,
                Err(_) => self.failed += 1,
            }
            let nodes = rival.nodes();
            self.abstained.resize(nodes.len(), 0);
            for (times, (_, standing)) in self.abstained.iter_mut().zip(&nodes) {
                *times += usize::from(matches!(standing, Standing::Quarantined { .. }));
            }
            sleep(PAUSE).await;
        }
    }

    /// It was denied, and saw that the restarted nodes did not vote.
    fn judge(&self, stage: &Stage) -> Seen {
        let abstained = restarted(stage)
            .map(|index| self.abstained.get(index).copied().unwrap_or_default())
            .collect::<Vec<_>>();
        let text = format!(
            "the rival was denied {} times and failed {} times, and {abstained:?} times the restarted nodes did not vote",
            self.denied, self.failed
        );
        Seen::judged((self.denied > 0 && !abstained.contains(&0)).into(), text)
    }
}
