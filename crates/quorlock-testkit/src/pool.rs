//! Servers that are used again by the next test of this process, and how many may run at once.
//! Starting them, and what a test sees of them, does not live here.
//!
//! Tests of one binary run side by side, each with a cluster of its own, and starting five
//! containers takes seconds. What is left in the pool when the process ends is removed by the
//! reaper.

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::try_join_all;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::backend::Backend;
use crate::entrance::Entrance;
use crate::error::Error;
use crate::node::Node;
use crate::servers;

/// Clusters of containers that are alive at once in one process.
const CONTAINER_CLUSTERS: usize = 4;
/// Clusters of processes that are alive at once in one process.
const PROCESS_CLUSTERS: usize = 8;
/// As long as whole test suites take: who waits longer waits for itself.
const WAIT_AT_MOST: Duration = Duration::from_secs(300);

/// The servers of one cluster, with the right to have them. Dropped, they wait for the next who
/// asks for as many.
#[derive(Debug)]
pub(crate) struct Lease {
    // Before the permit: they end, or are back in the pool, before somebody else may have some.
    nodes: Returned,
    _permit: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
struct Returned {
    nodes: Vec<Node>,
    to: Option<&'static Pool>,
}

impl Lease {
    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes.nodes
    }

    /// Ends the servers together with this lease.
    pub(crate) fn never_again(&mut self) {
        self.nodes.to = None;
    }
}

impl Drop for Returned {
    fn drop(&mut self) {
        if let Some(pool) = self.to
            && !self.nodes.iter().any(Node::is_altered)
        {
            pool.idle().push(std::mem::take(&mut self.nodes));
        }
    }
}

/// Servers that were used and reset, or new ones. Waits where too many are in use.
pub(crate) async fn pooled(
    backend: Backend,
    entrance: Entrance,
    size: usize,
) -> Result<Lease, Error> {
    match Pool::of(backend) {
        Some(pool) => pool.lease(backend, entrance, size).await,
        None => fresh(backend, entrance, size).await,
    }
}

/// Servers that nobody else has used or will use.
pub(crate) async fn fresh(
    backend: Backend,
    entrance: Entrance,
    size: usize,
) -> Result<Lease, Error> {
    let nodes = servers::start(backend, entrance, size).await?;
    Ok(Lease { nodes: Returned { nodes, to: None }, _permit: None })
}

#[derive(Debug)]
struct Pool {
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Vec<Node>>>,
}

