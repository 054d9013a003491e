//! The depth under the library's driver: real commands and scripts over in-memory pipes to embedded nodes. Implements
//! the simulation's [`Field`] with the verbs of nodes and wires; what the weather is on one wire is in `route.rs`.

mod marker;
mod route;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quorlock::seam::MARKERS;
use quorlock::{Builder, Redlock};
use tokio::time::{Instant, sleep};

use self::route::{Route, Spell};
use super::census::Counting;
use super::dice::Dice;
use super::fault::Kind;
use super::fencing::COUNTERS;
use super::field::{Failing, Field, Flow, Key, Memory};
use super::plan::Plan;
use super::tasks::Process;
use crate::embedded::{ClockJump, EmbeddedNode, PipeNet};
use crate::proxy::wire::lock;
use crate::proxy::{Direction, Relay};

const MS: Duration = Duration::from_millis(1);
/// For a request to come that can be late.
const LULL: Duration = Duration::from_millis(300);
/// The longest that anything takes on a wire that nothing happens to any more.
const ALL_ARRIVED: Duration = Duration::from_secs(1);
/// What servers say that are up and do nothing with keys.
const ERRORS: [&str; 6] = [
    "OOM command not allowed when used memory > 'maxmemory'.",
    "READONLY You can't write against a read only replica.",
    "LOADING Redis is loading the dataset in memory",
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may \
     modify the data set are disabled.",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "NOPERM this user has no permissions to access one of the keys used as arguments",
];

/// Where an old connection cannot be killed, the library sleeps for a TTL before it releases once more, also when that
/// is not needed any more: with larger ones its tasks would outlive the simulation.
const SOON: Duration = Duration::from_secs(10);

/// All nodes, and all clients' wires to them.
pub(super) struct WireField {
    nodes: Vec<EmbeddedNode>,
    /// One for each client, with all nodes in it.
    nets: Vec<PipeNet>,
    /// By client, then by node.
    routes: Vec<Vec<Route>>,
    /// Whether each client speaks the older protocol, in which no node tells of what it forgets.
    speak_resp2: Vec<bool>,
    /// Whether each node refuses to kill connections.
    refuses: Vec<bool>,
    /// What each node says while it is failing.
    errors: Vec<&'static str>,
    dice: Mutex<Dice>,
    /// Keys that are nobody's fault.
    excused: Mutex<BTreeSet<(usize, String, Arc<str>)>>,
    max_ttl: Duration,
}

impl WireField {
    /// Starts the nodes. Must be called inside a runtime whose time is paused.
    pub(super) fn start(plan: &Plan, _: &Counting) -> Self {
        let mut dice = plan.dice("wire");
        let nodes: Vec<_> =
            (0..plan.nodes).map(|node| EmbeddedNode::pipe(format!("n{node}"))).collect();
        nodes.iter().for_each(EmbeddedNode::watch_others);
        EmbeddedNode::bootstrap(&nodes, plan.max_ttl());
        if plan.has(Kind::CrashRolledBack) {
            nodes.iter().for_each(EmbeddedNode::remember_changes);
        }
        let may_refuse = plan.ttls().iter().all(|ttl| *ttl <= SOON) && dice.chance(0.4);
        let share = if may_refuse { 0.7 } else { 0.0 };
        for node in &nodes {
            if let Some(name) = dice.pick(&[None, None, Some("delex"), Some("delifeq")]).flatten() {
                node.add_native_delete(name);
            }
        }
        let refuses: Vec<bool> = nodes.iter().map(|_| dice.chance(share)).collect();
        for (node, refuses) in nodes.iter().zip(&refuses) {
            node.refuse_kill(*refuses);
        }
        // Where nothing is told, the scripts compare.
        let mut telling = plan.dice("telling");
        for node in &nodes {
            match telling.below(10) {
                0 => node.refuse_tracking(),
                1 => node.know_resp2_only(),
                _ => {}
            }
        }
        let speak_resp2 = (0..plan.clients).map(|_| telling.chance(0.2)).collect();
        let errors = nodes.iter().filter_map(|_| dice.pick(&ERRORS)).collect();
        let nets: Vec<_> = (0..plan.clients).map(|_| PipeNet::new(nodes.iter().cloned())).collect();
        let slowest = dice.below(4) as u64;
        let mut route = |net: &PipeNet, node: &EmbeddedNode| {
            Route::new(net.relay(&node.name()), dice.millis(0, slowest))
        };
        let routes =
            nets.iter().map(|net| nodes.iter().map(|node| route(net, node)).collect()).collect();
        Self {
            nodes,
            nets,
            routes,
            speak_resp2,
            refuses,
            errors,
            dice: Mutex::new(dice),
            excused: Mutex::default(),
            max_ttl: plan.max_ttl(),
        }
    }

