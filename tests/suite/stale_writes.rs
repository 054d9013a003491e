//! The store that a lock protects, and a holder that writes to it after it was stopped for longer than its lock lasted. What
//! no lock can prevent, and what a fencing token does about it (promise G2).

use quorlock_testkit::{Cluster, Node};

use crate::other_process::OtherProcess;
use crate::support::{cluster, eventually, holders};

const RESOURCE: &str = "invoice:42";
const NODES: usize = 5;

/// Remembers the highest token that it has seen, and refuses what is below.
#[derive(Default)]
struct Store {
    highest: u64,
    writer: &'static str,
    refused: usize,
}

impl Store {
    fn write(&mut self, writer: &'static str, token: u64) {
        if token < self.highest {
            self.refused += 1;
            return;
        }
        (self.highest, self.writer) = (token, writer);
    }
}

fn start(cluster: &Cluster, fenced: &str) -> OtherProcess {
    // Tokens are for when all else has failed: nodes that forgot vote here.
    let trusting = ("--quarantine", "off");
    let options = [("--resource", RESOURCE), ("--ttl", "600"), ("--fenced", fenced), trusting];
    OtherProcess::start("hold", &cluster.urls(), &options)
}

/// What it writes with, whatever it says before.
async fn written(process: &mut OtherProcess) -> u64 {
    loop {
        let line = process.hear().await;
        if let Some(token) = line.strip_prefix("write ") {
            return token.parse().expect("a number");
        }
        assert!(line.starts_with("acquired") || line.starts_with("lost"), "{line}");
    }
}

/// One after the other: nothing, a node that freezes, one that restarts with nothing, two that are away.
async fn strike(turn: usize, cluster: &Cluster) {
    let nodes: [&Node; 2] = [&cluster.nodes()[turn % NODES], &cluster.nodes()[(turn + 2) % NODES]];
    match turn % 4 {
        0 => {}
        1 => nodes[0].pause().await.expect("it runs"),
        2 => {
            nodes[0].crash().await.expect("it runs");
            nodes[0].restart().await.expect("it can");
        }
        _ => {
            nodes[0].pause().await.expect("it runs");
            nodes[1].crash().await.expect("it runs");
        }
    }
}

async fn heal(turn: usize, cluster: &Cluster) {
    let nodes: [&Node; 2] = [&cluster.nodes()[turn % NODES], &cluster.nodes()[(turn + 2) % NODES]];
    if turn % 4 == 1 || turn % 4 == 3 {
        nodes[0].resume().await.expect("it was paused");
    }
    if turn % 4 == 3 {
        nodes[1].restart().await.expect("it was down");
    }
}

/// A holder is stopped, loses its lock, and writes when it goes on; meanwhile another has held it and written.
async fn stale_write(turn: usize, cluster: &Cluster, fenced: &str, store: &mut Store) {
    let mut stale = start(cluster, fenced);
    stale.expect("acquired").await;
    eventually("all that can hold it", async || holders(cluster, RESOURCE).await == "11111").await;
    stale.stall();
    strike(turn, cluster).await;
    let mut later = start(cluster, fenced);
    later.expect("acquired").await;
    later.tell("write").await;
    store.write("the later one", written(&mut later).await);
    stale.tell("write").await;
    stale.go_on();
    store.write("the stale one", written(&mut stale).await);
    heal(turn, cluster).await;
    later.tell("release").await;
    later.end().await;
    stale.end().await;
    eventually("nothing is left", async || holders(cluster, RESOURCE).await == "00000").await;
}

#[tokio::test]
async fn g2_a_fenced_store_accepts_no_write_of_a_stopped_holder() {
    let (cluster, mut store) = (cluster(NODES).await, Store::default());
    for turn in 0..8 {
        stale_write(turn, &cluster, "true", &mut store).await;
        assert_eq!((store.writer, store.refused), ("the later one", turn + 1));
    }
}

/// The same without tokens: if this fails, the test above proves nothing.
#[tokio::test]
async fn without_a_token_the_write_of_a_stopped_holder_overwrites_a_later_one() {
    let (cluster, mut store) = (cluster(NODES).await, Store::default());
    for turn in 0..2 {
        stale_write(turn, &cluster, "false", &mut store).await;
        assert_eq!((store.writer, store.refused), ("the stale one", 0));
    }
}
