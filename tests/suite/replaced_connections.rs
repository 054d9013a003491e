//! No key is left (promise G4) where a connection is given up with commands still on their way and replaced meanwhile:
//! what arrives late must be harmless. Keys live for an hour here, so that none goes by itself.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use quorlock::seam::{Abort, Connector, Server, Wire};
use quorlock::{Event, Guard, Redlock};
use quorlock_testkit::proxy::{Proxy, Relay};
use quorlock_testkit::{Backend, Cluster, Node};
use tokio::net::TcpStream;

use crate::support::{
    BOUND, Dice, Events, TTL, cluster, cluster_in_plain, connected, eventually, node_name, on,
    proxied,
};

const HOUR: Duration = Duration::from_secs(3600);
const LIMIT: Duration = Duration::from_millis(100);
/// As many as repetitions are asked for: each has connections of its own, and a different moment.
const HANDLES: usize = 10;

/// A handle with all that it does while two of its nodes are cut off.
struct Client {
    redlock: Redlock,
    events: Events,
    /// How many events there were when the fault began.
    mark: usize,
    before: Option<Guard>,
    during: Option<Guard>,
}

impl Client {
    async fn new(builder: quorlock::Builder) -> Self {
        let (redlock, events) = connected(builder.ttl(HOUR).time_limit(LIMIT), 5).await;
        Self { redlock, events, mark: 0, before: None, during: None }
    }

    /// Whether it has given up its connection with the node since the fault began.
    fn gave_up(&self, name: &str) -> bool {
        let down =
            |event: &Event| matches!(event, Event::NodeDown { error, .. } if error.node() == name);
        self.events.all()[self.mark..].iter().any(down)
    }

    /// The lock that is held when the fault begins.
    async fn prepare(&mut self, number: usize) {
        let guard = self.redlock.lock(format!("before {number}")).await;
        self.before = Some(guard.expect("all is well"));
        self.mark = self.events.all().len();
    }

    /// Something is sent to every node, and dropped or kept, each time in another way.
    async fn act(&mut self, number: usize) {
        let resource = format!("during {number}");
        match number % 6 {
            0 => drop(self.redlock.try_lock(resource).into_future().now_or_never()),
            1 => drop(self.redlock.try_lock([&*resource, "second"]).into_future().now_or_never()),
            2 => drop(self.redlock.lock(resource).await),
            3 => drop(self.before.take().expect("it was locked").release().await),
            4 => {
                let guard = self.before.take().expect("it was locked");
                drop(guard.extend().now_or_never());
            }
            _ => {
                let guard = self.redlock.lock(resource).await;
                self.during = Some(guard.expect("three nodes are well"));
            }
        }
    }

    fn let_go(&mut self) {
        drop(self.before.take());
        drop(self.during.take());
    }
}

async fn clients(builder: impl Fn() -> quorlock::Builder) -> Vec<Client> {
    let mut clients = join_all((0..HANDLES).map(|_| Client::new(builder()))).await;
    for (number, client) in clients.iter_mut().enumerate() {
        client.prepare(number).await;
    }
    clients
}

/// Waits until every handle has given up its connections with these nodes.
async fn until_given_up(clients: &[Client], names: &[String]) {
    let given_up = |client: &Client| names.iter().all(|name| client.gave_up(name));
    eventually("the connections are given up", async || clients.iter().all(given_up)).await;
}

/// Waits until every handle is connected with these nodes.
async fn until_back(clients: &[Client], names: &[String]) {
    let back = |client: &Client| names.iter().all(|name| client.events.is_connected(name));
    eventually("the connections are replaced", async || clients.iter().all(back)).await;
}

/// Whether a client of ours is connected with a node, as the node sees it.
async fn has_clients(node: &Node) -> bool {
    let list = node.command(&["CLIENT", "LIST"]).await.expect("the node answers");
    let list: String = redis::from_redis_value(list).expect("it is text");
    list.contains("name=quorlock:")
}

/// Closes all handles, waits until every connection is gone from the nodes, so that nothing can arrive any more, and
/// looks for keys.
async fn assert_clean(clients: Vec<Client>, cluster: &Cluster) {
    for client in clients {
        client.redlock.close(BOUND).await.expect("every release is confirmed");
    }
    for node in cluster.nodes() {
        eventually("every connection has ended", async || !has_clients(node).await).await;
        let keys = node.keys().await.expect("the node answers");
        assert!(keys.is_empty(), "{} still has {keys:?}", node.name());
    }
}

