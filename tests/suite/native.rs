//! Which command gives a lock back: the server's own compare-and-delete where it has one, else the script. Counted at the nodes.
//! `tests/servers/run` reads what the first of these tests prints.

use quorlock::{NodeRelease, Redlock, ReleaseReport};
use quorlock_testkit::{Backend, Cluster, Node};
use redis::{Value, from_redis_value};

use crate::support::{
    BOUND, assert_no_residue, builder, cluster, cluster_in_plain, delete, eventually, occupy,
    of_user, owners, patient, pipes, set_user,
};

const DELETES: [&str; 2] = ["delex", "delifeq"];
const CYCLES: u64 = 20;

/// How often the nodes together have run a command.
pub(crate) async fn runs(cluster: &Cluster, command: &str) -> u64 {
    let counts = cluster.nodes().iter().map(|node| runs_on(node, command));
    futures::future::join_all(counts).await.into_iter().sum()
}

async fn runs_on(node: &Node, command: &str) -> u64 {
    if let Some(embedded) = node.embedded() {
        return count(&embedded.log(), command);
    }
    let stats = node.command(&["INFO", "commandstats"]).await.expect("the node answers");
    let stats: String = from_redis_value(stats).expect("INFO is text");
    let of_it = format!("cmdstat_{command}:calls=");
    // A command that was refused is not run: it counts as rejected.
    let calls = stats.lines().find_map(|line| line.strip_prefix(&of_it)?.split(',').next());
    calls.map_or(0, |calls| calls.parse().expect("a number"))
}

/// How many lines of an embedded node's log begin with a command.
pub(crate) fn count(log: &[String], command: &str) -> u64 {
    let is_it = |line: &&String| {
        line.split(' ').next().is_some_and(|word| word.eq_ignore_ascii_case(command))
    };
    log.iter().filter(is_it).count() as u64
}

/// Which compare-and-delete the server has, by its own word.
pub(crate) async fn native(cluster: &Cluster) -> Option<&'static str> {
    let question = [["COMMAND", "INFO"], DELETES].concat();
    let known = cluster.node(0).command(&question).await.expect("the node answers");
    let Value::Array(known) = known else { panic!("{known:?}") };
    let has = DELETES.into_iter().zip(known).find(|(_, known)| *known != Value::Nil);
    has.map(|(name, _)| name)
}

/// On how many nodes `a` is.
async fn holding(cluster: &Cluster) -> usize {
    owners(cluster, "a", 0).await.matches('o').count()
}

/// Acquires and releases [`CYCLES`] times; returns when every node has confirmed it. Waits for all five nodes: one that is
/// released before it was asked, because it is connected late, finds nothing; and where the native command was refused, the
/// release by script may come behind the next lock.
async fn cycle<const N: usize>(
    redlock: &Redlock,
    resources: [&str; N],
    holding: impl AsyncFn() -> usize,
) {
    for _ in 0..CYCLES {
        let guard = redlock.lock(resources).without_keeper().await.expect("all is well");
        eventually("all hold it", async || holding().await == 5).await;
        guard.release().await.expect("all is well");
        eventually("nobody holds it", async || holding().await == 0).await;
    }
    redlock.close(BOUND).await.expect("every release is confirmed");
}

#[tokio::test]
async fn one_resource_is_released_natively_where_the_server_can_and_a_set_by_script() {
    let cluster = cluster(5).await;
    let native = native(&cluster).await;
    let mut way = [String::new(), String::new()];
    for (resources, way) in [1, 2].into_iter().zip(&mut way) {
        let mut before = Vec::new();
        for command in [DELETES[0], DELETES[1], "evalsha"] {
            before.push((command, runs(&cluster, command).await));
        }
        let redlock = patient(&cluster).without_quarantine().build().unwrap();
        match resources {
            1 => cycle(&redlock, ["a"], async || holding(&cluster).await).await,
            _ => cycle(&redlock, ["a", "b"], async || holding(&cluster).await).await,
        }
        for (command, before) in before {
            let runs = runs(&cluster, command).await - before;
            let expected = match (resources, command) {
                (1, command) if command == native.unwrap_or("evalsha") => 5 * CYCLES,
                // A set is taken by a script, too.
                (2, "evalsha") => 10 * CYCLES,
                _ => 0,
            };
            assert_eq!(runs, expected, "{command}, {resources} resources, {native:?}");
            if runs > 0 {
                *way = format!("{} {runs}", command.to_uppercase());
            }
        }
    }
    eprintln!("wire: one by {}, set by {}", way[0], way[1]);
    let redlock = patient(&cluster).without_quarantine().build().unwrap();
    assert_no_residue(&redlock, &cluster).await;
}

