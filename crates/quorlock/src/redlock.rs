//! The handle: cheap to clone, shared by everybody who locks. No step of the algorithm lives here.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::join_all;

use crate::attempt::Core;
use crate::builder::Builder;
use crate::error::Error;
use crate::fenced::{Fenceable, Fenced};
use crate::guard::Guard;
use crate::handover::Lease;
use crate::report::ReleaseReport;
use crate::request::{LockRequest, TryLockRequest};
use crate::resources::Resources;
use crate::standing::Standing;
use crate::validity::later;

/// Locks on a quorum of independent Redis nodes.
///
/// A cheap-clone handle: clones share the nodes' connections, which are opened at the first lock and kept up in the
/// background as long as a handle or a guard lives, and until the nodes have been sent what they are owed. Needs a tokio runtime
/// with time and I/O. The connections live on the runtime of whoever asked first, and on that of the next who asks when it has
/// ended: one that stands still meanwhile, while others use the handle, looks to them like nodes that do not answer.
#[derive(Clone, Debug)]
pub struct Redlock {
    core: Arc<Core>,
}

impl Redlock {
    pub(crate) fn new(core: Core) -> Self {
        Self { core: Arc::new(core) }
    }

    /// Starts a handle on the nodes behind `urls`: `redis://[user:password@]host[:port][/db]`, `rediss://` for TLS
    /// (feature `tls`), `unix:///path`. Each is a server of its own, not a replica of another; three or five are usual.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), quorlock::Error> {
    /// use std::time::Duration;
    ///
    /// let redlock = quorlock::Redlock::builder(["redis://10.0.0.1", "redis://10.0.0.2", "redis://10.0.0.3"])
    ///     .ttl(Duration::from_secs(10))
    ///     .build()?;
    /// # Ok(()) }
    /// ```
    pub fn builder<U: Into<String>>(urls: impl IntoIterator<Item = U>) -> Builder {
        Builder::new(urls.into_iter().map(Into::into).collect())
    }

    /// What this handle and its clones are to the nodes, a UUID as text: what they write under the name of a lock begins with it,
    /// and their connections are called `quorlock:` and it. In a log it tells whose a lock is that `redis-cli GET` shows, also
    /// after its holder has died. (One that was handed over shows who acquired it.) It is no secret: it alone owns nothing.
    pub fn id(&self) -> String {
        self.core.client.to_string()
    }

    /// Asks for a lock on one resource or several, and waits while somebody else holds it. Configure the request by
    /// chaining, then await it.
    ///
    /// The guard's validity counts from before the first byte was sent, and no guard is returned whose validity is over.
    /// A lock on several resources is all or nothing. It is not reentrant: inside its own holder it waits. Those who wait on
    /// one handle (or its clones) for the same resources form a queue: the first asks, and is told by a node when it becomes
    /// free; the others ask now and then, or at the end of their `wait_for`. They get it nearly always in the order in which they came. A request
    /// that was polled once and is then left alone holds up those behind it for a second or so: drop it instead.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] before anything is sent. [`Error::Held`] when [`wait_for`](LockRequest::wait_for) is over
    /// and somebody else held it last, or others on this handle waited before it. [`Error::ForeignKey`] at once (behind others,
    /// when one of them has asked) when what stands in the way is a key without an
    /// expiry, which is no lock. [`Error::NoQuorum`] when too few nodes could be reached until the limit, at once when so
    /// many of them are misconfigured that waiting cannot help; [`Error::TooLate`] when they answered too slowly for the
    /// TTL. What was taken is given back in the background on every node that was or may have been asked.
    /// [`Error::Quarantined`] at once (behind others likewise) when nodes that may have forgotten locks leave no quorum for longer than the wait
    /// would last. [`Error::Closed`] after [`close`](Self::close).
    ///
    /// # Cancel safety
    ///
    /// Dropped at any point, it leaves no key behind: what was taken or is still on its way is given back in the
    /// background (promise G4).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(redlock: quorlock::Redlock) -> Result<(), quorlock::Error> {
    /// use std::time::Duration;
    ///
    /// let guard = redlock.lock(["stock:a", "stock:b"]).wait_for(Duration::from_secs(2)).await?;
    /// // both are ours
    /// guard.release().await?;
    /// # Ok(()) }
    /// ```
    pub fn lock(&self, resources: impl Into<Resources>) -> LockRequest {
        LockRequest::new(&self.core, resources.into())
    }

