//! What is heard where a majority is gone: by a holder, and by whoever asks. How it went does not live here.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::{
    holding::{Client, Holding, Loss},
    options::TTL,
    record::Record,
    script::Seen,
};

/// How long the one who asks is ready to wait.
const WAIT_FOR: Duration = Duration::from_secs(1);
/// What an acquire may take beyond that: its last round ends within its own limit, which is far below a TTL.
const ROUND_WITHIN: Duration = TTL;
/// How long "lost" is waited for. It is due before one TTL is over.
pub(super) const LOST_WITHIN: Duration = TTL.saturating_mul(3);

/// What both heard.
pub(super) struct Heard {
    lost: Option<Loss>,
    answer: Result<(), quorlock::Error>,
    took: Duration,
}

/// Lets one ask for a free lock, until the other has heard that his is lost.
pub(super) async fn listen(holding: &mut Holding<'_, Record>, asker: &mut Client<Record>) -> Heard {
    let ask = async {
        let asked = Instant::now();
        let answer = asker.lock("vain", WAIT_FOR).await.map(drop);
        (answer, asked.elapsed())
    };
    let (lost, (answer, took)) = tokio::join!(timeout(LOST_WITHIN, holding.lost()), ask);
    Heard { lost: lost.ok(), answer, took }
}

impl Heard {
    /// "Lost" in time, and a refusal in time that says why.
    pub(super) fn judge(self) -> Seen {
        let Self { lost, answer, took } = self;
        let (lost, in_time) = match &lost {
            None => (format!("the holder heard nothing within {LOST_WITHIN:?}"), false),
            Some(loss) => heard(loss),
        };
        let (why, failed) = match &answer {
            Ok(()) => ("somebody got a lock".to_owned(), false),
            Err(error) => (error.to_string(), matches!(error, quorlock::Error::NoQuorum { .. })),
        };
        let bounded = took <= WAIT_FOR + ROUND_WITHIN;
        let text = format!(
            "{lost}; an acquire that was to wait {} ms failed after {} ms: {why}",
            WAIT_FOR.as_millis(),
            took.as_millis()
        );
        Seen::judged((in_time && failed && bounded).into(), text)
    }
}

fn heard(Loss { at, lag, deadline, .. }: &Loss) -> (String, bool) {
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
