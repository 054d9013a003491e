//! The least rights: each that is taken away costs something, and the document says what. That they are enough is said by
//! the whole suite, which logs in with them.

use std::collections::BTreeSet;
use std::time::Duration;

use quorlock::{Error, Event, NodeErrorKind, Redlock};
use quorlock_testkit::{Backend, Cluster, USER, rights};

use crate::support::{
    BOUND, Events, MINUTE, TTL, cluster, cluster_in_plain, delete, eventually, node_name, occupy,
    owners, patient, proxied,
};

const OPERATIONS: &str = include_str!("../../docs/operations.md");
const LIMIT: Duration = Duration::from_millis(200);

/// What does not work without a right, of what [`lost`] tries.
const LOST: [(&str, &[&str]); 18] = [
    ("+set", &["any lock"]),
    ("+get", &["any lock"]),
    ("+getrange", &[]),
    ("+del", &["release", "give back what was denied", "release of several"]),
    ("+exists", &["lock of several"]),
    ("+pexpire", &["extend"]),
    ("+pttl", &["extend", "fenced lock", "give back what was denied"]),
    ("+evalsha", &["any lock"]),
    ("+eval", &["extend after SCRIPT FLUSH"]),
    ("+script|load", &["scripts are there"]),
    ("+info", &["any lock"]),
    ("+ping", &[]),
    ("+client|setname", &["name"]),
    ("+client|id", &["end an old connection"]),
    ("+client|kill", &["end an old connection"]),
    ("+client|tracking", &[]),
    ("+client|caching", &[]),
    ("+time", &["any lock"]),
];

/// Three nodes with users, or nothing.
async fn with_users() -> Option<Cluster> {
    if_with_users(cluster(3).await)
}

fn if_with_users(cluster: Cluster) -> Option<Cluster> {
    if cluster.backend() != Backend::Processes {
        eprintln!("skipped: only processes have the user with the least rights");
        return None;
    }
    Some(cluster)
}

async fn on_all(cluster: &Cluster, command: &[&str]) {
    for node in cluster.nodes() {
        node.command(command).await.expect("the node does it");
    }
}

/// Has the user everything that the document gives it, but for `right`.
async fn take_away(cluster: &Cluster, right: &str) {
    let left = rights().split(' ').filter(|other| *other != right);
    let command: Vec<_> = ["ACL", "SETUSER", USER].into_iter().chain(left).collect();
    on_all(cluster, &command).await;
}

#[tokio::test]
async fn what_is_lost_without_each_right_is_what_the_table_says() {
    let Some(cluster) = with_users().await else { return };
    assert_eq!(lost(&cluster).await, BTreeSet::new(), "with all of them");
    let mut found = Vec::new();
    for (right, _) in LOST {
        take_away(&cluster, right).await;
        found.push((right, lost(&cluster).await));
        pay(&cluster).await;
    }
    let expected = LOST.map(|(right, lost)| (right, lost.iter().copied().collect()));
    assert_eq!(found, expected, "{found:#?}");
}

#[test]
fn every_right_is_tried_and_has_its_row() {
    let rights = rights().split(' ').filter(|word| word.starts_with('+'));
    for right in rights {
        let row = format!("\n| `{}` |", right.replace('|', "\\|"));
        assert!(OPERATIONS.contains(&row), "{right} has no row");
        let tried = LOST.iter().any(|(tried, _)| *tried == right);
        // What a server without native commands does is the same with and without it.
        assert!(tried || right == "+command|info", "{right} is not tried");
    }
}

/// Gives every right back, and waits until what handles that are gone still owed is paid.
async fn pay(cluster: &Cluster) {
    take_away(cluster, "nothing").await;
    let gone = async || !clients(cluster).await.contains(&format!(" user={USER} "));
    eventually("nobody is there", gone).await;
}

