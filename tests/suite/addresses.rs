//! The ways to a node that are not the usual one: sockets, IPv6, database numbers, the older protocol; and what the node
//! shows of who came.

use std::net::{Ipv6Addr, TcpListener};
use std::process::Command;

use quorlock::Event;
use quorlock_testkit::{Backend, Cluster, Node, USER};

use crate::other_process::OtherProcess;
use crate::support::{
    MINUTE, assert_no_residue, by, cluster, cluster_in_plain, connected, eventually, holders,
    node_names, on, patient,
};

async fn asked(node: &Node, command: &[&str]) -> String {
    let answer = node.command(command).await.expect("the node answers");
    redis::from_redis_value(answer).expect("it is text")
}

/// Takes a lock by these URLs on all nodes, extends it, and gives it back.
async fn assert_locks(cluster: &Cluster, urls: Vec<String>) {
    let (redlock, events) = connected(by(cluster, urls).ttl(MINUTE), cluster.len()).await;
    let guard = redlock.lock(["a", "b"]).await.expect("they are free");
    guard.extend().await.expect("it is held");
    assert!(guard.release().await.expect("it is held").deleted() >= 2);
    redlock.close(MINUTE).await.expect("all is confirmed");
    assert_eq!(events.count(|event| matches!(event, Event::NodeDown { .. })), 0);
}

/// Processes, or nothing and why.
async fn processes(size: usize, why: &str) -> Option<Cluster> {
    let cluster = cluster_in_plain(size).await;
    if cluster.backend() != Backend::Processes {
        eprintln!("skipped: {why}");
        return None;
    }
    Some(cluster)
}

#[tokio::test]
async fn nodes_are_locked_over_unix_sockets() {
    let Some(cluster) = processes(3, "only processes have sockets in this file system").await
    else {
        return;
    };
    let sockets = cluster.nodes().iter().map(|node| node.socket().expect("it is a process"));
    assert_locks(&cluster, sockets.map(|socket| format!("unix://{}", socket.display())).collect())
        .await;
    for node in cluster.nodes() {
        assert_eq!(node.keys().await.unwrap(), Vec::<String>::new());
        let stats = asked(node, &["INFO", "commandstats"]).await;
        assert!(stats.contains("cmdstat_evalsha:"), "{} was locked: {stats}", node.name());
    }
}

#[tokio::test]
async fn nodes_are_locked_over_ipv6() {
    if let Err(error) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) {
        return eprintln!("skipped: this machine has no IPv6: {error}");
    }
    let Some(cluster) = processes(3, "only processes can be told where to listen").await else {
        return;
    };
    let mut urls = Vec::new();
    for node in cluster.nodes() {
        let told = node.command(&["CONFIG", "SET", "bind", "127.0.0.1 ::1"]).await;
        if let Err(error) = told {
            return eprintln!(
                "skipped: this server listens elsewhere only when it starts: {error}"
            );
        }
        urls.push(node.client_url().replace("127.0.0.1", "[::1]"));
    }
    assert_locks(&cluster, urls).await;
}

#[tokio::test]
async fn a_database_number_keeps_locks_apart() {
    let cluster = cluster_in_plain(3).await;
    if cluster.backend() == Backend::Processes {
        for node in cluster.nodes() {
            node.command(&["ACL", "SETUSER", USER, "+select"]).await.unwrap();
        }
    }
    let urls = |number: u8| cluster.urls().into_iter().map(move |url| format!("{url}/{number}"));
    let third = on(urls(3)).ttl(MINUTE);
    third.build().unwrap().bootstrap().await.unwrap();
    let (third, _) = connected(on(urls(3)).ttl(MINUTE), 3).await;
    let guard = third.lock("a").await.unwrap();
    assert_eq!(holders(&cluster, "a").await, "000", "it is not in database 0");
    assert!(third.try_lock("a").await.unwrap().is_none());
    let (first, _) = connected(patient(&cluster), 3).await;
    first.try_lock("a").await.unwrap().expect("there it is free").release().await.unwrap();
    guard.release().await.unwrap();
    third.close(MINUTE).await.unwrap();
    assert_no_residue(&first, &cluster).await;
}

