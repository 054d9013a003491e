//! So many nodes freeze that a majority is gone: a holder has to hear it in time, and whoever asks has to be told why.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::linger;
use crate::{
    error::Result,
    holding::{Client, Loss},
    nodes::Condition,
    options::TTL,
    record::Record,
    script::Seen,
    stage::Stage,
};

/// How long the one who asks is ready to wait.
const WAIT_FOR: Duration = Duration::from_secs(1);
/// What an acquire may take beyond that: its last round ends within its own limit, which is far below a TTL.
const ROUND_WITHIN: Duration = TTL;
/// How long "lost" is waited for. It is due before one TTL is over.
const LOST_WITHIN: Duration = Duration::from_secs(6);

pub(super) async fn play(stage: &mut Stage, time: Duration) -> Result<Seen> {
    if let Some(reason) = stage.nodes.why_not_freeze() {
        return Ok(Seen::Skipped(reason));
    }
    let begun = tokio::time::Instant::now();
    let (mut holder, mut asker) = (stage.client("holder"), stage.client("asker"));
    let mut holding = holder.lock(&stage.resource("witness"), LOST_WITHIN).await?;
    freeze_majority(stage, time.max(LOST_WITHIN)).await?;
    let since = stage.clock.now();
    let resource = stage.resource("vain");
    let (lost, refused) =
        tokio::join!(timeout(LOST_WITHIN, holding.lost()), ask(&mut asker, &resource));
    // A majority is gone: a release cannot succeed, and every node is owed one.
    holding.release().await.ok();
    linger(begun, time).await;
    Ok(judge(lost.ok().as_ref(), refused, taken_since(stage, since)))
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

/// What came of asking for a free lock, and how long it took.
struct Refusal {
    answer: std::result::Result<(), quorlock::Error>,
    took: Duration,
}

async fn ask(asker: &mut Client<Record>, resource: &str) -> Refusal {
    let asked = Instant::now();
    let answer = asker.lock(resource, WAIT_FOR).await.map(drop);
    Refusal { answer, took: asked.elapsed() }
}

/// How many leases the workers got for which they asked after that moment.
fn taken_since(stage: &Stage, since: Duration) -> usize {
    stage.holds().iter().filter(|hold| hold.asked > since).count()
}

fn judge(lost: Option<&Loss>, refused: Refusal, taken: usize) -> Seen {
    let Refusal { answer, took } = refused;
    let (heard, in_time) = match lost {
        None => (format!("the holder heard nothing within {LOST_WITHIN:?}"), false),
        Some(loss) => heard(loss),
    };
    let (why, failed) = match &answer {
        Ok(()) => ("somebody got a lock".to_owned(), false),
        Err(error) => (error.to_string(), matches!(error, quorlock::Error::NoQuorum { .. })),
    };
    let bounded = took <= WAIT_FOR + ROUND_WITHIN;
    let text = format!(
        "{heard}; an acquire that was to wait {} ms failed after {} ms: {why}; {taken} turns of workers",
        WAIT_FOR.as_millis(),
        took.as_millis()
    );
    Seen::judged((in_time && failed && bounded && taken == 0).into(), text)
}

fn heard(Loss { at, lag, deadline }: &Loss) -> (String, bool) {
    match deadline.checked_sub(*at) {
        Some(early) => (
            format!("the holder heard \"lost\" {} ms before its validity ended", early.as_millis()),
            true,
        ),
        None => {
            let late = at.saturating_sub(*deadline);
            let text =
                format!("the holder heard \"lost\" {late:?} late (the machine's timers: {lag:?})");
            (text, late <= *lag)
        }
    }
}