impl Pool {
    /// The pool of a back end. Embedded nodes are cheap, and live in the runtime of the test that
    /// started them.
    fn of(backend: Backend) -> Option<&'static Self> {
        static CONTAINERS: LazyLock<Pool> = LazyLock::new(|| Pool::new(CONTAINER_CLUSTERS));
        static PROCESSES: LazyLock<Pool> = LazyLock::new(|| Pool::new(PROCESS_CLUSTERS));
        match backend {
            Backend::Containers => Some(&CONTAINERS),
            Backend::Processes => Some(&PROCESSES),
            Backend::Embedded => None,
        }
    }

    fn new(clusters: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(clusters)), idle: Mutex::default() }
    }

    async fn lease(
        &'static self,
        backend: Backend,
        entrance: Entrance,
        size: usize,
    ) -> Result<Lease, Error> {
        let permit = self.permit(backend).await?;
        let nodes = match self.take_reset(entrance, size).await {
            Some(nodes) => nodes,
            None => servers::start(backend, entrance, size).await?,
        };
        Ok(Lease { nodes: Returned { nodes, to: Some(self) }, _permit: Some(permit) })
    }

    async fn permit(&self, backend: Backend) -> Result<OwnedSemaphorePermit, Error> {
        let waiting =
            tokio::time::timeout(WAIT_AT_MOST, self.permits.clone().acquire_owned()).await;
        let exhausted = Error::PoolExhausted { backend, waited: WAIT_AT_MOST };
        waiting.ok().and_then(Result::ok).ok_or(exhausted)
    }

    /// Idle servers, reset. Those that cannot be reset are ended.
    async fn take_reset(&self, entrance: Entrance, size: usize) -> Option<Vec<Node>> {
        while let Some(nodes) = self.take(entrance, size) {
            match try_join_all(nodes.iter().map(Node::reset)).await {
                Ok(_) => return Some(nodes),
                Err(error) => eprintln!("quorlock-testkit: a used cluster is given up: {error}"),
            }
        }
        None
    }

    /// Idle servers of that kind and number, and room for them: others are ended where all together would be
    /// too many.
    fn take(&self, entrance: Entrance, size: usize) -> Option<Vec<Node>> {
        let mut idle = self.idle();
        let fits = |node: &Node| node.entrance().is_like(entrance);
        let fitting = idle.iter().position(|nodes| nodes.len() == size && nodes.iter().all(fits));
        let taken = fitting.map(|at| idle.swap_remove(at));
        let surplus = idle.len().saturating_sub(self.permits.available_permits());
        let ended: Vec<_> = idle.drain(..surplus).collect();
        // Ending servers takes a while: not while others wait for the list.
        drop(idle);
        drop(ended);
        taken
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Vec<Node>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    const SHORT: Duration = Duration::from_millis(100);

    /// A pool of one cluster of processes, or nothing where there is no server to start.
    async fn pool_of_one() -> Option<&'static Pool> {
        match Backend::Processes.check().await {
            Ok(()) => Some(Box::leak(Box::new(Pool::new(1)))),
            Err(error) => {
                eprintln!("skipped: {error}");
                None
            }
        }
    }

    fn addresses(lease: &Lease) -> Vec<SocketAddr> {
        lease.nodes().iter().map(Node::addr).collect()
    }

    #[tokio::test]
    async fn a_used_cluster_comes_back_as_new() {
        let Some(pool) = pool_of_one().await else { return };
        let lease = pool.lease(Backend::Processes, Entrance::Open, 3).await.unwrap();
        let first = addresses(&lease);
        lease.nodes()[0].command(&["SET", "k", "v"]).await.unwrap();
        lease.nodes()[0].pause().await.unwrap();
        lease.nodes()[1].crash().await.unwrap();
        lease.nodes()[2].command(&["SET", "k", "v"]).await.unwrap();
        drop(lease);

        let lease = pool.lease(Backend::Processes, Entrance::Open, 3).await.unwrap();
        assert_eq!(addresses(&lease), first);
        for node in lease.nodes() {
            assert!(node.is_alive().await);
            assert_eq!(node.keys().await.unwrap(), Vec::<String>::new());
        }
        drop(pool.take(Entrance::Open, 3));
    }

    #[tokio::test]
    async fn a_cluster_of_another_size_makes_room() {
        let Some(pool) = pool_of_one().await else { return };
        let lease = pool.lease(Backend::Processes, Entrance::Open, 1).await.unwrap();
        let first = addresses(&lease)[0];
        drop(lease);
        drop(pool.lease(Backend::Processes, Entrance::Open, 2).await.unwrap());
        assert!(!crate::observer::answers(&first.into()).await);
        assert_eq!(pool.idle().len(), 1);
        drop(pool.take(Entrance::Open, 2));
    }

    #[tokio::test]
    async fn a_cluster_with_changed_settings_is_not_used_again() {
        let Some(pool) = pool_of_one().await else { return };
        let lease = pool.lease(Backend::Processes, Entrance::Open, 1).await.unwrap();
        lease.nodes()[0].command(&["config", "set", "maxmemory", "100mb"]).await.unwrap();
        drop(lease);
        assert!(pool.idle().is_empty());
    }

    #[tokio::test]
    async fn who_finds_all_clusters_in_use_waits_for_one() {
        let Some(pool) = pool_of_one().await else { return };
        let first = pool.lease(Backend::Processes, Entrance::Open, 1).await.unwrap();
        let mut second = std::pin::pin!(pool.lease(Backend::Processes, Entrance::Open, 1));
        assert!(tokio::time::timeout(SHORT, &mut second).await.is_err());
        drop(first);
        let second = second.await.unwrap();
        assert!(second.nodes()[0].is_alive().await);
        drop(second);
        drop(pool.take(Entrance::Open, 1));
    }
}
