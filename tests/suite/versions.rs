//! What clients of other versions of this library find on a node, to the letter: who changes it keeps them apart, or worse, does
//! not. The form of a handed over lock is held in `handover.rs` of the library.

use std::time::Duration;

use crate::support::{BOUND, MAX_TTL, MINUTE, TTL, cluster, node_names, on};

/// What a server says of itself.
fn says<'a>(info: &'a str, name: &str) -> &'a str {
    let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("it does not say {name}")).trim_end()
}

#[tokio::test]
async fn what_other_versions_find_on_a_node_is_written_as_ever() {
    let cluster = cluster(3).await;
    let redlock = on(cluster.urls()).ttl(TTL).prefix("app/").build().unwrap();
    // Every prefix is new to its nodes.
    redlock.bootstrap().await.unwrap();
    let guard = redlock.lock("a").fenced().await.unwrap();
    let counter = guard.fencing_token().get().to_string();
    let node = cluster.node(0);
    let get = async |key: &str| node.get(key).await.unwrap().expect("it is there");

    let value = get("app/a").await;
    let (client, secret) = value.split_at(36);
    assert_eq!(client, redlock.id());
    let (colon, hex) = secret.split_at(1);
    assert_eq!((colon, hex.len()), (":", 32));
    assert!(
        hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)),
        "{hex}"
    );

    assert_eq!(get("quorlock:fence:app/a").await, counter);
    let left = node.command(&["PTTL", "quorlock:fence:app/a"]).await.unwrap();
    let left = Duration::from_millis(redis::from_redis_value(left).unwrap());
    assert!((23 * 60 * MINUTE..=24 * 60 * MINUTE).contains(&left), "{left:?}");

    let info: String = redis::from_redis_value(node.command(&["INFO"]).await.unwrap()).unwrap();
    let mut names = node_names(&cluster);
    names.sort();
    let (run, history) = (says(&info, "run_id"), says(&info, "master_replid"));
    let marker = get("quorlock:marker:app/").await;
    let words: Vec<_> = marker.split(' ').collect();
    let [form, life, since, max_ttl, nodes] = words[..] else { panic!("{marker}") };
    assert_eq!((form, life), ("1", &*format!("{run}:{history}")));
    assert_eq!(since, "0", "since it was bootstrapped");
    assert_eq!(max_ttl, MAX_TTL.as_millis().to_string());
    assert_eq!(nodes, names.join(","));
    guard.release().await.unwrap();
    redlock.close(BOUND).await.unwrap();
}