/// Takes a lock on all five nodes, lets something happen to it, and releases it.
async fn release_after(
    cluster: &Cluster,
    redlock: &Redlock,
    what: impl AsyncFn(),
) -> ReleaseReport {
    let guard = redlock.lock("a").without_keeper().await.expect("all is well");
    eventually("all hold it", async || owners(cluster, "a", 0).await == "ooooo").await;
    what().await;
    guard.release().await.expect("a quorum answers")
}

/// How many nodes said what; all that answered said the same.
fn answered(report: &ReleaseReport, said: impl Fn(&NodeRelease) -> bool) -> usize {
    let answers = report.nodes().filter(|(_, answer)| !matches!(answer, NodeRelease::Pending));
    answers.inspect(|(_, answer)| assert!(said(answer), "{report}")).count()
}

#[tokio::test]
async fn where_the_native_command_finds_nothing_the_script_says_why() {
    let cluster = cluster(5).await;
    let (native, redlock) =
        (native(&cluster).await, patient(&cluster).without_quarantine().build().unwrap());
    let asked = async || {
        let native = match native {
            Some(native) => runs(&cluster, native).await,
            None => 0,
        };
        [native, runs(&cluster, "evalsha").await]
    };
    let before = asked().await;
    let gone = release_after(&cluster, &redlock, async || delete(&cluster, 0b1_1111, "a").await);
    assert!(answered(&gone.await, |it| matches!(it, NodeRelease::AlreadyGone)) >= 3);
    let taken = release_after(&cluster, &redlock, async || occupy(&cluster, 0b1_1111, "a").await);
    assert!(answered(&taken.await, |it| matches!(it, NodeRelease::HeldByAnother)) >= 3);
    redlock.close(BOUND).await.unwrap();
    assert_eq!(owners(&cluster, "a", 0).await, "sssss");
    let after = asked().await;
    let expected = if native.is_some() { [10, 10] } else { [0, 10] };
    assert_eq!([after[0] - before[0], after[1] - before[1]], expected, "{native:?}");
}

/// A native command fails where the script says that it is somebody else's.
#[tokio::test]
async fn a_key_of_another_type_is_somebody_else_s_also_where_the_release_is_native() {
    let cluster = cluster(5).await;
    let redlock = patient(&cluster).without_quarantine().build().unwrap();
    let replace = async || {
        delete(&cluster, 0b1_1111, "a").await;
        for node in cluster.nodes() {
            node.command(&["LPUSH", "a", "b"]).await.unwrap();
        }
    };
    let report = release_after(&cluster, &redlock, replace).await;
    assert!(answered(&report, |it| matches!(it, NodeRelease::HeldByAnother)) >= 3);
    redlock.close(BOUND).await.expect("a release that found somebody else's key is confirmed");
}

#[tokio::test]
async fn a_user_without_the_right_to_the_native_command_releases_by_script() {
    let cluster = cluster_in_plain(5).await;
    if cluster.backend() == Backend::Embedded {
        return eprintln!("skipped: embedded nodes know no users, see the next test");
    }
    let Some(native) = native(&cluster).await else {
        return eprintln!("skipped: this server has no compare-and-delete of its own");
    };
    set_user(&cluster, "limited", &["~*", "+@all", &format!("-{native}")]).await;
    let before = [runs(&cluster, native).await, runs(&cluster, "evalsha").await];
    let redlock = of_user(&cluster, "limited");
    cycle(&redlock, ["a"], async || holding(&cluster).await).await;
    assert_eq!(runs(&cluster, native).await, before[0]);
    assert_eq!(runs(&cluster, "evalsha").await - before[1], 5 * CYCLES);
    assert_no_residue(&builder(&cluster).build().unwrap(), &cluster).await;
}

/// A connection that was refused once does not try the native command again.
#[tokio::test(start_paused = true)]
async fn a_node_that_refuses_its_native_command_is_asked_once_and_then_by_script() {
    for name in DELETES {
        for refuses in [false, true] {
            let (nodes, _net, builder) = pipes(5);
            for node in &nodes {
                node.add_native_delete(name);
                node.refuse_native_delete(refuses);
            }
            let holding = async || nodes.iter().filter(|node| node.keys() == ["a"]).count();
            cycle(&builder.without_quarantine().build().unwrap(), ["a"], &holding).await;
            for node in &nodes {
                let (native, script) = (count(&node.log(), name), count(&node.log(), "evalsha"));
                let expected = if refuses { (1, CYCLES) } else { (CYCLES, 0) };
                assert_eq!((native, script), expected, "{name}, refused: {refuses}");
                assert_eq!(node.keys(), Vec::<String>::new());
            }
        }
    }
}
