//! Machines are replaced by others under the names of the old ones, while locks are held and asked for. A node that comes back
//! as itself is `quarantine.rs`'s.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quorlock::{Event, Redlock, Standing};
use quorlock_testkit::Cluster;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::support::{Events, cluster_in_plain, eventually, holders, on};

const NODES: usize = 5;
const TTL: Duration = Duration::from_secs(2);

/// An address that leads to one server after the other, as a name does.
struct Name {
    address: SocketAddr,
    leads_to: Arc<Mutex<SocketAddr>>,
    // Dropped with it, and all connections with it.
    _serving: JoinSet<()>,
}

impl Name {
    async fn of(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
        let address = listener.local_addr().expect("it is bound");
        let leads_to = Arc::new(Mutex::new(server));
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, Arc::clone(&leads_to)));
        Self { address, leads_to, _serving: serving }
    }

    fn leads_to(&self, server: SocketAddr) {
        *self.leads_to.lock().unwrap_or_else(PoisonError::into_inner) = server;
    }
}

async fn serve(listener: TcpListener, leads_to: Arc<Mutex<SocketAddr>>) {
    let mut connections = JoinSet::new();
    while let Ok((mut near, _)) = listener.accept().await {
        let to = *leads_to.lock().unwrap_or_else(PoisonError::into_inner);
        connections.spawn(async move {
            let Ok(mut far) = TcpStream::connect(to).await else { return };
            // Ends when one of them does.
            let _ = copy_bidirectional(&mut near, &mut far).await;
        });
    }
}

/// Takes and gives back a lock for as long as it is told to; says how often, and asserts that nobody else has it then.
async fn load(redlock: Redlock, inside: Arc<AtomicUsize>, goes_on: Arc<AtomicBool>) -> usize {
    let mut taken = 0;
    while goes_on.load(Ordering::SeqCst) {
        match redlock.try_lock("work").await {
            Ok(Some(guard)) => {
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "somebody is inside");
                tokio::task::yield_now().await;
                inside.fetch_sub(1, Ordering::SeqCst);
                taken += 1;
                drop(guard);
            }
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
        let held = redlock.try_lock("held").await;
        assert!(!matches!(held, Ok(Some(_))), "two holders");
    }
    taken
}

#[tokio::test]
async fn all_nodes_are_replaced_one_after_the_other_under_load_and_one_guard_is_kept() {
    let old = cluster_in_plain(NODES).await;
    let new = Cluster::builder(NODES).least_rights_in_plain().start().await.unwrap();
    let names =
        futures::future::join_all(old.nodes().iter().map(|node| Name::of(node.addr()))).await;
    let urls: Vec<_> = std::iter::zip(old.nodes(), &names)
        .map(|(node, name)| {
            node.client_url().replace(&node.addr().to_string(), &name.address.to_string())
        })
        .collect();
    let handle = |events: &Events| {
        let builder = on(urls.clone()).prefix("replaced/").ttl(TTL).max_ttl(TTL);
        builder.observer(events.clone()).build().unwrap()
    };
    let (events, theirs) = (Events::default(), Events::default());
    let redlock = handle(&events);
    redlock.bootstrap().await.unwrap();
    let guard = redlock.lock("held").await.unwrap();
    let (inside, goes_on) = (Arc::<AtomicUsize>::default(), Arc::new(AtomicBool::new(true)));
    let mut rivals = JoinSet::new();
    for _ in 0..2 {
        rivals.spawn(load(handle(&theirs), Arc::clone(&inside), Arc::clone(&goes_on)));
    }
    for (index, name) in names.iter().enumerate() {
        let (node, _) = &redlock.nodes()[index];
        let of_it = |event: &Event| matches!(event, Event::NodeConnected { node: of, .. } if **of == **node);
        let before = events.count(of_it);
        old.node(index).crash().await.unwrap();
        name.leads_to(new.node(index).addr());
        eventually("the new one is connected", async || events.count(of_it) > before).await;
        let standing = || redlock.nodes()[index].1.clone();
        eventually("it votes", async || matches!(standing(), Standing::Voting)).await;
    }
    // Whoever comes to a new one first is told so; who comes late finds it voting.
    let is_quarantined = |event: &Event| matches!(event, Event::NodeQuarantined { .. });
    assert!(
        events.count(is_quarantined) + theirs.count(is_quarantined) >= NODES,
        "each is not trusted at first"
    );
    goes_on.store(false, Ordering::SeqCst);
    let taken: usize = rivals.join_all().await.into_iter().sum();
    assert!(taken > NODES, "{taken}: it went on all the while");
    assert!(guard.is_valid());
    let key = "replaced/held";
    eventually("it is on all new nodes", async || holders(&new, key).await == "11111").await;
    guard.release().await.unwrap();
}
