//! Input that cannot work is refused with a typed error, and no node hears of it: no connection, no command.

use std::time::Duration;

use quorlock::{Builder, Error, InvalidInput, LockRequest, Redlock, Retry};
use quorlock_testkit::Cluster;

use crate::support::{BOUND, MINUTE, eventually, holders, node_name, on, patient, proxied};

const MS: Duration = Duration::from_millis(1);
const TOO_LONG: Duration = Duration::from_millis((1 << 53) + 1);

/// What reached the nodes so far: connections and whole commands.
#[derive(Debug, Default, PartialEq, Eq)]
struct Traffic {
    connections: u64,
    commands: u64,
}

impl Traffic {
    fn at(cluster: &Cluster) -> Self {
        let proxies = || (0..cluster.len()).map(|index| cluster.proxy(index));
        Self {
            connections: proxies().map(|proxy| proxy.accepted()).sum(),
            commands: proxies().map(|proxy| proxy.requests()).sum(),
        }
    }
}

/// Commands that embedded nodes got, those of the test kit included; nothing to count on other kinds.
fn commands_of_embedded_nodes(cluster: &Cluster) -> u64 {
    let nodes = cluster.nodes().iter();
    nodes.filter_map(|node| node.embedded()).map(|node| node.commands()).sum()
}

/// What is wrong, if that is what the error says.
fn invalid<T: std::fmt::Debug>(result: Result<T, Error>) -> InvalidInput {
    match result {
        Err(Error::InvalidInput(invalid)) => invalid,
        other => panic!("it was not refused: {other:?}"),
    }
}

/// Builders that must fail, and how.
fn bad_builders(cluster: &Cluster) -> Vec<(Builder, InvalidInput)> {
    let good = || patient(cluster);
    let (server, node) = (node_name(cluster, 0).replace("/0", ""), node_name(cluster, 0));
    let ttl = |ttl| good().ttl(ttl);
    let zero = |setting| InvalidInput::ZeroLimit { setting };
    let none: [&str; 0] = [];
    let urls = |more: &[String]| on([cluster.urls(), more.to_vec()].concat());
    let duplicate = InvalidInput::DuplicateNode { node };
    let mapped = format!("redis://{}", server.replace("127.0.0.1", "[::ffff:127.0.0.1]"));
    let mixed = InvalidInput::MixedDatabases { server: server.clone() };
    let count = 65;
    let many: Vec<_> = (0..count).map(|i| format!("redis://127.0.0.1:{}", 20_000 + i)).collect();
    vec![
        (Redlock::builder(none), InvalidInput::NoNodes),
        (Redlock::builder(many), InvalidInput::TooManyNodes { count }),
        (urls(&[cluster.urls()[0].clone()]), duplicate.clone()),
        (urls(&[format!("redis://someone:secret@{server}/0")]), duplicate.clone()),
        (urls(&[mapped]), duplicate),
        (urls(&[format!("redis://{server}/3")]), mixed),
        (ttl(Duration::ZERO), InvalidInput::TtlTooShort { ttl: Duration::ZERO }),
        (
            ttl(MS - Duration::from_nanos(1)),
            InvalidInput::TtlTooShort { ttl: MS - Duration::from_nanos(1) },
        ),
        (ttl(2 * MS), InvalidInput::TtlNotAboveDrift { ttl: 2 * MS, drift: MS * 202 / 100 }),
        (ttl(TOO_LONG), InvalidInput::TtlTooLong { ttl: TOO_LONG }),
        (ttl(Duration::MAX), InvalidInput::TtlTooLong { ttl: Duration::MAX }),
        (
            good().max_ttl(MINUTE - MS),
            InvalidInput::TtlAboveMax { ttl: MINUTE, max_ttl: MINUTE - MS },
        ),
        (
            good().max_ttl(Duration::ZERO),
            InvalidInput::TtlAboveMax { ttl: MINUTE, max_ttl: Duration::ZERO },
        ),
        (good().node_names(["a", "b"]), InvalidInput::NodeNames { names: 2, nodes: 5 }),
        (
            good().node_names(["a", "b", "c", "", "e"]),
            InvalidInput::NodeName { name: String::new() },
        ),
        (
            good().node_names(["a", "b", "c", "a", "e"]),
            InvalidInput::DuplicateNode { node: "a".to_owned() },
        ),
        (good().drift_factor(1.0), InvalidInput::DriftFactor { factor: 1.0 }),
        (good().drift_factor(-0.1), InvalidInput::DriftFactor { factor: -0.1 }),
        (good().time_limit(Duration::ZERO), zero("time_limit")),
        (good().max_hold(Duration::ZERO), zero("max_hold")),
        (good().retry(Retry::between(Duration::ZERO, MS)), zero("retry")),
        (good().retry(Retry::between(MS, Duration::ZERO)), zero("retry")),
        (good().prefix("p".repeat(1_024)), InvalidInput::KeyTooLong { bytes: 1_025 }),
        (good().prefix("quorlock:"), InvalidInput::ReservedPrefix { resource: "x".to_owned() }),
    ]
}