    /// Asks once: `None` where somebody else holds the lock, or competes for it at this moment. Of several that ask at the same
    /// moment it may be that none has it, where none got a majority: where one of them has to do the work, wait a moment,
    /// shorter than the work takes: `lock(..).wait_for(..)`.
    ///
    /// A yes takes one round trip. After a no, a second one tells a lock from a [foreign key](Error::ForeignKey), within
    /// the time limit. In the first two seconds of a handle (two and a half where the runtime that connects stands still), calls
    /// wait for its nodes to connect, no longer than these.
    ///
    /// # Errors
    ///
    /// Those of [`lock`](Self::lock), but for [`Error::Held`].
    ///
    /// # Cancel safety
    ///
    /// That of [`lock`](Self::lock).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(redlock: quorlock::Redlock) -> Result<(), quorlock::Error> {
    /// let Some(guard) = redlock.try_lock("cache:refill").await? else {
    ///     return Ok(()); // somebody else does it, or is about to
    /// };
    /// # drop(guard); Ok(()) }
    /// ```
    pub fn try_lock(&self, resources: impl Into<Resources>) -> TryLockRequest {
        TryLockRequest::new(&self.core, resources.into())
    }

    /// Takes up a lock that another process let go of with [`Guard::into_lease`](crate::Guard::into_lease): it is held
    /// when a quorum of nodes has extended it before its deadline, and kept from then on. This handle needs the same nodes
    /// and the same prefix.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] if it is over, or a majority of the nodes does not hold it any more: what is left of it is
    /// deleted. [`Error::NoQuorum`] if too few nodes could be reached: the lease is as it was, and can be taken up until
    /// its deadline. [`Error::InvalidInput`] if its names or its TTL cannot be used with this handle. [`Error::Closed`]
    /// after [`close`](Self::close).
    ///
    /// # Cancel safety
    ///
    /// Dropped half way, the lease is as it was, but the nodes may keep its keys for longer.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(here: quorlock::Redlock, there: quorlock::Redlock) -> Result<(), quorlock::Error> {
    /// let lease = here.lock("invoice:42").await?.into_lease()?;
    /// let guard = there.take_up(&lease).await?;
    /// guard.release().await?;
    /// # Ok(()) }
    /// ```
    pub async fn take_up(&self, lease: &Lease) -> Result<Guard, Error> {
        self.core.take_up(lease).await
    }

    /// Gives back a lock that another process let go of with [`Guard::into_lease`](crate::Guard::into_lease), also when
    /// it is over: what is left of it is deleted. As with [`Guard::release`](crate::Guard::release), nodes that could not be reached
    /// are owed it.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] and [`Error::Closed`] as [`take_up`](Self::take_up).
    ///
    /// # Cancel safety
    ///
    /// Once the nodes are connected the release is on every node's queue; dropped after that it goes on in the
    /// background.
    pub async fn give_back(&self, lease: &Lease) -> Result<ReleaseReport, Error> {
        self.core.give_back(lease).await
    }

    /// This handle, but each of its locks has a fencing token: for services whose store asks for one with every write. What
    /// it dereferences to is the handle without.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), quorlock::Error> {
    /// use quorlock::{Fenced, Redlock};
    ///
    /// let redlock: Fenced<Redlock> =
    ///     Redlock::builder(["redis://10.0.0.1", "redis://10.0.0.2", "redis://10.0.0.3"]).build()?.fenced();
    /// let guard = redlock.lock("invoice:42").await?;
    /// println!("write with {}", guard.fencing_token());
    /// # Ok(()) }
    /// ```
    pub fn fenced(self) -> Fenced<Self> {
        Fenced { plain: self, token: () }
    }

    /// Connects the nodes, which the first lock would do else, and says what each is then, as [`nodes`](Self::nodes) does. Call
    /// it when a program starts: a wrong password, a missing right, or clients with other nodes show then, and not at the first
    /// lock, and the quarantine of a node that is new or has restarted begins to pass.
    ///
    /// Waits until the first attempt to connect to each node has ended, which takes two seconds at most where nobody
    /// answers (two and a half where the runtime that connects stands still). Nodes that were not reached are tried again in
    /// the background. Later it returns at once: who waits
    /// for a quorum pauses between two calls.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] after [`close`](Self::close). That too few nodes can be reached is no error: see
    /// [`has_quorum`](Self::has_quorum).
    ///
    /// # Cancel safety
    ///
    /// Dropped, it goes on in the background.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), quorlock::Error> {
    /// let redlock = quorlock::Redlock::builder(["redis://10.0.0.1", "redis://10.0.0.2", "redis://10.0.0.3"]).build()?;
    /// for (node, standing) in redlock.connect().await? {
    ///     println!("{node}: {standing}");
    /// }
    /// // What a readiness probe asks from then on:
    /// let is_ready = redlock.has_quorum();
    /// # let _ = is_ready; Ok(()) }
    /// ```
    pub async fn connect(&self) -> Result<Vec<(String, Standing)>, Error> {
        self.core.connect_all().await?;
        Ok(self.nodes())
    }