/// Two wires are cut; every handle gives the connections behind them up; then both are repaired.
async fn outlast(cuts: [fn(&Relay); 2]) {
    let cluster = proxied(5).await;
    let names = [0, 1].map(|i| node_name(&cluster, i));
    let mut clients = clients(|| on(cluster.urls())).await;
    cuts.iter().enumerate().for_each(|(i, cut)| cut(cluster.proxy(i)));
    for (number, client) in clients.iter_mut().enumerate() {
        client.act(number).await;
    }
    until_given_up(&clients, &names).await;
    // Half of the guards go while the nodes are away, half when they are back.
    clients.iter_mut().skip(HANDLES / 2).for_each(Client::let_go);
    (0..2).for_each(|i| cluster.proxy(i).repair());
    until_back(&clients, &names).await;
    clients.iter_mut().for_each(Client::let_go);
    assert_clean(clients, &cluster).await;
}

#[tokio::test]
async fn g4_a_wire_that_holds_back_or_loses_everything_leaves_no_key() {
    outlast([|wire| wire.hold(), |wire| wire.partition()]).await;
}

#[tokio::test]
async fn g4_a_wire_that_loses_one_direction_leaves_no_key() {
    outlast([|wire| wire.drop_requests(), |wire| wire.drop_replies()]).await;
}

#[tokio::test]
async fn g4_a_wire_that_is_reset_leaves_no_key() {
    let refuse = |wire: &Relay| {
        wire.refuse();
        wire.reset();
    };
    let silence = |wire: &Relay| {
        wire.accept_then_silence();
        wire.reset();
    };
    outlast([refuse, silence]).await;
}

/// What a stopped process has in its sockets is executed when it goes on, also from connections that are closed.
#[tokio::test]
async fn g4_nodes_that_freeze_for_a_second_are_left_with_no_key() {
    let cluster = cluster(5).await;
    let names = [0, 1].map(|i| node_name(&cluster, i));
    let mut clients = clients(|| on(cluster.urls())).await;
    for i in 0..2 {
        cluster.node(i).pause().await.unwrap();
    }
    let a_second = tokio::time::sleep(Duration::from_secs(1));
    for (number, client) in clients.iter_mut().enumerate() {
        client.act(number).await;
    }
    until_given_up(&clients, &names).await;
    clients.iter_mut().skip(HANDLES / 2).for_each(Client::let_go);
    a_second.await;
    for i in 0..2 {
        cluster.node(i).resume().await.unwrap();
    }
    until_back(&clients, &names).await;
    clients.iter_mut().for_each(Client::let_go);
    assert_clean(clients, &cluster).await;
}

/// Leads the first connection to a node through a proxy, later ones straight to it.
#[derive(Debug)]
struct Detour {
    proxy: SocketAddr,
    node: SocketAddr,
    taken: Mutex<BTreeSet<SocketAddr>>,
}

impl Connector for Detour {
    fn connect(
        &self,
        server: Server,
        _abort: Abort,
    ) -> BoxFuture<'static, io::Result<Box<dyn Wire>>> {
        let Server::Tcp { host, port } = server else { unreachable!("all nodes listen on TCP") };
        let straight = SocketAddr::new(host.parse().expect("nodes have addresses"), port);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = straight == self.node && taken.insert(straight);
        let to = if is_first { self.proxy } else { straight };
        Box::pin(async move { Ok(Box::new(TcpStream::connect(to).await?) as Box<dyn Wire>) })
    }
}

/// What retransmissions after a partition do: the commands of the old connection arrive when the new one has long been
/// in use, and the release with it.
#[tokio::test]
async fn g4_a_lock_that_arrives_after_its_release_on_a_newer_connection_leaves_no_key() {
    let cluster = cluster_in_plain(5).await;
    let node = cluster.node(0).addr();
    let proxy = Proxy::start(node).await.unwrap();
    let detour = || Detour { proxy: proxy.addr(), node, taken: Mutex::default() };
    let mut clients = clients(|| on(cluster.urls()).connector(Arc::new(detour()))).await;
    let names = [node_name(&cluster, 0)];
    proxy.hold();
    for (number, client) in clients.iter_mut().enumerate() {
        client.act(number).await;
    }
    until_given_up(&clients, &names).await;
    clients.iter_mut().skip(HANDLES / 2).for_each(Client::let_go);
    until_back(&clients, &names).await;
    clients.iter_mut().for_each(Client::let_go);
    for client in &clients {
        client.redlock.close(BOUND).await.unwrap();
    }
    assert!(proxy.unanswered() > HANDLES as u64, "nothing was held back, so this shows nothing");
    proxy.release();
    assert_clean(clients, &cluster).await;
}

