//! Every fault, on every back end that is here: it is felt while it lasts, and not afterwards.

use std::time::Duration;

use quorlock_testkit::embedded::ClockJump;
use quorlock_testkit::proxy::Direction;
use quorlock_testkit::{Cluster, Error, Fault};

use crate::{Checked, SILENCE, backends, client, run_id, until};

async fn serves(cluster: &Cluster, index: usize) -> bool {
    crate::serves(&cluster.urls()[index]).await
}

/// The faults that silence a node: of node 1.
fn silencing() -> [Fault; 6] {
    [
        Fault::Pause(1),
        Fault::Crash(1),
        Fault::Partition(1),
        Fault::PartitionOneway(1, Direction::Requests),
        Fault::PartitionOneway(1, Direction::Replies),
        Fault::Hold(1),
    ]
}

#[tokio::test]
async fn a_silencing_fault_silences_one_node_until_it_is_healed() -> Checked {
    for backend in backends().await? {
        let cluster = Cluster::builder(2).backend(backend).proxied().start().await?;
        for fault in silencing() {
            assert!(fault.available(&cluster), "{fault}");
            until("both nodes serve", async || {
                serves(&cluster, 0).await && serves(&cluster, 1).await
            })
            .await;

            fault.inject(&cluster).await?;
            assert!(!serves(&cluster, 1).await, "{backend}: {fault} is not felt");
            assert!(serves(&cluster, 0).await, "{backend}: {fault} is felt by another node");

            fault.heal(&cluster).await?;
            until("the node serves again", async || serves(&cluster, 1).await).await;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_container_is_cut_off_without_a_proxy_and_keeps_its_memory_and_address() -> Checked {
    for backend in backends().await? {
        let cluster = Cluster::builder(2).backend(backend).start().await?;
        let fault = Fault::Partition(1);
        if !fault.available(&cluster) {
            eprintln!("skipped: {backend} have no network");
            continue;
        }
        let before = run_id(cluster.node(1)).await?;
        let mut connection = client(&cluster.urls()[1]).await?;
        fault.inject(&cluster).await?;
        fault.inject(&cluster).await?;
        assert!(!serves(&cluster, 1).await);
        let ping = redis::Cmd::ping();
        let asking = ping.exec_async(&mut connection);
        assert!(!matches!(tokio::time::timeout(SILENCE, asking).await, Ok(Ok(()))));

        fault.heal(&cluster).await?;
        assert!(serves(&cluster, 1).await);
        assert_eq!(run_id(cluster.node(1)).await?, before);
    }
    Ok(())
}

#[tokio::test]
async fn a_bounce_a_wipe_and_a_flush_are_over_at_once() -> Checked {
    for backend in backends().await? {
        let cluster = Cluster::builder(2).backend(backend).start().await?;
        for fault in [Fault::Bounce(0), Fault::Wipe(0), Fault::FlushScripts(0)] {
            let node = cluster.node(0);
            node.command(&["SET", "k", "v"]).await?;
            fault.inject(&cluster).await?;
            assert!(node.is_alive().await, "{backend}: {fault}");
            assert_eq!(
                node.keys().await?.is_empty(),
                fault != Fault::FlushScripts(0),
                "{backend}: {fault}"
            );
            fault.heal(&cluster).await?;
            assert!(node.is_alive().await, "{backend}: {fault}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_slow_wire_delays_each_way_until_it_is_healed() -> Checked {
    let delay = Duration::from_millis(150);
    for backend in backends().await? {
        let cluster = Cluster::builder(1).backend(backend).proxied().start().await?;
        let mut connection = client(&cluster.urls()[0]).await?;
        let fault = Fault::Slow(0, delay);
        fault.inject(&cluster).await?;
        let ping = redis::Cmd::ping();
        let early = tokio::time::timeout(delay, ping.exec_async(&mut connection)).await;
        assert!(early.is_err(), "{backend}: answered within one way's delay");
        fault.heal(&cluster).await?;
        until("it serves at once", async || {
            matches!(
                tokio::time::timeout(delay, ping.exec_async(&mut connection)).await,
                Ok(Ok(()))
            )
        })
        .await;
    }
    Ok(())
}

#[tokio::test]
async fn a_jump_of_the_clock_makes_keys_expire_and_jumping_back_is_possible() -> Checked {
    for backend in backends().await? {
        let cluster = Cluster::builder(1).backend(backend).start().await?;
        let fault = Fault::JumpClock(0, ClockJump::Forward, Duration::from_secs(60));
        if !fault.available(&cluster) {
            eprintln!("skipped: the clock of {backend} is the machine's");
            continue;
        }
        let node = cluster.node(0);
        node.command(&["SET", "k", "v", "PX", "30000"]).await?;
        fault.inject(&cluster).await?;
        assert_eq!(node.get("k").await?, None);
        node.command(&["SET", "k", "v", "PX", "30000"]).await?;
        fault.heal(&cluster).await?;
        let left: i64 = redis::from_redis_value(node.command(&["PTTL", "k"]).await?)?;
        assert!(left > 60_000, "{left} ms");
    }
    Ok(())
}

#[tokio::test]
async fn a_fault_that_cannot_be_had_is_an_error_and_changes_nothing() -> Checked {
    for backend in backends().await? {
        let cluster = Cluster::builder(1).backend(backend).start().await?;
        let impossible = [
            Fault::Hold(0),
            Fault::Slow(0, SILENCE),
            Fault::PartitionOneway(0, Direction::Replies),
            Fault::Pause(1),
        ];
        for fault in impossible {
            assert!(!fault.available(&cluster), "{backend}: {fault}");
            let refused = fault.inject(&cluster).await;
            assert!(
                matches!(refused, Err(Error::FaultUnavailable { .. })),
                "{backend}: {refused:?}"
            );
        }
        assert!(serves(&cluster, 0).await);
    }
    Ok(())
}

#[test]
fn a_fault_says_its_verb_and_its_node() {
    assert_eq!(Fault::Pause(3).to_string(), "pause node-3");
    assert_eq!(
        Fault::PartitionOneway(0, Direction::Replies).to_string(),
        "partition_oneway node-0 (Replies)"
    );
    assert_eq!(Fault::Slow(2, SILENCE).to_string(), "slow node-2 by 300ms");
}