/// Requests that must fail, and how.
fn bad_requests(redlock: &Redlock) -> Vec<(LockRequest, InvalidInput)> {
    let on = |names: &[&str]| redlock.lock(names);
    let ttl = |ttl| redlock.lock("x").ttl(ttl);
    let many: Vec<_> = (0..65).map(|i| format!("invoice:{i}")).collect();
    let reserved = |resource: &str| InvalidInput::ReservedPrefix { resource: resource.to_owned() };
    vec![
        (on(&[]), InvalidInput::NoResources),
        (on(&[""]), InvalidInput::EmptyKey),
        (on(&["a", "", "b"]), InvalidInput::EmptyKey),
        (on(&[&"k".repeat(1_025)]), InvalidInput::KeyTooLong { bytes: 1_025 }),
        // Bytes count, not letters.
        (on(&[&"\u{e9}".repeat(513)]), InvalidInput::KeyTooLong { bytes: 1_026 }),
        (redlock.lock(many), InvalidInput::TooManyResources { count: 65 }),
        (on(&["a", "quorlock:fence"]), reserved("quorlock:fence")),
        (on(&["quorlock:"]), reserved("quorlock:")),
        (ttl(Duration::ZERO), InvalidInput::TtlTooShort { ttl: Duration::ZERO }),
        (ttl(MS / 2), InvalidInput::TtlTooShort { ttl: MS / 2 }),
        (ttl(MS), InvalidInput::TtlNotAboveDrift { ttl: MS, drift: MS * 201 / 100 }),
        (ttl(TOO_LONG), InvalidInput::TtlTooLong { ttl: TOO_LONG }),
        (
            redlock.lock("x").max_hold(Duration::ZERO),
            InvalidInput::ZeroLimit { setting: "max_hold" },
        ),
    ]
}

#[tokio::test]
async fn g8_a_setting_that_cannot_work_is_refused_and_no_node_hears_of_it() {
    let cluster = proxied(5).await;
    let before = commands_of_embedded_nodes(&cluster);
    for (builder, expected) in bad_builders(&cluster) {
        assert_eq!(invalid(builder.build()), expected);
    }
    for url in ["", "redis://", "127.0.0.1:6379", "http://127.0.0.1", "redis://u:secret@a:port"] {
        let urls = [cluster.urls(), vec![url.to_owned()]].concat();
        let refused = invalid(Redlock::builder(urls).build());
        assert!(matches!(refused, InvalidInput::BadUrl { index: 5, .. }), "{url}: {refused:?}");
        assert!(!refused.to_string().contains("secret"), "{refused}");
    }
    // A good one connects to nothing either, before it is asked for a lock.
    let _good = patient(&cluster).build().unwrap();
    settle().await;
    assert_eq!(Traffic::at(&cluster), Traffic::default());
    assert_eq!(commands_of_embedded_nodes(&cluster), before);
}

