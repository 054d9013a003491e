//! What a node can say at the door, before it is asked anything: full, loading, silent, no Redis. It is told as not connected, with
//! what it said, and is used when it lets us in.

use std::sync::Arc;

use quorlock::{Error, NodeErrorKind, Redlock};
use quorlock_testkit::Cluster;

use crate::fake_node::{FakeNode, Manner, PASSWORD, Scope, Verb};
use crate::support::{BOUND, Events, MAX_TTL, MINUTE, TTL, cluster_in_plain, eventually, pipes};

/// What is said at the door, and what of it the error has to repeat.
const DOORS: &[(&str, Manner, &str)] = &[
    ("silent", Manner::Hangs(b""), "no answer within the time limit"),
    ("half a reply and silence", Manner::Hangs(b"+O"), "no answer within the time limit"),
    ("the end", Manner::Closes(b""), "not connected ("),
    ("full", Manner::Closes(b"-ERR max number of clients reached\r\n"), "max number of clients"),
    ("a password repeated", Manner::Says(b"-ERR what is open-sesame\r\n"), "it repeated the pass"),
    ("another answer", Manner::Says(b":1\r\n"), "it answered a number, which is no answer"),
    ("half a reply and the end", Manner::Closes(b"+O"), "not connected ("),
    ("another protocol", Manner::Says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "not connected ("),
    ("a string of 64 MiB", Manner::Huge(64 << 20), "not connected ("),
];

/// A handle on fakes and others that are not connected yet.
async fn handle(others: &Cluster, manner: Manner) -> (Vec<FakeNode>, Redlock, Events) {
    let fakes = FakeNode::start_some(5 - others.len()).await;
    fakes.iter().for_each(|fake| fake.answers(Scope::Everything, manner));
    let urls = fakes.iter().map(FakeNode::url).chain(others.urls());
    let events = Events::default();
    let builder = Redlock::builder(urls).without_quarantine().ttl(MINUTE).time_limit(BOUND);
    let builder = builder.observer(events.clone());
    (fakes, builder.build().expect("the settings are good"), events)
}

/// Once they let us in they are used, and no event has told the password.
async fn let_in(name: &str, fakes: &[FakeNode], redlock: &Redlock, events: &Events) {
    fakes.iter().for_each(|fake| fake.answers(Scope::Everything, Manner::Well));
    eventually(&format!("{name}: used"), async || {
        drop(redlock.try_lock("used").await);
        fakes.iter().all(|fake| fake.count(Verb::Acquire, "used") > 0)
    })
    .await;
    redlock.close(BOUND).await.expect("every release is confirmed");
    assert!(!format!("{:?}", events.all()).contains(PASSWORD), "{name}");
}

#[tokio::test]
async fn a_majority_that_does_not_let_us_in_is_told_and_used_when_it_does() {
    let others = cluster_in_plain(2).await;
    for (name, manner, says) in DOORS {
        let (fakes, redlock, events) = handle(&others, *manner).await;
        let error = redlock.try_lock(*name).await.unwrap_err();
        let Error::NoQuorum { failures, .. } = &error else { panic!("{name}: {error:?}") };
        for fake in &fakes {
            let failure = failures.iter().find(|failure| failure.node() == fake.name()).unwrap();
            let said = failure.to_string();
            assert_eq!(failure.kind(), NodeErrorKind::Down, "{name}: {said}");
            assert!(said.contains(says), "{name}: {said}");
            assert_eq!(fake.count(Verb::Acquire, name), 0, "{name}");
            assert_eq!(fake.count(Verb::Release, name), 0, "{name}");
        }
        let shown = format!("{error} {error:?} {redlock:?}");
        assert!(!shown.contains(PASSWORD), "{name}: {shown}");
        let_in(name, &fakes, &redlock, &events).await;
    }
}

#[tokio::test]
async fn a_minority_that_does_not_let_us_in_is_not_waited_for() {
    let others = cluster_in_plain(3).await;
    for (name, manner, _) in DOORS {
        let (fakes, redlock, events) = handle(&others, *manner).await;
        let guard = redlock.lock(*name).await.unwrap();
        let is_in = |fake: &FakeNode| events.is_connected(&fake.name());
        assert!(!fakes.iter().any(is_in), "{name}");
        guard.release().await.unwrap();
        let_in(name, &fakes, &redlock, &events).await;
    }
}

/// A server that knows the older protocol only, or something that stands before it.
#[tokio::test]
async fn a_node_that_takes_no_greeting_is_used_without() {
    for manner in [
        Manner::Closes(b""),
        Manner::Says(b"-ERR unknown command 'HELLO', with args beginning with: '3' \r\n"),
        Manner::Says(b"-NOPROTO unsupported protocol version\r\n"),
    ] {
        let fakes = FakeNode::start_some(3).await;
        fakes.iter().for_each(|fake| fake.answers(Scope::Greetings, manner));
        let builder = Redlock::builder(fakes.iter().map(FakeNode::url)).without_quarantine();
        let redlock = builder.time_limit(BOUND).build().unwrap();
        drop(redlock.try_lock("a").await.unwrap().expect("nobody has it"));
        redlock.close(BOUND).await.expect("every release is confirmed");
    }
}

/// Who changes a password tells it to the clients first.
#[tokio::test(start_paused = true)]
async fn a_password_that_is_not_asked_for_yet_is_no_mistake() {
    let (nodes, net, _) = pipes(3);
    let urls = nodes.iter().map(|node| node.url().replace("://", "://:open-sesame@"));
    let redlock = Redlock::builder(urls).max_ttl(MAX_TTL).connector(Arc::new(net));
    let redlock = redlock.ttl(TTL).build().unwrap();
    drop(redlock.try_lock("a").await.unwrap().expect("nobody has it"));
    redlock.close(BOUND).await.expect("every release is confirmed");
}
