//! The answers of `replies.rs` that a real server can be made to give: it says what the table says, does what its class says, and is used
//! again when it is well. Redirections and commands that are missing need another configuration file: for those there are only fakes.

use std::net::TcpListener;

use quorlock::NodeErrorKind::{self, Down, Misconfigured, Refused, Unclear};
use quorlock::seam::MARKERS;
use quorlock::{Error, Redlock, Resources, Standing};
use quorlock_testkit::{Backend, Cluster, Node};
use redis::aio::MultiplexedConnection;

use crate::support::{
    BOUND, MINUTE, TTL, all_vote, connected, eventually, holders, node_name, patient,
};

/// A cluster of real servers, or a word why there is none.
async fn real(cluster: Cluster) -> Option<Cluster> {
    if cluster.backend() == Backend::Embedded {
        eprintln!("skipped: embedded nodes are never full, busy, read-only or in want of a right");
        return None;
    }
    Some(cluster)
}

async fn do_all(node: &Node, commands: &[&[&str]]) {
    for command in commands {
        node.command(command).await.expect("the node does it");
    }
}

/// A connection of the test's own, which is there when no new one is let in or answered.
async fn keep_connection(node: &Node) -> MultiplexedConnection {
    let client = redis::Client::open(node.url()).expect("a good URL");
    client.get_multiplexed_async_connection().await.expect("the node answers")
}

async fn ask(connection: &mut MultiplexedConnection, words: &[&str]) -> redis::RedisResult<()> {
    let mut command = redis::Cmd::new();
    command.arg(words);
    command.query_async(connection).await
}

/// An address where nobody listens.
fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    listener.local_addr().expect("it is bound").port().to_string()
}