    fn route(&self, client: usize, node: usize) -> &Route {
        &self.routes[client][node]
    }

    /// What is sent on the connections of now, for a while, arrives much later: most likely when they have been replaced,
    /// because their client gives them up or sees them break.
    fn delay_open_links(&self, route: &Route, length: Duration) -> bool {
        let struck = route.relay().delay_open_links();
        let (deliver, hang_up, breaks) = {
            let dice = &mut *lock(&self.dice);
            (dice.millis(200, 8_000), dice.millis(0, 20), dice.chance(0.7))
        };
        let relay = route.relay().clone();
        later(deliver, move || relay.deliver());
        if breaks {
            let relay = route.relay().clone();
            drop(tokio::spawn(async move {
                let (sent, end) = (relay.requests(), Instant::now() + length.max(LULL));
                while relay.requests() == sent && Instant::now() < end {
                    sleep(MS).await;
                }
                sleep(hang_up).await;
                relay.hang_up();
            }));
        }
        struck
    }
}

/// Ends something after a while; for the wire to be mended sooner does no harm.
fn later(after: Duration, end: impl FnOnce() + Send + 'static) {
    drop(tokio::spawn(async move {
        sleep(after).await;
        end();
    }));
}

impl Field for WireField {
    fn builder(&self, client: usize, _: &Process) -> Builder {
        let protocol = if self.speak_resp2[client] { "/?protocol=resp2" } else { "" };
        let urls = self.nodes.iter().map(|node| format!("{}{protocol}", node.url()));
        Redlock::builder(urls).connector(Arc::new(self.nets[client].clone()))
    }

    /// As a killed process: its sockets are closed, and what it has sent arrives, at once, late or never.
    fn client_died(&self, client: usize) {
        for route in &self.routes[client] {
            let (is_lost, is_late, length) = {
                let dice = &mut *lock(&self.dice);
                (dice.chance(0.5), dice.chance(0.5), dice.millis(1, 4_000))
            };
            if is_lost {
                route.relay().reset();
                continue;
            }
            if is_late && route.relay().delay_open_links() {
                let relay = route.relay().clone();
                later(length, move || relay.deliver());
            }
            route.relay().hang_up();
        }
    }

    fn client_resumed(&self, _: usize) {}

    fn freeze(&self, node: usize) -> bool {
        let runs = self.nodes[node].is_running();
        self.nodes[node].pause();
        runs
    }

    fn thaw(&self, node: usize) {
        self.nodes[node].resume();
    }

    fn crash(&self, node: usize, memory: Memory) -> bool {
        let embedded = &self.nodes[node];
        if !embedded.is_up() {
            return false;
        }
        match memory {
            Memory::Empty => embedded.crash(),
            Memory::Intact => embedded.crash_intact(),
            Memory::RolledBack(changes) => {
                let back = embedded.crash_rolled_back(changes).into_iter();
                let back = back.map(|(key, token)| (node, key, Arc::from(token)));
                lock(&self.excused).extend(back);
            }
        }
        true
    }

    fn restart(&self, node: usize) {
        self.nodes[node].restart().expect("a node without a port needs none");
    }

    fn is_down(&self, node: usize) -> bool {
        !self.nodes[node].is_up()
    }

    fn wipe(&self, node: usize) {
        self.nodes[node].wipe();
    }

    fn meddle(&self, node: usize, key: &str, with: Option<Duration>) {
        drop(match with {
            Some(ttl) => {
                let millis = ttl.as_millis().to_string();
                self.nodes[node].run(&["SET", key, "somebody", "PX", &millis])
            }
            None => self.nodes[node].run(&["DEL", key]),
        });
    }

    fn jump_clock(&self, node: usize, by: Duration, direction: ClockJump) {
        self.nodes[node].jump_clock(by, direction);
    }

    fn set_clock_rate(&self, node: usize, rate: f64) {
        self.nodes[node].set_clock_rate(rate);
    }

    /// Where an old connection cannot be killed, what it delivers is released once more after a TTL, and else expires.
    fn stop_clock(&self, node: usize) {
        marker::begin_anew(&self.nodes[node], self.max_ttl);
        if !self.refuses[node] {
            self.nodes[node].set_clock_rate(0.0);
        }
    }

    fn abstains_for(&self, node: usize) -> Duration {
        marker::abstains_for(&self.nodes[node], self.max_ttl)
    }

    fn fail(&self, node: usize, failing: Failing) {
        let line = (failing == Failing::Yes).then(|| self.errors[node].to_owned());
        self.nodes[node].fail_with(line);
    }