/// Tries everything with new handles. What was there before is gone.
async fn lost(cluster: &Cluster) -> BTreeSet<&'static str> {
    for command in [&["SCRIPT", "FLUSH"], &["CONFIG", "RESETSTAT"]] {
        on_all(cluster, command).await;
    }
    for node in cluster.nodes() {
        // Not all of them: a node that is flushed does not vote.
        for key in node.keys().await.expect("the node answers") {
            node.command(&["DEL", &key]).await.expect("the node does it");
        }
    }
    let Some((redlock, _events)) = handle(cluster, MINUTE).await else {
        return ["any lock"].into();
    };
    let guard = redlock.lock("a").await.expect("it is free");
    eventually("all hold it", async || owners(cluster, "a", 0).await == "ooo").await;
    let mut works = vec![("name", is_named(cluster, &redlock).await)];
    let extends = guard.extend().await.is_ok();
    works.push(("extend", extends));
    if extends {
        works.push(("scripts are there", !stats(cluster).await.contains("cmdstat_eval:")));
    }
    works.push(("release", guard.release().await.is_ok_and(|report| report.is_confirmed())));
    works.push(("give back what was denied", gives_back(cluster).await));
    match redlock.try_lock(["b", "c"]).await {
        Err(_) => works.push(("lock of several", false)),
        Ok(guard) => {
            let released = guard.expect("both are free").release().await;
            works.push(("release of several", released.is_ok_and(|report| report.is_confirmed())));
        }
    }
    works.push(("fenced lock", redlock.try_lock("d").fenced().await.is_ok()));
    works.push(("end an old connection", ends_old(cluster).await));
    if extends {
        works.push(("extend after SCRIPT FLUSH", outlives_flush(cluster).await));
    }
    works.into_iter().filter(|(_, works)| !works).map(|(what, _)| what).collect()
}

/// A handle that is connected with all nodes, or nothing where it cannot have a lock.
async fn handle(cluster: &Cluster, ttl: Duration) -> Option<(Redlock, Events)> {
    let events = Events::default();
    let redlock = patient(cluster)
        .ttl(ttl)
        .time_limit(LIMIT)
        .observer(events.clone())
        .build()
        .expect("the settings are good");
    let guard = redlock.try_lock("warm-up").await.ok()?;
    assert!(guard.is_some(), "it is free");
    let all = || (0..3).all(|index| events.is_connected(&node_name(cluster, index)));
    eventually("all are connected", async || all()).await;
    delete(cluster, 0b111, "warm-up").await;
    Some((redlock, events))
}

async fn stats(cluster: &Cluster) -> String {
    let mut all = String::new();
    for node in cluster.nodes() {
        let stats = node.command(&["INFO", "commandstats"]).await.expect("the node answers");
        all += &redis::from_redis_value::<String>(stats).expect("it is text");
    }
    all
}

async fn clients(cluster: &Cluster) -> String {
    let mut all = String::new();
    for node in cluster.nodes() {
        let list = node.command(&["CLIENT", "LIST"]).await.expect("the node answers");
        all += &redis::from_redis_value::<String>(list).expect("it is text");
    }
    all
}

async fn is_named(cluster: &Cluster, redlock: &Redlock) -> bool {
    clients(cluster).await.contains(&format!("name=quorlock:{}", redlock.id()))
}

/// Whether a lock that is denied by two nodes is given back on the third, and nothing more is owed.
async fn gives_back(cluster: &Cluster) -> bool {
    let Some((redlock, _)) = handle(cluster, MINUTE).await else { return false };
    occupy(cluster, 0b011, "theirs").await;
    let denied = redlock.try_lock("theirs").await.expect("all answer");
    assert!(denied.is_none(), "it is somebody else's");
    let works = redlock.close(4 * LIMIT).await.is_ok();
    assert!(!works || owners(cluster, "theirs", 0).await == "ss-");
    works
}

/// Whether a node that has forgotten the scripts since it was connected is taught them.
async fn outlives_flush(cluster: &Cluster) -> bool {
    let Some((redlock, _)) = handle(cluster, MINUTE).await else { return false };
    let guard = redlock.lock("flushed").await.expect("it is free");
    on_all(cluster, &["SCRIPT", "FLUSH"]).await;
    guard.extend().await.is_ok()
}

/// Whether a connection with a node that was frozen is ended from the next one.
async fn ends_old(cluster: &Cluster) -> bool {
    // What is released where one could not be ended is owed until its TTL is over.
    let Some((redlock, events)) = handle(cluster, TTL).await else { return false };
    let name = node_name(cluster, 2);
    cluster.node(2).pause().await.expect("it is a process");
    drop(redlock.try_lock("frozen").await.expect("two are enough"));
    eventually("it is given up", async || !events.is_connected(&name)).await;
    cluster.node(2).resume().await.expect("it is a process");
    eventually("it is connected", async || events.is_connected(&name)).await;
    // Told right behind the connection.
    drop(redlock.try_lock("frozen").await);
    events.count(|event| matches!(event, Event::OldConnectionLeft { .. })) == 0
}