    /// What each node is to this handle at this moment, in the order of the URLs, with its name. Asks nobody: nodes are
    /// connected by [`connect`](Self::connect), the first lock, `take_up`, `give_back` or `bootstrap`, and before that all are
    /// `Connecting`.
    pub fn nodes(&self) -> Vec<(String, Standing)> {
        let nodes = self.core.nodes.list.iter();
        nodes.map(|node| (node.name().to_string(), node.standing())).collect()
    }

    /// Whether a quorum of nodes votes on new locks at this moment, as far as this handle knows: asks nobody, so a node that has
    /// just died is found out by the next lock. No before the nodes are [connected](Self::connect), and after
    /// [`close`](Self::close). A fenced lock needs more nodes where [`certify_on`](Builder::certify_on) says so.
    pub fn has_quorum(&self) -> bool {
        if self.core.check_open().is_err() {
            return false;
        }
        let nodes = &self.core.nodes;
        let voting = nodes.list.iter().filter(|node| matches!(node.standing(), Standing::Voting));
        voting.count() >= nodes.quorum()
    }

    /// Makes brand-new nodes vote at once: once, when they are set up, before anybody locks.
    ///
    /// A node that nobody has seen before may have forgotten locks, so it does not vote for one
    /// [`max_ttl`](Builder::max_ttl). That nodes are new only somebody outside can know: it is you who says so here. **Not for
    /// every start of a program**: after a power failure it would say that nodes are new which have just forgotten everything.
    ///
    /// Needs every node. Refused where a node holds any key with an expiry in its database, as a lock has. Where a quorum
    /// votes already it does nothing.
    ///
    /// # Errors
    ///
    /// [`Error::NotNew`] with the nodes that are in use or could not be asked; with none where some, fewer than a quorum,
    /// vote already: nothing was changed, or, where a node
    /// was lost in the middle, too few nodes vote yet. [`Error::Closed`] after [`close`](Self::close).
    ///
    /// # Cancel safety
    ///
    /// Dropped half way, some nodes may vote and others not.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), quorlock::Error> {
    /// let redlock = quorlock::Redlock::builder(["redis://10.0.0.1", "redis://10.0.0.2", "redis://10.0.0.3"]).build()?;
    /// redlock.bootstrap().await?;
    /// # Ok(()) }
    /// ```
    pub async fn bootstrap(&self) -> Result<(), Error> {
        self.core.bootstrap().await
    }

    /// Closes the handle and all its clones, and waits until every release that is under way or owed to a node has been
    /// confirmed, or its keys have expired, for `limit` at most. Call it before the runtime ends, or releases of dropped
    /// guards may not go out; called later, on another runtime, it connects again, and sends them then.
    ///
    /// Guards that are still held stay valid and are kept, and a lock that was being asked for at this moment may still be
    /// had; their releases are not waited for.
    ///
    /// # Errors
    ///
    /// [`Error::Undrained`] with the nodes that have not confirmed within `limit`; their keys expire with the TTL.
    ///
    /// # Cancel safety
    ///
    /// The handle is closed at the first poll; dropping the future only ends the wait.
    pub async fn close(&self, limit: Duration) -> Result<(), Error> {
        self.core.closed.store(true, Ordering::SeqCst);
        self.core.closing.notify_waiters();
        self.core.waiters.call_all();
        let nodes = &self.core.nodes;
        let drained = join_all(nodes.list.iter().map(|node| node.drained()));
        tokio::select! {
            biased;
            _ = drained => return Ok(()),
            () = nodes.clock.sleep_until(later(nodes.clock.now(), limit)) => {}
        }
        let owing = nodes.list.iter().filter(|node| node.owed() > 0);
        let nodes: Vec<_> = owing.map(|node| node.name().to_string()).collect();
        if nodes.is_empty() { Ok(()) } else { Err(Error::Undrained { nodes }) }
    }
}

impl Fenceable for Redlock {
    type Token = ();
}

impl Fenced<Redlock> {
    /// [`Redlock::lock`], with a fencing token.
    pub fn lock(&self, resources: impl Into<Resources>) -> Fenced<LockRequest> {
        self.plain.lock(resources).fenced()
    }

    /// [`Redlock::try_lock`], with a fencing token.
    pub fn try_lock(&self, resources: impl Into<Resources>) -> Fenced<TryLockRequest> {
        self.plain.try_lock(resources).fenced()
    }

    /// [`Redlock::take_up`]; the fencing token stays the same.
    ///
    /// # Errors
    ///
    /// Its errors.
    ///
    /// # Cancel safety
    ///
    /// That of the same.
    pub async fn take_up(&self, lease: &Fenced<Lease>) -> Result<Fenced<Guard>, Error> {
        let plain = self.plain.take_up(&lease.plain).await?;
        Ok(Fenced { plain, token: lease.token })
    }
}