#[tokio::test]
async fn g8_a_request_that_cannot_work_is_refused_and_no_node_hears_of_it() {
    let cluster = proxied(5).await;
    let before = commands_of_embedded_nodes(&cluster);
    let redlock = patient(&cluster).build().unwrap();
    for (request, expected) in bad_requests(&redlock) {
        assert_eq!(invalid(request.await), expected);
    }
    let many: Vec<_> = (0..65).map(|i| format!("invoice:{i}")).collect();
    let tried = invalid(redlock.try_lock(many).await);
    assert_eq!(tried, InvalidInput::TooManyResources { count: 65 });
    let tried = invalid(redlock.try_lock("x").ttl(Duration::ZERO).await);
    assert_eq!(tried, InvalidInput::TtlTooShort { ttl: Duration::ZERO });
    let tried = invalid(redlock.try_lock("x").max_hold(Duration::ZERO).await);
    assert_eq!(tried, InvalidInput::ZeroLimit { setting: "max_hold" });
    let prefixed = patient(&cluster).prefix("shop/").build().unwrap();
    let tried = invalid(prefixed.try_lock("k".repeat(1_020)).await);
    assert_eq!(tried, InvalidInput::KeyTooLong { bytes: 1_025 });
    settle().await;
    assert_eq!(Traffic::at(&cluster), Traffic::default());
    assert_eq!(commands_of_embedded_nodes(&cluster), before);
}

#[tokio::test]
async fn g8_an_extend_that_cannot_work_is_refused_and_harms_nothing() {
    let cluster = proxied(5).await;
    let redlock = patient(&cluster).build().unwrap();
    let guard = redlock.lock("invoice:42").without_keeper().await.unwrap();
    let answered = || (0..5).all(|index| cluster.proxy(index).unanswered() == 0);
    let held = async || holders(&cluster, "invoice:42").await == "11111";
    eventually("every node has been asked", held).await;
    redlock.close(BOUND).await.unwrap();
    eventually("all is answered", async || answered()).await;
    let (before, until) = (Traffic::at(&cluster), guard.valid_until());
    assert!(before.commands > 0, "the counters count");
    for ttl in [Duration::ZERO, MS / 2, 2 * MS, TOO_LONG, Duration::MAX] {
        let refused = invalid(guard.extend_for(ttl).await);
        let typed = matches!(
            refused,
            InvalidInput::TtlTooShort { .. }
                | InvalidInput::TtlNotAboveDrift { .. }
                | InvalidInput::TtlTooLong { .. }
        );
        assert!(typed, "{refused:?}");
    }
    settle().await;
    assert_eq!(Traffic::at(&cluster), before);
    assert_eq!((guard.is_valid(), guard.valid_until()), (true, until));
}

#[tokio::test]
async fn what_is_just_within_the_bounds_is_taken() {
    let cluster = proxied(5).await;
    let redlock = patient(&cluster).without_quarantine().build().unwrap();
    let most: Vec<_> = (0..64).map(|i| format!("invoice:{i}")).collect();
    let guard = redlock.lock(most).await.unwrap();
    assert_eq!(guard.resources().names().count(), 64);
    guard.extend_for(Duration::from_millis(1 << 53)).await.unwrap();
    assert!(guard.valid_for() > Duration::from_secs(1 << 40));
    assert!(guard.release().await.unwrap().deleted() >= 3);
    drop(redlock.lock("k".repeat(1_024)).await.unwrap());
    drop(redlock.lock("quorlock").await.unwrap());
    crate::support::assert_no_residue(&redlock, &cluster).await;
}

/// Lets everything that was started run on for a while: whoever should be silent has the time to speak.
async fn settle() {
    tokio::time::sleep(20 * MS).await;
}