#[tokio::test]
async fn without_the_right_to_ping_a_slow_node_is_still_no_dead_one() {
    let cluster = proxied(3).await;
    if cluster.backend() != Backend::Processes {
        return eprintln!("skipped: only processes have the user with the least rights");
    }
    take_away(&cluster, "+ping").await;
    let (events, proxy) = (Events::default(), cluster.proxy(0));
    let redlock = patient(&cluster).time_limit(5 * LIMIT).observer(events.clone()).build().unwrap();
    let first = redlock.lock("first").await.unwrap();
    let all = async || owners(&cluster, "first", 0).await == "ooo" && proxy.unanswered() == 0;
    eventually("all is answered", all).await;
    proxy.hold();
    let guard = redlock.try_lock("a").await.unwrap().expect("it is free");
    eventually("it is asked whether it lives", async || proxy.unanswered() == 2).await;
    proxy.release();
    eventually("it has answered", async || proxy.unanswered() == 0).await;
    drop((first, guard));
    redlock.close(BOUND).await.unwrap();
    assert_eq!(events.count(|event| matches!(event, Event::NodeDown { .. })), 0);
    let log = cluster.node(0).command(&["ACL", "LOG"]).await.unwrap();
    assert!(format!("{log:?}").contains("ping"), "the node tells of it: {log:?}");
}

#[tokio::test]
async fn without_the_right_to_setinfo_a_node_shows_our_name_and_not_our_library() {
    let Some(cluster) = with_users().await else { return };
    for node in cluster.nodes() {
        // Said of a command that it does not know: `Unknown command or category name in ACL`.
        if node.command(&["ACL", "SETUSER", USER, "-client|setinfo"]).await.is_err() {
            return eprintln!("skipped: this server has no CLIENT SETINFO");
        }
    }
    let (redlock, _events) = handle(&cluster, MINUTE).await.expect("locks need no such right");
    assert!(is_named(&cluster, &redlock).await);
    assert!(!clients(&cluster).await.contains("lib-name=quorlock"));
}

#[tokio::test]
async fn a_right_that_lacks_is_named_and_nobody_waits_for_it() {
    let Some(cluster) = with_users().await else { return };
    // The second and the third are found out by a script.
    for (right, resources, says) in [
        ("+set", &["a"] as &[_], "NOPERM"),
        ("+set", &["a", "b"], "script"),
        ("+exists", &["a", "b"], "script"),
    ] {
        take_away(&cluster, right).await;
        let waiting = patient(&cluster).build().unwrap();
        let error = waiting.lock(resources).wait_for(10 * MINUTE).await.unwrap_err();
        let Error::NoQuorum { failures, .. } = &error else { panic!("{right}: {error:?}") };
        for failure in failures {
            assert_eq!(failure.kind(), NodeErrorKind::Misconfigured, "{failure}");
            assert!(failure.to_string().contains(says), "{right}: {failure}");
        }
        waiting.close(BOUND).await.expect("what may have been done is given back");
    }
}

#[tokio::test]
async fn a_database_that_a_node_refuses_is_named_and_nobody_waits_for_it() {
    let Some(cluster) = if_with_users(cluster_in_plain(3).await) else { return };
    let refused = async |database: u8| {
        let urls = cluster.urls().into_iter().map(|url| format!("{url}/{database}"));
        let redlock = Redlock::builder(urls).time_limit(BOUND).build().unwrap();
        let error = redlock.lock("a").wait_for(10 * MINUTE).await.unwrap_err();
        let Error::NoQuorum { failures, .. } = &error else { panic!("{error:?}") };
        let kinds: Vec<_> = failures.iter().map(|failure| failure.kind()).collect();
        assert!(kinds.iter().all(|kind| *kind == NodeErrorKind::Misconfigured), "{error}");
        error.to_string()
    };
    let said = refused(1).await;
    assert!(said.contains("NOPERM"), "{said}");
    on_all(&cluster, &["ACL", "SETUSER", USER, "+select"]).await;
    let said = refused(99).await;
    assert!(said.contains("DB index is out of range"), "{said}");
}

/// As for a user who shares the nodes with others.
#[tokio::test]
async fn a_prefix_is_enough_of_the_keys() {
    let Some(cluster) = with_users().await else { return };
    let keys = ["~lock:*", "~quorlock:fence:lock:*", "~quorlock:marker:lock:"];
    on_all(&cluster, &[&["ACL", "SETUSER", USER, "resetkeys"], &keys[..]].concat()).await;
    let redlock = patient(&cluster).prefix("lock:").build().unwrap();
    redlock.bootstrap().await.unwrap();
    let guard = redlock.lock(["a", "b"]).await.unwrap();
    guard.extend().await.unwrap();
    guard.release().await.unwrap();
    let error = patient(&cluster).build().unwrap().lock("a").await.unwrap_err();
    assert!(error.to_string().contains("NOPERM"), "{error}");
}