/// Where the old connection cannot be killed, the release is sent once more when what came late has had its time: before
/// the key would expire by itself.
#[tokio::test]
async fn g4_without_the_right_to_kill_a_lock_that_arrives_late_is_released_again() {
    let cluster = cluster_in_plain(5).await;
    if cluster.backend() == Backend::Embedded {
        return eprintln!("skipped: embedded nodes know no users, so all have every right");
    }
    for node in cluster.nodes() {
        // Redis 6.2 takes away whole commands only, and gives parts of them.
        let rights = ["+@all", "-client", "+client|setname", "+client|id"];
        let user = [&["ACL", "SETUSER", "limited", "on", ">secret", "~*"], &rights[..]].concat();
        node.command(&user).await.unwrap();
        node.command(&["CONFIG", "RESETSTAT"]).await.unwrap();
    }
    let node = cluster.node(0).addr();
    let proxy = Proxy::start(node).await.unwrap();
    let detour = Detour { proxy: proxy.addr(), node, taken: Mutex::default() };
    let urls = cluster.nodes().iter().map(|node| format!("redis://limited:secret@{}", node.addr()));
    let builder = on(urls).connector(Arc::new(detour)).ttl(TTL).time_limit(LIMIT);
    let (redlock, events) = connected(builder, 5).await;
    proxy.hold();
    let guard = redlock.lock("a").await.unwrap();
    let left = |event: &Event| matches!(event, Event::OldConnectionLeft { .. });
    eventually("the connection is replaced", async || events.count(left) == 1).await;
    drop(guard);
    tokio::time::sleep(TTL / 2).await;
    proxy.release();
    let node = cluster.node(0);
    eventually("it arrives", async || node.get("a").await.unwrap().is_some()).await;
    eventually("it goes", async || node.get("a").await.unwrap().is_none()).await;
    let expired = node.command(&["INFO", "stats"]).await.unwrap();
    let expired: String = redis::from_redis_value(expired).unwrap();
    assert!(expired.contains("expired_keys:0\r"), "it was not released: {expired}");
    redlock.close(BOUND).await.unwrap();
}

const CUTS: [fn(&Relay); 7] = [
    Relay::hold,
    Relay::partition,
    Relay::drop_requests,
    Relay::drop_replies,
    Relay::reset,
    Relay::refuse,
    Relay::accept_then_silence,
];

/// Locks, extends and releases, and drops what it began whenever its time is over.
async fn work(redlock: &Redlock, number: usize, dice: &Mutex<Dice>) {
    let work = async {
        let guard = redlock.lock(format!("of worker {number}")).await?;
        guard.extend().await?;
        guard.release().await
    };
    let limit = dice.lock().unwrap_or_else(PoisonError::into_inner).below(2 * LIMIT);
    drop(tokio::time::timeout(limit, work).await);
}

#[tokio::test]
async fn g4_no_series_of_cuts_leaves_a_key() {
    let cluster = proxied(5).await;
    let seed = u64::from(std::process::id());
    eprintln!("seed {seed}");
    let dice = Mutex::new(Dice::new(seed));
    let draw = |end| dice.lock().unwrap_or_else(PoisonError::into_inner).up_to(end);
    let client = Client::new(on(cluster.urls())).await;
    let cutting = async {
        for _ in 0..12 {
            let cut = [draw(5), draw(5)];
            for i in cut {
                CUTS[draw(CUTS.len())](cluster.proxy(i));
            }
            tokio::time::sleep(Duration::from_millis(50 + draw(300) as u64)).await;
            cut.iter().for_each(|i| cluster.proxy(*i).repair());
        }
    };
    let workers = join_all((0..4).map(async |number| {
        loop {
            work(&client.redlock, number, &dice).await;
        }
    }));
    tokio::select! {
        () = cutting => {}
        _ = workers => {}
    }
    assert_clean(vec![client], &cluster).await;
}
