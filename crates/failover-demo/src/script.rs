//! Plays the steps one after another, and says of each what was expected and what was seen. The steps live in `steps`.

use std::time::Duration;

use futures::future::LocalBoxFuture;

use crate::{error::Result, options::TTL, stage::Stage, steps::STEPS};

/// The shortest that a step may be told to take: less shows nothing.
const SHORTEST: Duration = Duration::from_millis(500);

/// One step of the script.
pub(crate) struct Step {
    /// What happens, in a few words.
    pub(crate) name: &'static str,
    /// What is promised.
    pub(crate) expected: &'static str,
    /// Its part of the whole length.
    pub(crate) share: u32,
    /// Makes it happen, for about that long, and says what was seen. An error is what was not expected.
    pub(crate) play: fn(&mut Stage, Duration) -> LocalBoxFuture<'_, Result<Seen>>,
}

/// What a step has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// What was promised.
    AsExpected(String),
    /// Something else.
    Otherwise(String),
    /// Nothing: the step is not possible here, for that reason.
    Skipped(String),
}

/// A step that is over.
#[derive(Clone, Debug)]
pub(crate) struct Played {
    pub(crate) name: &'static str,
    pub(crate) expected: &'static str,
    pub(crate) seen: Seen,
    /// Its begin and its end.
    pub(crate) span: (Duration, Duration),
    /// The longest time in which no worker held the lock.
    pub(crate) unavailable: Duration,
    /// How long acquires took that nobody contended for.
    pub(crate) acquires: Vec<Duration>,
}

/// Plays the whole script.
pub(crate) async fn play(stage: &mut Stage) -> Vec<Played> {
    let shares: u32 = STEPS.iter().map(|step| step.share).sum();
    let mut played = Vec::new();
    for (number, step) in STEPS.iter().enumerate() {
        stage.screen.say(&format!("\n{} of {}: {}", number + 1, STEPS.len(), step.name));
        stage.screen.say(&format!("  expected: {}", step.expected));
        let over = step.perform(stage, (stage.length * step.share / shares).max(SHORTEST)).await;
        stage.screen.say(&format!("  seen:     {}", over.seen.text()));
        stage.screen.say(&format!("  {}", over.seen.verdict()));
        played.push(over);
    }
    played
}

impl Step {
    async fn perform(&self, stage: &mut Stage, time: Duration) -> Played {
        let from = stage.clock.now();
        // Also where a node does not do what it is told: nothing more can be said of this step.
        let seen = (self.play)(stage, time).await;
        let seen = seen.unwrap_or_else(|error| Seen::Otherwise(error.to_string()));
        let until = stage.clock.now();
        Played {
            name: self.name,
            expected: self.expected,
            seen,
            span: (from, until),
            unavailable: stage.unavailable_since(from),
            acquires: stage.probe.between(from, until),
        }
    }
}

impl Seen {
    /// As expected if `fits`, else otherwise: the text says what was seen.
    pub(crate) fn judged(fits: Fit, text: String) -> Self {
        match fits {
            Fit::Good => Self::AsExpected(text),
            Fit::Bad => Self::Otherwise(text),
        }
    }

    /// What was seen.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::AsExpected(text) | Self::Otherwise(text) => text.clone(),
            Self::Skipped(reason) => format!("skipped: {reason}"),
        }
    }

    /// Whether it was as expected; `None` where nothing was seen.
    pub(crate) fn ok(&self) -> Option<bool> {
        match self {
            Self::AsExpected(_) => Some(true),
            Self::Otherwise(_) => Some(false),
            Self::Skipped(_) => None,
        }
    }

    /// The same in a word.
    pub(crate) fn verdict(&self) -> &'static str {
        match self {
            Self::AsExpected(_) => "ok",
            Self::Otherwise(_) => "NOT AS EXPECTED",
            Self::Skipped(_) => "SKIPPED",
        }
    }
}

/// Whether something is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// It is.
    Good,
    /// It is not.
    Bad,
}

impl From<bool> for Fit {
    fn from(good: bool) -> Self {
        if good { Self::Good } else { Self::Bad }
    }
}

/// The longest time in which nobody may hold the lock while a majority is there: what a lease takes to run out that
/// nobody can give back, and a quarter of that until a waiting worker sees it.
pub(crate) const AVAILABLE_WITHIN: Duration = TTL.saturating_add(Duration::from_millis(500));
