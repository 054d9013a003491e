//! The depth at the library's seam to one node: messages instead of bytes. Implements both sides, the library's `Node`
//! and the simulation's [`Field`], over one [`Network`].

mod client;
mod events;
mod link;
pub(super) mod model;
mod network;
mod node;

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use quorlock::seam::{Node, ReplyTo, quarantined};
use quorlock::{Builder, Redlock, Standing};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use self::events::Route;
use self::link::Phase;
use self::network::{Fates, Network};
use self::node::{State, all_scripts};
use super::census::Counting;
use super::field::{Failing, Field, Flow, Key, Memory};
use super::plan::Plan;
use super::tasks::Process;
use crate::embedded::ClockJump;
use crate::proxy::wire::lock;

/// All nodes, and all clients' connections to them.
#[derive(Clone, Debug)]
pub(super) struct Seam(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    network: Mutex<Network>,
    begun: Instant,
    /// Rung when something is to happen sooner than what was to happen next.
    sooner: Notify,
}

impl Seam {
    /// Starts the network. Must be called inside a runtime whose time is paused.
    pub(super) fn start(plan: &Plan, counting: &Counting) -> Self {
        let network = Mutex::new(Network::new(plan, counting));
        let seam = Self(Arc::new(Shared { network, begun: Instant::now(), sooner: Notify::new() }));
        drop(tokio::spawn(run(Arc::downgrade(&seam.0))));
        seam
    }

    fn with<T>(&self, f: impl FnOnce(&mut Network) -> T) -> T {
        let mut network = lock(&self.0.network);
        network.now = self.0.begun.elapsed();
        let before = network.agenda.next_at();
        let result = f(&mut network);
        let after = network.agenda.next_at();
        let answers = std::mem::take(&mut network.answers);
        drop(network);
        answers.into_iter().for_each(|(to, reply)| to.send(reply));
        if after.is_some_and(|after| before.is_none_or(|before| after < before)) {
            self.0.sooner.notify_one();
        }
        result
    }
}

/// Makes happen what is due, until nobody holds the network any more.
async fn run(shared: std::sync::Weak<Shared>) {
    loop {
        let Some(shared) = shared.upgrade() else { return };
        let seam = Seam(shared);
        let next = seam.with(|network| {
            while let Some(event) = network.agenda.take_due(network.now) {
                network.happen(event);
            }
            network.agenda.next_at()
        });
        let due = async {
            match next {
                Some(at) => sleep_until(seam.0.begun + at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = seam.0.sooner.notified() => {}
            () = due => {}
        }
    }
}

/// One node as one client sees it.
struct SeamNode {
    seam: Seam,
    route: Route,
    name: Arc<str>,
}

impl Node for SeamNode {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn ask(&self, to: ReplyTo) {
        let question = Arc::new(to.question().clone());
        self.seam.with(|network| network.ask(self.route, question, to));
    }

    fn is_settled(&self) -> bool {
        let phase = self.seam.with(|network| network.link(self.route).phase);
        matches!(phase, Phase::Up | Phase::Down)
    }

    fn connected(&self) -> BoxFuture<'static, bool> {
        let (settled, waiter) = oneshot::channel();
        self.seam.with(|network| {
            network.start(self.route);
            let link = network.link(self.route);
            match link.phase {
                Phase::Idle | Phase::Connecting => link.first_awaited.push(settled),
                phase => drop(settled.send(phase == Phase::Up)),
            }
        });
        Box::pin(waiter.map(|up| up.unwrap_or_default()))
    }

    fn standing(&self) -> Standing {
        self.seam.with(|network| match network.link(self.route).phase {
            Phase::Up => match network.servers[self.route.node].abstains_for() {
                Duration::ZERO => Standing::Voting,
                left => quarantined(left),
            },
            Phase::Idle | Phase::Connecting | Phase::Down => Standing::Connecting,
        })
    }

    fn owed(&self) -> usize {
        self.seam.with(|network| network.link(self.route).owed.len())
    }

    fn drained(&self) -> BoxFuture<'static, ()> {
        let (paid, waiter) = oneshot::channel();
        self.seam.with(|network| {
            let link = network.link(self.route);
            match link.owed.is_empty() {
                true => drop(paid.send(())),
                false => link.drained.push(paid),
            }
        });
        Box::pin(waiter.map(drop))
    }
}