    fn flush_scripts(&self, node: usize) {
        self.nodes[node].flush_scripts();
    }

    fn cut(&self, client: usize, node: usize, requests: Flow, replies: Flow) {
        self.route(client, node).cut(requests, replies);
    }

    /// At both ends, or at the client's only: then what it has sent still arrives.
    fn disconnect(&self, client: usize, node: usize) -> bool {
        let relay = self.route(client, node).relay();
        let connected = relay.connections() > 0;
        match lock(&self.dice).chance(0.5) {
            true => relay.reset(),
            false => relay.hang_up(),
        }
        connected
    }

    fn has_weather(&self) -> bool {
        true
    }

    fn weather(&self, kind: Kind, client: usize, node: usize, length: Duration) -> bool {
        let route = self.route(client, node);
        if route.relay().connections() == 0 {
            return false;
        }
        let spell = match kind {
            Kind::Delay => Spell::Delay(lock(&self.dice).millis(5, 800)),
            Kind::LostRequest => Spell::Loss(Direction::Requests),
            Kind::LostReply => Spell::Loss(Direction::Replies),
            Kind::LateArrival => return self.delay_open_links(route, length),
            _ => return false,
        };
        later(length, route.begin(spell));
        true
    }

    /// Where an old connection could not be killed, the library releases what it may have brought when its TTL is over,
    /// or on the next connection: too late for the end of a simulation, but for the second.
    fn calm(&self) {
        self.routes.iter().flatten().for_each(Route::clear_up);
        for (node, embedded) in self.nodes.iter().enumerate() {
            let embedded = embedded.clone();
            let relays = self.routes.iter().map(|routes| routes[node].relay().clone());
            let relays: Vec<_> = relays.collect();
            later(ALL_ARRIVED, move || {
                if embedded.refuse_kill(false) {
                    relays.iter().for_each(Relay::reset);
                }
            });
        }
    }

    fn keys(&self, node: usize) -> Vec<Key> {
        let texts = self.nodes[node].texts().into_iter();
        let locks = texts.filter(|(key, ..)| !key.starts_with(COUNTERS));
        locks.map(|(key, token, left)| Key { key, token: token.into(), left }).collect()
    }

    fn touched_others(&self, node: usize) -> Vec<String> {
        let touched = self.nodes[node].touched_others().into_iter();
        touched.filter(|key| !key.starts_with(COUNTERS) && key != MARKERS).collect()
    }

    fn together(&self, node: usize) -> u64 {
        self.nodes[node].together()
    }

    fn is_excused(&self, node: usize, key: &Key) -> bool {
        lock(&self.excused).contains(&(node, key.key.clone(), Arc::clone(&key.token)))
    }

    fn is_rolled_back(&self, node: usize, key: &str) -> bool {
        lock(&self.excused).iter().any(|(of, excused, _)| *of == node && excused == key)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fencing::Day;
    use super::*;

    /// What could not be ended may deliver what it holds, however many connections have come and gone since.
    #[tokio::test(start_paused = true)]
    async fn a_connection_that_could_not_be_ended_is_reckoned_with_for_a_ttl_whatever_came_after_it()
     {
        const TTL: Duration = Duration::from_secs(60);
        let (node, process) = (EmbeddedNode::pipe("n"), Process::new(Day::right()));
        let net = PipeNet::new([node.clone()]);
        let builder = Redlock::builder([node.url()]).connector(Arc::new(net.clone()));
        let builder = builder.spawner(Arc::new(process.clone())).without_quarantine();
        let redlock = builder.ttl(TTL).build().unwrap();
        redlock.try_lock("a").await.unwrap().expect("it is free").release().await.unwrap();
        sleep(MS).await;
        let idle = process.live();

        let guard = redlock.try_lock("a").await.unwrap().expect("it is free");
        node.refuse_kill(true);
        net.relay("n").hang_up();
        sleep(TTL / 10).await;
        drop(guard);
        sleep(TTL / 10).await;
        let is_release = |line: &&String| line.starts_with("EVALSHA ");
        let releases = || node.log().iter().filter(is_release).count() - 1;
        assert_eq!(releases(), 1);
        node.refuse_kill(false);
        net.relay("n").reset();
        sleep(TTL / 10).await;
        assert_eq!(process.live(), idle, "what waits takes no task");
        assert_eq!(releases(), 2, "the next one begins with it, since it is owed");
        sleep(TTL).await;
        assert_eq!(releases(), 3, "once more, when nothing can come any more");
        sleep(10 * TTL).await;
        assert_eq!(releases(), 3, "paid, and no more to do");
        assert_eq!(process.live(), idle);
    }
}
