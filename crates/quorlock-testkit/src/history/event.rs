//! One event: a client's operation with its begin, its end and its outcome. No list of them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{nanos, optional_nanos};

/// One thing that one client did or was told.
///
/// Times are offsets from one base instant that all clients of a history share: virtual time, or the host's
/// monotonic clock, which all processes of one machine read alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Who: a name that only this client has in its history.
    pub client: String,
    /// When it began: read before the call.
    #[serde(with = "nanos")]
    pub inv: Duration,
    /// When it was over: read after the call. `None` where nobody knows its outcome: it is open to the right.
    #[serde(with = "optional_nanos", default)]
    pub ret: Option<Duration>,
    /// What it was.
    #[serde(flatten)]
    pub action: Action,
}

/// What an [`Event`] was about. `attempt` is the number of the acquire that it belongs to, counted per client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Action {
    /// The client asked for a resource. A lock on several resources is one event for each, numbered apart.
    Acquire {
        /// Numbers the acquisition.
        attempt: u64,
        /// What was asked for.
        resource: String,
        /// What came of it.
        outcome: Outcome,
    },
    /// The client, or its keeper, prolonged a lease.
    Extend {
        /// Which acquisition.
        attempt: u64,
        /// What came of it.
        outcome: Outcome,
    },
    /// The client gave the resource back. Its begin ends the hold, whatever the nodes answered.
    Release {
        /// Which acquisition.
        attempt: u64,
    },
    /// The guard said that the lock is lost.
    Lost {
        /// Which acquisition.
        attempt: u64,
        /// How late a control timer for the same moment fired: the machine's own fault. Zero without one.
        #[serde(with = "nanos", default)]
        lag: Duration,
    },
    /// The client wrote to the store that the resource protects.
    Write {
        /// Whose store.
        resource: String,
        /// The fencing token that the write carried, if any.
        token: Option<u64>,
        /// What the store said.
        verdict: Verdict,
    },
    /// The client's process ended: whatever it held, it holds no more.
    Died,
}

/// What came of an acquire or an extend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The client may rely on it until the deadline.
    Granted {
        /// The end of the validity.
        #[serde(with = "nanos")]
        deadline: Duration,
        /// The fencing token, where there is one.
        #[serde(default)]
        token: Option<u64>,
    },
    /// The client was told no, or got an error: it does not hold, or no longer than before.
    Refused,
    /// Not known, or not known yet.
    Unknown,
}

/// What a store did with a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Stored.
    Accepted,
    /// Turned away because of its fencing token.
    Refused,
    /// Not known, or not known yet.
    Unknown,
}

impl Event {
    /// An acquire or extend that returned a validity. An event of another kind only gets its end.
    #[must_use]
    pub fn granted(self, ret: Duration, deadline: Duration, token: Option<u64>) -> Self {
        self.returned(ret, Outcome::Granted { deadline, token })
    }

    /// An acquire or extend that returned without one.
    #[must_use]
    pub fn refused(self, ret: Duration) -> Self {
        self.returned(ret, Outcome::Refused)
    }

    /// A release, or a write, that returned.
    #[must_use]
    pub fn done(mut self, ret: Duration) -> Self {
        self.ret = Some(ret);
        self
    }

    /// A write that the store answered.
    #[must_use]
    pub fn answered(mut self, ret: Duration, answer: Verdict) -> Self {
        if let Action::Write { verdict, .. } = &mut self.action {
            *verdict = answer;
        }
        self.done(ret)
    }

    fn returned(mut self, ret: Duration, result: Outcome) -> Self {
        if let Action::Acquire { outcome, .. } | Action::Extend { outcome, .. } = &mut self.action {
            *outcome = result;
        }
        self.done(ret)
    }

    /// The acquisition that it belongs to, unless it is a write or the client's end.
    #[must_use]
    pub fn attempt(&self) -> Option<u64> {
        match &self.action {
            Action::Acquire { attempt, .. }
            | Action::Extend { attempt, .. }
            | Action::Release { attempt }
            | Action::Lost { attempt, .. } => Some(*attempt),
            Action::Write { .. } | Action::Died => None,
        }
    }

    /// One line of JSON, without the line's end.
    ///
    /// # Errors
    ///
    /// A time of more than 584 years.
    pub fn to_line(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    /// Reads what [`to_line`](Self::to_line) wrote.
    ///
    /// # Errors
    ///
    /// The line is not an event.
    pub fn from_line(line: &str) -> serde_json::Result<Self> {
        serde_json::from_str(line)
    }
}
