//! What a test gets from `Cluster` and `Node`, on every back end that is here.

use quorlock_testkit::{Backend, Cluster, Error};

use crate::{Checked, SILENCE, backends, client, run_id, serves, until};

async fn each(size: usize, test: impl AsyncFn(Cluster) -> Checked) -> Checked {
    for backend in backends().await? {
        let cluster = Cluster::builder(size).backend(backend).start().await?;
        assert_eq!(cluster.backend(), backend);
        test(cluster).await.map_err(|error| format!("{backend}: {error}"))?;
    }
    Ok(())
}

#[tokio::test]
async fn five_nodes_answer_and_know_nothing_of_each_other() -> Checked {
    each(5, async |cluster| {
        assert_eq!(cluster.len(), 5);
        cluster.node(2).command(&["SET", "k", "v"]).await?;
        for (index, node) in cluster.nodes().iter().enumerate() {
            assert_eq!(node.name(), format!("node-{index}"));
            assert!(node.is_alive().await);
            assert_eq!(node.keys().await?, if index == 2 { vec!["k"] } else { vec![] });
        }
        assert_eq!(cluster.node(2).get("k").await?.as_deref(), Some("v"));
        assert_eq!(cluster.node(3).get("k").await?, None);

        let mut urls = cluster.urls();
        urls.sort();
        urls.dedup();
        assert_eq!(urls.len(), 5);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_paused_node_is_silent_and_executes_afterwards_what_it_was_sent() -> Checked {
    each(1, async |cluster| {
        let node = cluster.node(0);
        let mut connection = client(&node.url()).await?;
        node.pause().await?;
        node.pause().await?;
        assert!(!node.is_alive().await);

        let sent = tokio::spawn(async move {
            let set = redis::Cmd::set("k", "late");
            tokio::time::timeout(SILENCE, set.exec_async(&mut connection)).await
        });
        assert!(sent.await?.is_err(), "a frozen node has answered");

        node.resume().await?;
        node.resume().await?;
        until("the command was executed", async || matches!(node.get("k").await, Ok(Some(_))))
            .await;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_crashed_node_is_gone_and_comes_back_empty_under_its_address() -> Checked {
    each(1, async |cluster| {
        let node = cluster.node(0);
        let (url, before) = (node.url(), run_id(node).await?);
        node.command(&["SET", "k", "v"]).await?;
        node.crash().await?;
        node.crash().await?;
        assert!(!node.is_alive().await);

        node.restart().await?;
        node.restart().await?;
        assert_eq!(node.url(), url);
        assert_eq!(node.keys().await?, Vec::<String>::new());
        assert_ne!(run_id(node).await?, before);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_frozen_node_can_crash_and_is_awake_when_it_is_back() -> Checked {
    each(1, async |cluster| {
        let node = cluster.node(0);
        node.pause().await?;
        node.crash().await?;
        node.restart().await?;
        assert!(node.is_alive().await);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_bounced_node_is_another_process_and_a_wiped_one_is_the_same() -> Checked {
    each(1, async |cluster| {
        let node = cluster.node(0);
        let first = run_id(node).await?;
        node.command(&["SET", "k", "v"]).await?;
        node.wipe().await?;
        assert_eq!(node.get("k").await?, None);
        assert_eq!(run_id(node).await?, first);

        node.bounce().await?;
        assert_ne!(run_id(node).await?, first);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_node_forgets_its_scripts_when_they_are_flushed() -> Checked {
    each(1, async |cluster| {
        let node = cluster.node(0);
        let sha: String =
            redis::from_redis_value(node.command(&["SCRIPT", "LOAD", "return 1"]).await?)?;
        node.command(&["EVALSHA", &sha, "0"]).await?;
        node.flush_scripts().await?;
        let refused = node.command(&["EVALSHA", &sha, "0"]).await.unwrap_err();
        assert!(
            refused.to_string().contains("NOSCRIPT") || format!("{refused:?}").contains("NoScript"),
            "{refused:?}"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_client_reaches_a_proxied_node_through_the_proxy_and_the_observer_does_not() -> Checked
{
    for backend in backends().await? {
        let cluster = Cluster::builder(3).backend(backend).proxied().start().await?;
        let mut connection = client(&cluster.urls()[1]).await?;
        redis::cmd("SET").arg("k").arg("v").exec_async(&mut connection).await?;
        let seen = cluster.proxy(1).requests();
        assert!(seen >= 1, "{backend}");

        assert_eq!(cluster.node(1).keys().await?, ["k"]);
        assert_eq!(cluster.proxy(1).requests(), seen, "{backend}");
    }
    Ok(())
}

#[tokio::test]
async fn an_unpooled_cluster_is_gone_when_it_is_dropped() -> Checked {
    for backend in backends().await? {
        let cluster = Cluster::builder(1).backend(backend).unpooled().start().await?;
        let url = cluster.node(0).url();
        assert!(serves(&url).await);
        drop(cluster);
        until("nobody serves", async || !serves(&url).await).await;
    }
    Ok(())
}

#[tokio::test]
async fn the_logs_of_a_failed_test_are_kept() -> Checked {
    let Some(&backend) = backends().await?.iter().find(|backend| **backend != Backend::Embedded)
    else {
        eprintln!("skipped: no real servers here");
        return Ok(());
    };
    let cluster = Cluster::builder(2).backend(backend).start().await?;
    let failing = tokio::spawn(async move {
        let _cluster = cluster;
        panic!("on purpose: the logs of this cluster are looked for");
    });
    assert!(failing.await.unwrap_err().is_panic());

    let mine = format!("quorlock-failed-{}-", std::process::id());
    let entries = std::fs::read_dir(std::env::temp_dir())?.flatten();
    let folder =
        entries.map(|entry| entry.path()).find(|path| path.to_string_lossy().contains(&mine));
    let folder = folder.expect("the logs are in a folder with this process's number");
    let log = std::fs::read_to_string(folder.join("node-1.log"))?;
    std::fs::remove_dir_all(folder)?;
    assert!(log.contains("Ready to accept connections"), "{log}");
    Ok(())
}

#[tokio::test]
async fn a_cluster_of_no_nodes_or_of_very_many_is_refused() {
    for size in [0, 17] {
        let refused = Cluster::start(size).await;
        assert!(matches!(refused, Err(Error::ClusterSize(said)) if said == size));
    }
}
