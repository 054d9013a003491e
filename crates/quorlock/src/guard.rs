//! The guard: owns a held lease and gives it back. How it is extended and released lives on the floors below.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;

use crate::error::{Error, LostReason};
use crate::fencing::FencingToken;
use crate::handover::Lease;
use crate::held::Held;
use crate::keeper::Kept;
use crate::lease::Terms;
use crate::report::ReleaseReport;
use crate::resources::Resources;
use crate::settings::Settings;

/// A held lock.
///
/// It is extended in the background until the guard is released or dropped (unless asked for
/// [`without_keeper`](crate::LockRequest::without_keeper)), and it can be lost all the same: when too few nodes can be
/// reached for too long. Then [`lost`](Self::lost) resolves before the validity ends, and [`run`](Self::run) drops what
/// it runs.
///
/// Dropping the guard puts the release onto every node's queue before `drop` returns; so the next
/// [`try_lock`](crate::Redlock::try_lock) of the same task on the same handle finds the lock free.
/// [`release`](Self::release) does the same and tells what came of it.
///
/// A guard that is leaked ([`std::mem::forget`], a cycle of references) is never given back: its lock is extended for as long as its
/// runtime lives, or its [`max_hold`](crate::LockRequest::max_hold) lasts.
///
/// A process that is paused does not notice while it is paused: a guard is a lease, not a wall.
#[must_use = "the lock is given back as soon as the guard is dropped"]
#[clippy::has_significant_drop]
pub struct Guard {
    kept: Kept,
    settings: Arc<Settings>,
    /// Whether the release is still to be sent.
    armed: bool,
}

impl Guard {
    pub(crate) fn new(kept: Kept, settings: Arc<Settings>) -> Self {
        Self { kept, settings, armed: true }
    }

    fn held(&self) -> &Arc<Held> {
        &self.kept.held
    }

    /// What is locked.
    pub fn resources(&self) -> &Resources {
        self.held().life.resources()
    }

    pub(crate) fn fencing(&self) -> Option<FencingToken> {
        self.held().terms().fencing.token()
    }

    /// How long the lock is valid from now on if nothing more is heard from the nodes; zero once it is lost.
    pub fn valid_for(&self) -> Duration {
        self.held().life.valid_for()
    }

    /// The deadline of the lock as it stands, on this process's monotonic clock; each extend moves it, and a machine that
    /// was suspended brings it closer. It may have passed. `None` once the lock is lost.
    pub fn valid_until(&self) -> Option<Instant> {
        self.held().valid_until()
    }

    /// Whether the lock is valid now: its deadline is ahead, and its loss has not been told. Reads the clock; asks no node.
    pub fn is_valid(&self) -> bool {
        self.held().life.is_valid()
    }

    /// Waits for the end of the lock: resolves with the reason when it is lost, before its validity ends (promise G5: by
    /// `max(5 ms, ttl / 100)`, for tiny TTLs by half of the validity), or with [`LostReason::Released`] when this guard
    /// is released, dropped or handed over ([`into_lease`](Self::into_lease)).
    ///
    /// The future owns what it needs: it can be moved into another task. It is not in time on a runtime whose threads
    /// are all blocked.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost by dropping it; ask for another.
    pub fn lost(&self) -> Lost {
        let life = Arc::clone(&self.held().life);
        Lost(Box::pin(async move { life.ended().await }))
    }

    /// Runs `work` as long as the lock is held; drops it at the notice of loss. What `work` has spawned is not stopped
    /// by that.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] if the lock was lost before `work` was done. What `work` did until then stays done.
    ///
    /// # Cancel safety
    ///
    /// Dropping this future drops `work`. The guard keeps the lock.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(redlock: quorlock::Redlock) -> Result<(), quorlock::Error> {
    /// let guard = redlock.lock("invoice:42").await?;
    /// let charged = guard.run(async { "charged" }).await?;
    /// guard.release().await?;
    /// # let _ = charged; Ok(()) }
    /// ```
    pub async fn run<F: Future>(&self, work: F) -> Result<F::Output, Error> {
        if !self.is_valid() {
            return Err(self.held().life.lost());
        }
        tokio::select! {
            biased;
            reason = self.held().life.ended() => Err(self.held().life.lost_by(reason)),
            output = work => Ok(output),
        }
    }

    /// Extends the lock by its TTL, counted from now. The background does so by itself; this is for locks without a
    /// keeper, or to be sure of the next seconds. Once the deadline stands at the end of `max_hold`, it sends nothing, moves
    /// nothing and returns `Ok`.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] if the lock is over: final. [`Error::NoQuorum`] if too few nodes could be reached: the lock is as
    /// valid as before, until its old deadline.
    ///
    /// # Cancel safety
    ///
    /// Dropped half way, the nodes may keep the keys for longer; the deadline of this guard stays as it was.
    pub async fn extend(&self) -> Result<(), Error> {
        self.held().extend(self.held().terms().validity).await
    }

    /// Like [`extend`](Self::extend), for another TTL. A shorter one shortens nothing: the deadline only grows.
    ///
    /// # Errors
    ///
    /// Those of `extend`, and [`Error::InvalidInput`] for a TTL that cannot be used; then nothing is sent.
    ///
    /// # Cancel safety
    ///
    /// That of `extend`.
    pub async fn extend_for(&self, ttl: Duration) -> Result<(), Error> {
        let resources = self.resources().clone();
        let Terms { validity, .. } = self.settings.terms(resources, Some(ttl))?;
        self.held().extend(validity).await
    }

    /// Lets go of the lock without giving it back: as data, for another process that takes it up with
    /// [`Redlock::take_up`](crate::Redlock::take_up) before its deadline, or gives it back. Nobody keeps it any more
    /// meanwhile.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] if the lock was not valid any more; then its keys are deleted.
    pub fn into_lease(mut self) -> Result<Lease, Error> {
        match self.held().hand_over() {
            Ok(lease) => {
                self.armed = false;
                Ok(lease)
            }
            Err(reason) => Err(self.held().life.lost_by(reason)),
        }
    }

    /// Gives the lock back and tells what each node made of it, as soon as a quorum has answered, or cannot, after one time limit
    /// at most. Nodes that could not be reached are owed the release and get it when they are back, else it expires there: what
    /// was done under the lock stands, so that is no error ([`is_confirmed`](ReleaseReport::is_confirmed) tells).
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] if the lock was not valid any more when this was called: what was done under it may have
    /// overlapped with somebody else; its keys are deleted all the same.
    ///
    /// # Cancel safety
    ///
    /// The release is on every node's queue at the first poll; dropped after it, it goes on in the background. Dropped
    /// before, the guard is dropped, which does the same.
    pub async fn release(mut self) -> Result<ReleaseReport, Error> {
        self.armed = false;
        let held = Arc::clone(self.held());
        let (was, releasing) = held.release();
        self.kept.let_go();
        let report = releasing.report().await;
        match was {
            Ok(()) => Ok(report),
            Err(reason) => Err(held.life.lost_by(reason)),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.armed {
            self.held().release_in_passing();
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("resources", self.resources())
            .field("valid_for", &self.valid_for())
            .finish_non_exhaustive()
    }
}

/// The end of a lock, waited for; see [`Guard::lost`].
#[must_use = "the end of the lock is only seen by waiting for it"]
pub struct Lost(BoxFuture<'static, LostReason>);

impl Future for Lost {
    type Output = LostReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<LostReason> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lost")
    }
}