#[tokio::test]
async fn both_protocols_lock() {
    let cluster = cluster_in_plain(3).await;
    for protocol in ["resp2", "resp3"] {
        let urls = cluster.urls().into_iter().map(|url| format!("{url}/?protocol={protocol}"));
        assert_locks(&cluster, urls.collect()).await;
    }
}

/// As an operator sees it who looks for the holder of a lock.
#[tokio::test]
async fn a_node_shows_whose_connections_it_has() {
    let cluster = cluster(3).await;
    if cluster.backend() == Backend::Embedded {
        return eprintln!("skipped: embedded nodes show the name only, and no user");
    }
    let (redlock, _) = connected(patient(&cluster), 3).await;
    let _guard = redlock.lock("a").await.unwrap();
    for node in cluster.nodes() {
        eventually("it holds it", async || node.get("a").await.unwrap().is_some()).await;
        let token = node.get("a").await.unwrap().unwrap();
        let name = format!("name=quorlock:{}", token.split(':').next().unwrap());
        let list = asked(node, &["CLIENT", "LIST"]).await;
        let ours = list.lines().find(|line| line.contains(&name)).expect(&list);
        if cluster.backend() == Backend::Processes {
            assert!(ours.contains(&format!(" user={USER}")), "{ours}");
        }
        // Redis 7.2 and later know it; before, nobody can tell them.
        if ours.contains("lib-name=") {
            assert!(ours.contains("lib-name=quorlock"), "{ours}");
        }
    }
}

/// Runs what follows with an `/etc/hosts` of its own: the file that is named first.
const OWN_HOSTS: [&str; 5] =
    ["unshare", "--mount", "sh", "-ec", "mount --bind \"$0\" /etc/hosts; exec \"$@\""];

/// A dead machine is replaced by one with another address, under its old name.
#[tokio::test]
async fn a_name_that_moves_to_another_address_is_followed_while_a_lock_is_held() {
    let folder = tempfile::tempdir().unwrap();
    let hosts = folder.path().join("hosts").display().to_string();
    let point_to = |address| std::fs::write(&hosts, format!("{address} node-1.test\n")).unwrap();
    point_to("127.0.0.1");
    let own_hosts = [&OWN_HOSTS[..], &[hosts.as_str()]].concat();
    let can = Command::new(own_hosts[0]).args(&own_hosts[1..]).arg("true").status();
    if !can.is_ok_and(|status| status.success()) {
        return eprintln!("skipped: nobody here can be given an /etc/hosts of its own");
    }
    let cluster = cluster_in_plain(3).await;
    if cluster.backend() == Backend::Containers {
        return eprintln!("skipped: a container's address is not free on this machine");
    }
    let spare = cluster_in_plain(1).await;
    let mut urls = cluster.urls();
    let port: u16 = urls[0].rsplit(':').next().unwrap().parse().unwrap();
    urls[0] = urls[0].replace("127.0.0.1", "node-1.test");
    let moved = forward(("127.0.0.2", port), spare.nodes()[0].url()).await;

    let names = node_names(&cluster).join(",");
    let options = [("--resource", "a"), ("--ttl", "2000"), ("--names", &*names)];
    let mut client = OtherProcess::start_under(&own_hosts, "hold", &urls, &options);
    client.expect("acquired").await;
    eventually("all hold it", async || holders(&cluster, "a").await == "111").await;
    cluster.nodes()[0].crash().await.unwrap();
    point_to("127.0.0.2");
    eventually("it is repaired there", async || holders(&spare, "a").await == "1").await;
    client.tell("release").await;
    client.expect("released").await;
    client.end().await;
    eventually("it is given back there", async || holders(&spare, "a").await == "0").await;
    moved.abort();
}

/// Hands every connection to `from` on to the server of `url`.
async fn forward(from: (&str, u16), url: String) -> tokio::task::JoinHandle<()> {
    let listener = tokio::net::TcpListener::bind(from).await.expect("the same port is free there");
    let to = url.rsplit(['/', '@']).next().expect("it names a server").to_owned();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let to = to.clone();
            tokio::spawn(async move {
                let Ok(mut far) = tokio::net::TcpStream::connect(to).await else { return };
                // Ends when one of them does.
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    })
}
