//! Passwords that are asked for at every login: they change while a process runs.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use quorlock::{Error, NodeErrorKind, Redlock};
use quorlock_testkit::embedded::{EmbeddedNode, PipeNet};

use crate::support::{BOUND, MAX_TTL, TTL, connected, eventually, pipes};

#[tokio::test(start_paused = true)]
async fn a_password_that_changes_is_asked_for_at_the_next_login_and_connections_go_on() {
    let (nodes, _net, builder) = pipes(3);
    let set = |password: &str| nodes.iter().for_each(|node| node.set_password(Some(password)));
    set("first");
    let (password, asked) = (Arc::new(Mutex::new("first")), Arc::new(AtomicUsize::new(0)));
    let builder = builder.credentials({
        let (password, asked) = (Arc::clone(&password), Arc::clone(&asked));
        move |_| {
            asked.fetch_add(1, Ordering::SeqCst);
            let password = password.lock().unwrap().to_owned();
            async move { Ok((String::new(), password)) }
        }
    });
    let (redlock, _) = connected(builder.durable_nodes(), 3).await;
    assert_eq!(asked.load(Ordering::SeqCst), 3);

    set("second");
    drop(redlock.try_lock("a").await.unwrap().expect("who is logged in stays so"));
    *password.lock().unwrap() = "second";
    for node in &nodes {
        node.crash_intact();
        node.restart().unwrap();
    }
    eventually("all are back", async || {
        redlock.try_lock("a").await.is_ok_and(|guard| guard.is_some())
    })
    .await;
    assert!(asked.load(Ordering::SeqCst) >= 5, "a quorum of the second logins");
}

#[tokio::test(start_paused = true)]
async fn credentials_that_cannot_be_had_are_told_as_why_a_node_is_down() {
    let (_nodes, _net, builder) = pipes(3);
    let vault = |node: &str| {
        let why = io::Error::other(format!("the vault has nothing for {node}"));
        async move { Err(why.into()) }
    };
    let error = builder.credentials(vault).build().unwrap().try_lock("a").await.unwrap_err();
    let Error::NoQuorum { failures, .. } = &error else { panic!("{error:?}") };
    for failure in failures {
        assert_eq!(failure.kind(), NodeErrorKind::Down);
        let why = format!("the vault has nothing for {}", failure.node());
        assert!(failure.to_string().contains(&why), "{failure}");
    }
}

#[tokio::test(start_paused = true)]
async fn g7_credentials_that_panic_are_a_node_that_is_down_and_hang_nobody() {
    let (_nodes, _net, builder) = pipes(3);
    let vault = |node: &str| {
        assert!(node.is_empty(), "the vault is on fire");
        async { Ok((String::new(), String::new())) }
    };
    let redlock = builder.credentials(vault).build().unwrap();
    let asked = tokio::time::timeout(Duration::from_secs(60), redlock.try_lock("a")).await;
    let error = asked.expect("nobody hangs").unwrap_err();
    assert!(error.to_string().contains("asking for credentials panicked"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn credentials_that_never_come_do_not_hold_up_the_other_nodes() {
    let (nodes, _net, builder) = pipes(3);
    nodes.iter().for_each(|node: &EmbeddedNode| node.set_password(Some("open")));
    let first = nodes[0].name();
    let ask = move |node: &str| {
        let never = node.starts_with(&first);
        async move {
            if never {
                std::future::pending::<()>().await;
            }
            Ok((String::new(), "open".to_owned()))
        }
    };
    let redlock = builder.credentials(ask).build().unwrap();
    let begun = tokio::time::Instant::now();
    drop(redlock.try_lock("a").await.unwrap().expect("two of three are a quorum"));
    assert!(begun.elapsed() < Duration::from_millis(10), "{:?}", begun.elapsed());
}

/// A vault whose client knows no futures.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_credentials_that_block_do_not_hold_up_the_other_nodes() {
    let nodes: Vec<_> = (0..3).map(|i| EmbeddedNode::pipe(format!("node-{i}"))).collect();
    EmbeddedNode::bootstrap(&nodes, MAX_TTL);
    let (open, door) = mpsc::channel::<()>();
    let door = Mutex::new(door);
    let ask = move |node: &str| {
        if node.starts_with("node-0") {
            // Until the other end is dropped.
            let _ = door.lock().unwrap_or_else(PoisonError::into_inner).recv();
        }
        async { Ok((String::new(), String::new())) }
    };
    let builder = Redlock::builder(nodes.iter().map(EmbeddedNode::url)).max_ttl(MAX_TTL).ttl(TTL);
    let builder = builder.connector(Arc::new(PipeNet::new(nodes.iter().cloned())));
    let redlock = builder.time_limit(BOUND).credentials(ask).build().unwrap();
    let asked = tokio::time::timeout(BOUND, redlock.try_lock("a")).await;
    drop(asked.expect("two of three are a quorum").unwrap().expect("nobody has it"));
    drop(open);
}
