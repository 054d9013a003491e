//! Whether what a call told is true, as far as its caller can see: the promises of the calls, said again from their
//! documentation.

use std::time::{Duration, Instant};

use quorlock::{Error, NodeErrorKind, ReleaseReport};

use super::asking::Had;
use super::finding::Finding;
use super::wish::{Asking, Wish};
use super::worker::{DRIFT_FACTOR, DRIFT_FLOOR, Hold, MS, Worker};

/// Nodes that refuse for good are not waited for, where they alone leave no quorum.
fn is_final(error: &Error) -> bool {
    let Error::NoQuorum { failures, needed, total, .. } = error else { return false };
    let refuse = failures.iter().filter(|failure| failure.kind() == NodeErrorKind::Misconfigured);
    total - refuse.count() < *needed
}

/// A quarantine that is not over in this time is not waited for.
fn outlasts(error: &Error, left: Duration) -> bool {
    matches!(error, Error::Quarantined { ends_in, .. } if *ends_in + MS >= left)
}

impl Worker {
    /// A wait ends without a lock when it is over, and not before.
    pub(super) fn judge_acquire(
        &self,
        wish: &Wish,
        told: Option<&Result<Option<Had>, Error>>,
        took: Duration,
    ) {
        match (wish.asking, told) {
            (Asking::Waiting(wait), Some(Err(error)))
                if took < wait && !is_final(error) && !outlasts(error, wait - took) =>
            {
                self.untrue(format!("a wait of {wait:?} ended after {took:?}: {error}"));
            }
            (Asking::Once, Some(Err(Error::Held { .. })))
            | (Asking::Waiting(_), Some(Ok(None))) => {
                self.untrue("an answer to another question".to_owned());
            }
            (_, Some(Err(error))) => self.judge_error(error),
            (_, None | Some(Ok(_))) => {}
        }
    }

    /// An extend that came through has moved the deadline as far as it was asked to, and the lock is held.
    pub(super) fn judge_extend(
        &self,
        hold: &Hold,
        told: &Result<(), Error>,
        asked_at: Instant,
        ttl: Duration,
    ) {
        let valid = hold.guard.is_valid();
        match told {
            Ok(()) if !valid => self.untrue("extended, and not valid".to_owned()),
            Ok(()) => {
                let least = ttl.mul_f64(1.0 - DRIFT_FACTOR).saturating_sub(DRIFT_FLOOR + MS);
                let until = hold.guard.valid_until();
                let short = until.is_none_or(|until| until < asked_at + least);
                // Not beyond the maximum hold time, which `look` holds it to.
                if short && hold.longest.is_none() {
                    self.untrue(format!("extended for {ttl:?}, and not valid for so long"));
                }
            }
            Err(Error::Lost { .. }) if valid => self.untrue("lost, and valid".to_owned()),
            Err(error) => self.judge_error(error),
        }
    }

    /// It says whether the lock was still held.
    pub(super) fn judge_release(
        &self,
        was_valid: bool,
        told: Option<&Result<ReleaseReport, Error>>,
    ) {
        match told {
            Some(Err(Error::Lost { .. })) if was_valid => {
                self.untrue("released as lost, and it was valid".to_owned());
            }
            Some(Ok(_)) if !was_valid => {
                self.untrue("released, and not said that it was lost".to_owned());
            }
            Some(Err(Error::Lost { .. }) | Ok(_)) | None => {}
            Some(Err(error)) => self.untrue(format!("a release failed without a reason: {error}")),
        }
    }

    fn judge_error(&self, error: &Error) {
        match error {
            Error::Held { .. }
            | Error::NoQuorum { .. }
            | Error::Quarantined { .. }
            | Error::TooLate { .. }
            | Error::Lost { .. } => {}
            other => self.untrue(format!("told without a reason: {other}")),
        }
    }

    fn untrue(&self, what: String) {
        let (worker, at) = (self.name.clone(), self.record.now());
        self.record.found(Finding::Untrue { worker, what, at });
    }
}
