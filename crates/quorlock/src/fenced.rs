//! What has fencing tokens, told by its type: nobody can ask a lock for one that it has not. How they are made lives in
//! `fencing.rs` and in the rounds.

use std::fmt;
use std::ops::Deref;

use crate::error::Error;
use crate::fencing::FencingToken;
use crate::guard::Guard;
use crate::handover::Lease;
use crate::report::ReleaseReport;

/// With a [`FencingToken`]: a held lock that has one (`Fenced<Guard>`), a lease, a request for such a lock
/// ([`LockRequest::fenced`](crate::LockRequest::fenced)), or a handle all of whose locks have one
/// ([`Redlock::fenced`](crate::Redlock::fenced)).
///
/// It is used like what it holds. A fenced lock costs one round trip as any other; a second one, for one time limit at most,
/// only where the nodes have counted its holder differently, mostly because others ask for it at the same moment. That second
/// one may end so much later than [`wait_for`](crate::LockRequest::wait_for).
///
/// # Examples
///
/// ```no_run
/// # struct Store;
/// # impl Store { async fn write(&self, row: &str, token: u64) -> Result<(), quorlock::Error> { Ok(()) } }
/// # async fn example(redlock: quorlock::Redlock, store: Store) -> Result<(), quorlock::Error> {
/// let guard = redlock.lock("invoice:42").fenced().await?;
/// // The store refuses it where it has seen a larger one: then this lock was lost, and somebody else held it since.
/// store.write("paid", guard.fencing_token().get()).await?;
/// guard.release().await?;
/// # Ok(()) }
/// ```
#[must_use = "a request does nothing until it is awaited, and a lock is given back as soon as its guard is dropped"]
#[derive(Clone)]
pub struct Fenced<T: Fenceable> {
    pub(crate) plain: T,
    pub(crate) token: T::Token,
}

/// What can have fencing tokens.
#[expect(unnameable_types, reason = "sealed: nothing else can")]
pub trait Fenceable {
    /// Of what is held, the token; of what is not held yet, nothing.
    type Token: Copy + fmt::Debug + Send + Sync + Unpin + 'static;
}

impl Fenceable for Guard {
    type Token = FencingToken;
}

impl Fenceable for Lease {
    type Token = FencingToken;
}

impl<T: Fenceable> Deref for Fenced<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.plain
    }
}

impl<T: Fenceable + fmt::Debug> fmt::Debug for Fenced<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fenced").field("of", &self.plain).field("token", &self.token).finish()
    }
}

impl Fenced<Guard> {
    /// None where the lock has no fencing token.
    pub(crate) fn new(plain: Guard) -> Option<Self> {
        let token = plain.fencing()?;
        Some(Self { plain, token })
    }

    /// Larger than that of every earlier holder of these resources (promise G2). The same for as long as the lock is held.
    pub fn fencing_token(&self) -> FencingToken {
        self.token
    }

    /// [`Guard::release`].
    ///
    /// # Errors
    ///
    /// Its errors.
    ///
    /// # Cancel safety
    ///
    /// That of the same.
    pub async fn release(self) -> Result<ReleaseReport, Error> {
        self.plain.release().await
    }

    /// [`Guard::into_lease`]; the fencing token goes along.
    ///
    /// # Errors
    ///
    /// Its errors.
    pub fn into_lease(self) -> Result<Fenced<Lease>, Error> {
        let token = self.token;
        Ok(Fenced { plain: self.plain.into_lease()?, token })
    }
}

/// Without the token, for what takes any lock; what it does on the nodes stays the same.
impl From<Fenced<Self>> for Guard {
    fn from(guard: Fenced<Self>) -> Self {
        guard.plain
    }
}

impl From<Fenced<Self>> for Lease {
    fn from(lease: Fenced<Self>) -> Self {
        lease.plain
    }
}

impl Fenced<Lease> {
    /// That of the lock that it was, and of the one that it will be.
    pub fn fencing_token(&self) -> FencingToken {
        self.token
    }
}

#[cfg(feature = "serde")]
mod written {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    use super::Fenced;
    use crate::handover::Lease;

    impl Serialize for Fenced<Lease> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.plain.serialize(serializer)
        }
    }

    impl<'de> Deserialize<'de> for Fenced<Lease> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let plain = Lease::deserialize(deserializer)?;
            let token = plain.fencing.ok_or_else(|| de::Error::missing_field("fencing"))?;
            Ok(Self { plain, token })
        }
    }
}