impl fmt::Debug for SeamNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SeamNode").field(&self.route).finish()
    }
}

impl Field for Seam {
    fn builder(&self, client: usize, process: &Process) -> Builder {
        let nodes = self.with(|network| {
            network.set_process(client, process);
            network.servers.len()
        });
        let node = |node| -> Box<dyn Node> {
            let (seam, route) = (self.clone(), Route { client, node });
            Box::new(SeamNode { seam, route, name: format!("n{node}").into() })
        };
        Redlock::builder([""; 0]).nodes((0..nodes).map(node).collect())
    }

    fn client_died(&self, client: usize) {
        self.with(|network| {
            for node in 0..network.servers.len() {
                let _ = network.break_up(Route { client, node });
            }
        });
    }

    fn client_resumed(&self, client: usize) {
        self.with(|network| network.resumed(client));
    }

    fn freeze(&self, node: usize) -> bool {
        self.with(|network| {
            let server = &mut network.servers[node];
            let ran = server.state == State::Up;
            if ran {
                server.state = State::Frozen;
            }
            ran
        })
    }

    fn thaw(&self, node: usize) {
        self.with(|network| network.thaw(node));
    }

    fn crash(&self, node: usize, memory: Memory) -> bool {
        self.with(|network| network.crash(node, memory))
    }

    fn restart(&self, node: usize) {
        self.with(|network| {
            let server = &mut network.servers[node];
            if server.state == State::Down {
                server.state = State::Up;
                server.scripts = all_scripts();
                server.joins_anew();
            }
        });
    }

    fn is_down(&self, node: usize) -> bool {
        self.with(|network| network.servers[node].state == State::Down)
    }

    fn wipe(&self, node: usize) {
        self.with(|network| {
            network.servers[node].model.clear();
            network.servers[node].joins_anew();
        });
    }

    fn abstains_for(&self, node: usize) -> Duration {
        self.with(|network| network.servers[node].abstains_for())
    }

    fn meddle(&self, node: usize, key: &str, with: Option<Duration>) {
        self.with(|network| {
            let server = &mut network.servers[node];
            let now = server.now_ms();
            server.model.meddle(key, with.map(|ttl| now + ttl.as_millis() as i64));
        });
    }

    fn jump_clock(&self, node: usize, by: Duration, direction: ClockJump) {
        self.with(|network| network.servers[node].clock.jump(by, direction));
    }

    fn set_clock_rate(&self, node: usize, rate: f64) {
        self.with(|network| network.servers[node].clock.set_rate(rate));
    }

    fn fail(&self, node: usize, failing: Failing) {
        self.with(|network| network.servers[node].failing = failing == Failing::Yes);
    }

    fn flush_scripts(&self, node: usize) {
        self.with(|network| network.servers[node].scripts.clear());
    }

    fn cut(&self, client: usize, node: usize, requests: Flow, replies: Flow) {
        self.with(|network| network.cut(Route { client, node }, requests, replies));
    }

    fn disconnect(&self, client: usize, node: usize) -> bool {
        self.with(|network| network.break_up(Route { client, node }))
    }

    fn calm(&self) {
        self.with(|network| network.fates = Fates::default());
    }

    fn keys(&self, node: usize) -> Vec<Key> {
        self.with(|network| {
            let server = &network.servers[node];
            let now = server.now_ms();
            let left = |at| Duration::from_millis(u64::try_from(at - now).unwrap_or_default());
            let live = server.model.live(now);
            live.map(|(key, entry)| Key {
                key: key.clone(),
                token: Arc::clone(&entry.token),
                left: left(entry.expires_at),
            })
            .collect()
        })
    }

    fn is_excused(&self, node: usize, key: &Key) -> bool {
        let key = (node, key.key.clone(), Arc::clone(&key.token));
        self.with(|network| network.excused.contains(&key))
    }

    fn is_rolled_back(&self, node: usize, key: &str) -> bool {
        self.with(|network| network.rolled_back.contains(&(node, key.to_owned())))
    }
}
