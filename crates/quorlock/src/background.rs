//! Work that outlives its caller: counted, so that `close` can wait for it. What the work is lives elsewhere.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::BoxFuture;
use tokio::sync::Notify;

use crate::clock::Spawner;

/// Starts detached tasks and knows how many still run.
#[derive(Clone)]
pub(crate) struct Background {
    spawner: Arc<dyn Spawner>,
    running: Arc<Running>,
}

#[derive(Default)]
struct Running {
    count: AtomicUsize,
    ended: Notify,
}

impl Background {
    pub(crate) fn new(spawner: Arc<dyn Spawner>) -> Self {
        Self { spawner, running: Arc::default() }
    }

    /// Starts a task that [`ended`](Self::ended) and [`is_idle`](Self::is_idle) know of.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let counted = Counted::new(Arc::clone(&self.running));
        self.spawner.spawn(Box::pin(async move {
            let _counted = counted;
            task.await;
        }));
    }

    /// Starts a task that lasts as long as its owner: nobody waits for it.
    pub(crate) fn spawn_service(&self, task: BoxFuture<'static, ()>) {
        self.spawner.spawn(task);
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.running.count.load(Ordering::SeqCst) == 0
    }

    /// Resolves when the next task ends. Counts from the moment it is called, not from its first poll.
    pub(crate) fn ended(&self) -> tokio::sync::futures::Notified<'_> {
        self.running.ended.notified()
    }
}

impl fmt::Debug for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let running = self.running.count.load(Ordering::SeqCst);
        f.debug_struct("Background").field("running", &running).finish_non_exhaustive()
    }
}

/// One running task; also counted down when the runtime drops it half way.
struct Counted(Arc<Running>);

impl Counted {
    fn new(running: Arc<Running>) -> Self {
        running.count.fetch_add(1, Ordering::SeqCst);
        Self(running)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::SeqCst);
        self.0.ended.notify_waiters();
    }
}
