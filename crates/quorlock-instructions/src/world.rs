//! A handle on five nodes, and what is done with it over and over. Counts nothing itself.

use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
use quorlock::{Error, Guard, Redlock};
use tokio::runtime::{Builder, Runtime};

use crate::node::Nodes;

/// How often whatever is counted is done: what happens only now and then (a table grows, a timer runs out) weighs little.
pub const REPEATS: usize = 100;

/// Before that, so that no connection is made and no table is empty any more.
const WARM_UP: usize = 20;
/// So long that nothing is extended meanwhile.
const TTL: Duration = Duration::from_secs(60);
/// So long that no timer of a connection runs out meanwhile: under valgrind all takes fifty times as long.
const TIME_LIMIT: Duration = Duration::from_secs(20);

const THREE: [&str; 3] = ["orders:42", "stock:a", "stock:b"];
const EIGHT: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// What is taken and given back.
#[derive(Clone, Copy, Debug)]
pub enum Wish {
    /// One resource.
    Plain,
    /// One resource, with a fencing token.
    Fenced,
    /// Three resources in one lock.
    Three,
    /// Eight locks of one resource each, at the same time.
    Eight,
    /// None: one that is held is extended by hand.
    Extend,
}

/// A handle whose connections are made, and the thread that it runs on.
#[derive(Debug)]
pub struct World {
    runtime: Runtime,
    redlock: Redlock,
    nodes: Arc<Nodes>,
    wish: Wish,
    held: Guard,
}

impl World {
    /// # Panics
    ///
    /// Where there is no lock to be had: the nodes do not answer as the library expects.
    pub fn new(wish: Wish) -> Self {
        let runtime = Builder::new_current_thread().enable_time().build();
        let runtime = runtime.expect("a runtime needs nothing that can be missing");
        let nodes = Arc::new(Nodes::default());
        let redlock = Redlock::builder((1..=5).map(|node| format!("redis://node-{node}")))
            .ttl(TTL)
            .time_limit(TIME_LIMIT)
            .seed(1)
            .connector(Arc::clone(&nodes) as _)
            .build();
        let redlock = redlock.expect("these settings are in order");
        let held = runtime.block_on(redlock.lock("held").into_future());
        let held = held.expect("the nodes grant everything");
        let world = Self { runtime, redlock, nodes, wish, held };
        world.repeat(WARM_UP);
        world
    }

    /// A hundred times what is wished. Called once: it is counted from then on.
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new).
    pub fn a_hundred(&self) {
        self.nodes.count();
        self.repeat(REPEATS);
    }

    fn repeat(&self, times: usize) {
        let all = async {
            for _ in 0..times {
                self.once().await?;
            }
            Ok::<_, Error>(())
        };
        self.runtime.block_on(all).expect("the nodes grant everything");
    }

    async fn once(&self) -> Result<(), Error> {
        let redlock = &self.redlock;
        let plain = async |name| redlock.lock(name).await?.release().await;
        let report = match self.wish {
            Wish::Plain => plain("orders:42").await?,
            Wish::Fenced => redlock.lock("orders:42").fenced().await?.release().await?,
            Wish::Three => redlock.lock(THREE).await?.release().await?,
            Wish::Eight => return try_join_all(EIGHT.map(plain)).await.map(drop),
            Wish::Extend => return self.held.extend().await,
        };
        drop(report);
        Ok(())
    }
}