/// What the first three nodes say to one lock, and to a set of them.
struct Expected {
    one: NodeErrorKind,
    set: NodeErrorKind,
    says: [&'static str; 2],
}

/// The first three nodes are not well: what they say is told and nothing of the lock is left. Then they are, and hold it.
async fn assert_told_and_used_again(
    cluster: &Cluster,
    redlock: &Redlock,
    expected: Expected,
    heal: impl AsyncFn(&Node),
) {
    let Expected { one, set, says } = expected;
    let asked = [(Resources::from("one"), one), (Resources::from(["set", "two"]), set)];
    for ((asked, kind), says) in asked.into_iter().zip(says) {
        let error = redlock.try_lock(asked).await.expect_err(says);
        let Error::NoQuorum { failures, .. } = &error else { panic!("{says}: {error:?}") };
        let names: Vec<_> = (0..3).map(|index| node_name(cluster, index)).collect();
        let told: Vec<_> = failures.iter().map(|failure| failure.node()).collect();
        assert_eq!(told, names, "{error}");
        for failure in failures {
            assert_eq!(failure.kind(), kind, "{failure}");
            assert!(failure.to_string().contains(says), "{failure}");
        }
    }
    for node in &cluster.nodes()[..3] {
        heal(node).await;
    }
    let [says, _] = says;
    all_vote(redlock, cluster.len()).await;
    let guard = redlock.lock("again").await.expect(says);
    eventually("all have it", async || holders(cluster, "again").await == "11111").await;
    guard.release().await.expect(says);
    redlock.close(BOUND).await.expect(says);
    for node in cluster.nodes() {
        assert_eq!(node.keys().await.expect("the node answers"), Vec::<String>::new(), "{says}");
    }
}

/// What nodes say, the commands that make them say so, and the one that ends it.
struct Row {
    expected: Expected,
    ill: Vec<Vec<String>>,
    well: &'static str,
}

fn row(
    [one, set]: [NodeErrorKind; 2],
    says: [&'static str; 2],
    ill: &str,
    well: &'static str,
) -> Row {
    let commands = |text: &str| -> Vec<Vec<String>> {
        text.split("; ").map(|line| line.split(' ').map(str::to_owned).collect()).collect()
    };
    Row { expected: Expected { one, set, says }, ill: commands(ill), well }
}

/// What a script is refused, it may be refused half way: then it counts as perhaps done. But a right that it lacks is no more
/// there the next time.
fn rows() -> Vec<Row> {
    let lonely = format!("REPLICAOF 127.0.0.1 {}", closed_port());
    let stale = format!("CONFIG SET replica-serve-stale-data no; {lonely}");
    vec![
        row(
            [Refused, Unclear],
            ["OOM command not allowed"; 2],
            "CONFIG SET maxmemory-policy noeviction; CONFIG SET maxmemory 1",
            "CONFIG SET maxmemory 0",
        ),
        row([Refused, Unclear], ["READONLY You can't"; 2], &lonely, "REPLICAOF NO ONE"),
        row(
            [Refused, Refused],
            ["READONLY You can't", "MASTERDOWN Link with MASTER is down"],
            &stale,
            "REPLICAOF NO ONE",
        ),
        row(
            [Refused, Unclear],
            ["NOREPLICAS Not enough good replicas"; 2],
            "CONFIG SET min-replicas-to-write 1",
            "CONFIG SET min-replicas-to-write 0",
        ),
        row(
            [Misconfigured; 2],
            ["NOPERM", "command"],
            "ACL SETUSER default -set",
            "ACL SETUSER default +set",
        ),
    ]
}

#[tokio::test]
async fn what_real_servers_refuse_is_told_and_they_are_used_again() {
    for row in rows() {
        let Some(cluster) = real(crate::support::open_cluster(5).await).await else { return };
        let (redlock, _) = connected(patient(&cluster), 5).await;
        for node in &cluster.nodes()[..3] {
            for line in &row.ill {
                let words: Vec<_> = line.iter().map(String::as_str).collect();
                do_all(node, &[&words]).await;
            }
        }
        let words: Vec<_> = row.well.split(' ').collect();
        let heal = async |node: &Node| {
            ask(&mut keep_connection(node).await, &words).await.expect("the node does it");
        };
        assert_told_and_used_again(&cluster, &redlock, row.expected, heal).await;
    }
}

/// The marker of both is another run's, as after a restart; of one it came with the data of its master.
#[tokio::test]
async fn g1_a_real_replica_that_was_promoted_does_not_vote_at_once_whatever_is_vouched_for() {
    let Some(cluster) = real(crate::support::open_cluster(3).await).await else { return };
    // Whoever made the nodes vote is told of a marker that changes for as long as he is connected, and vouches for no disk.
    for node in cluster.nodes() {
        let is_alone = async || {
            let list = node.command(&["CLIENT", "LIST"]).await.expect("it answers");
            let list: String = redis::from_redis_value(list).expect("it is a text");
            !list.contains("name=quorlock:")
        };
        eventually("nobody else is connected", is_alone).await;
    }
    let promoted = ["REPLICAOF", "127.0.0.1", &closed_port()];
    do_all(cluster.node(0), &[&promoted, &["REPLICAOF", "NO", "ONE"]]).await;
    for node in &cluster.nodes()[..2] {
        let marker = node.command(&["GET", MARKERS]).await.expect("it answers");
        let marker: String = redis::from_redis_value(marker).expect("it is a text");
        let mut words: Vec<_> = marker.split(' ').collect();
        words[1] = "another-run:another-id";
        do_all(node, &[&["SET", MARKERS, &words.join(" ")]]).await;
    }
    let redlock = patient(&cluster).durable_nodes().build().expect("the settings are good");
    drop(redlock.lock("a").await.expect("two nodes vote"));
    let standing = |index: usize| redlock.nodes()[index].1.clone();
    eventually("it is seen", async || matches!(standing(0), Standing::Quarantined { .. })).await;
    assert!(matches!(standing(1), Standing::Voting), "{:?}", standing(1));
}

#[tokio::test]
async fn real_servers_that_cannot_save_refuse_and_are_used_again() {
    let Some(cluster) = real(crate::support::open_cluster(5).await).await else { return };
    if cluster.backend() != Backend::Processes {
        return eprintln!("skipped: the folder of a container is not in reach");
    }
    let (redlock, _) = connected(patient(&cluster), 5).await;
    for node in &cluster.nodes()[..3] {
        let folder = node.command(&["CONFIG", "GET", "dir"]).await.unwrap();
        let folder: Vec<String> = redis::from_redis_value(folder).unwrap();
        // Where the file is to be, there is a folder.
        std::fs::create_dir(std::path::Path::new(&folder[1]).join("dump.rdb")).unwrap();
        // One that is there before: such a node does not even answer a `PING` well.
        let other = keep_connection(node).await;
        do_all(node, &[&["CONFIG", "SET", "save", "3600 1000000"], &["BGSAVE"]]).await;
        eventually("it has failed to save", async || {
            let answer = ask(&mut other.clone(), &["PING"]).await;
            answer.is_err_and(|error| error.code() == Some("MISCONF"))
        })
        .await;
    }
    let expected = Expected { one: Refused, set: Unclear, says: ["MISCONF "; 2] };
    let heal = async |node: &Node| {
        let on = ["CONFIG", "SET", "stop-writes-on-bgsave-error", "no"];
        ask(&mut keep_connection(node).await, &on).await.expect("it goes on");
    };
    assert_told_and_used_again(&cluster, &redlock, expected, heal).await;
}

#[tokio::test]
async fn real_servers_in_the_middle_of_somebodys_script_refuse_and_are_used_again() {
    let Some(cluster) = real(crate::support::open_cluster(5).await).await else { return };
    let (redlock, _) = connected(patient(&cluster), 5).await;
    for node in &cluster.nodes()[..3] {
        do_all(node, &[&["CONFIG", "SET", "lua-time-limit", "1"]]).await;
        let mut script = keep_connection(node).await;
        tokio::spawn(async move { ask(&mut script, &["EVAL", "while true do end", "0"]).await });
        let other = keep_connection(node).await;
        eventually("it says that it is busy", async || {
            let answer = ask(&mut other.clone(), &["PING"]).await;
            answer.is_err_and(|error| error.code() == Some("BUSY"))
        })
        .await;
    }
    let expected = Expected { one: Refused, set: Refused, says: ["BUSY "; 2] };
    let heal = async |node: &Node| {
        ask(&mut keep_connection(node).await, &["SCRIPT", "KILL"]).await.expect("it ends");
    };
    assert_told_and_used_again(&cluster, &redlock, expected, heal).await;
}

#[tokio::test]
async fn real_servers_that_are_full_are_told_and_used_when_they_are_not() {
    let Some(cluster) = real(crate::support::open_cluster(5).await).await else { return };
    let mut ours = Vec::new();
    for node in &cluster.nodes()[..3] {
        let mut connection = keep_connection(node).await;
        ask(&mut connection, &["CONFIG", "SET", "maxclients", "1"]).await.unwrap();
        ours.push(connection);
    }
    let redlock = patient(&cluster).build().unwrap();
    let error = redlock.try_lock("one").await.unwrap_err();
    let Error::NoQuorum { failures, .. } = &error else { panic!("{error:?}") };
    assert_eq!(failures.len(), 3, "{error}");
    for failure in failures {
        assert_eq!(failure.kind(), Down, "{failure}");
        assert!(failure.to_string().contains("max number of clients"), "{failure}");
    }
    // Not for good: it is waited for.
    let waiting = tokio::spawn(redlock.lock("one").wait_for(MINUTE).into_future());
    for connection in &mut ours {
        ask(connection, &["CONFIG", "SET", "maxclients", "1000"]).await.unwrap();
    }
    waiting.await.unwrap().unwrap().release().await.unwrap();
    // So that no other test gets these nodes, as after any setting that is made through the cluster.
    do_all(cluster.node(0), &[&["CONFIG", "RESETSTAT"]]).await;
    redlock.close(BOUND).await.unwrap();
}

/// A user that has lost a right is told at once, and one that is nobody too.
#[tokio::test]
async fn real_servers_that_refuse_a_user_are_told_at_once_and_nothing_is_waited_for() {
    let Some(cluster) = real(crate::support::open_cluster(5).await).await else { return };
    for node in cluster.nodes() {
        let user = ["ACL", "SETUSER", "app", "on", ">open-sesame", "~*", "+@all", "-set"];
        do_all(node, &[&user]).await;
    }
    for (login, says) in [
        ("app:open-sesame", "NOPERM"),
        ("app:open-barley", "WRONGPASS invalid username-password pair"),
        ("nobody:open-sesame", "WRONGPASS invalid username-password pair"),
    ] {
        let urls = cluster.urls();
        let urls = urls.iter().map(|url| url.replace("redis://", &format!("redis://{login}@")));
        let redlock =
            Redlock::builder(urls).without_quarantine().ttl(TTL).time_limit(BOUND).build().unwrap();
        // It would wait for ten minutes.
        let error = redlock.lock("one").wait_for(10 * MINUTE).await.unwrap_err();
        let Error::NoQuorum { failures, .. } = &error else { panic!("{error:?}") };
        assert!(failures.len() >= 3, "{error}");
        for failure in failures {
            assert_eq!(failure.kind(), Misconfigured, "{failure}");
            assert!(failure.to_string().contains(says), "{failure}");
        }
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("open-") && !shown.contains(login), "{shown}");
    }
}
