//! Fencing tokens on nodes: they grow from holder to holder (promise G2) whatever clocks and nodes do, and cost one round
//! trip. Which nodes certify one is tested beside the rounds.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures::future::{BoxFuture, join_all};
use quorlock::seam::Clock;
use quorlock::{
    Builder, Error, Event, Fenced, FencingToken, Guard, InvalidInput, Lease, NodeError,
    NodeErrorKind, Redlock,
};
use quorlock_testkit::Cluster;
use quorlock_testkit::embedded::{EmbeddedNode, PipeNet};
use tokio::time::{advance, sleep, sleep_until};

use crate::support::{
    BOUND, Events, MAX_TTL, MINUTE, TTL, cluster, connected, eventually, holders, patient, pipes,
};

/// The time of day that a client believes in, which is all that differs.
#[derive(Debug)]
struct Day(SystemTime);

impl Day {
    fn since_1970(days: u64) -> Arc<Self> {
        Arc::new(Self(SystemTime::UNIX_EPOCH + Duration::from_secs(days * 24 * 60 * 60)))
    }
}

impl Clock for Day {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn wall(&self) -> SystemTime {
        self.0
    }

    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()> {
        Box::pin(sleep_until(deadline.into()))
    }
}

/// A client on these nodes with a time of day of its own.
fn client(nodes: &[EmbeddedNode], net: &PipeNet, day: u64) -> Builder {
    let urls = nodes.iter().map(EmbeddedNode::url);
    Redlock::builder(urls)
        .max_ttl(MAX_TTL)
        .ttl(TTL)
        .connector(Arc::new(net.clone()))
        .clock(Day::since_1970(day))
}

/// Locks, and gives back.
async fn token(redlock: &Redlock, resource: &str) -> FencingToken {
    let guard = redlock.lock(resource).fenced().await.expect("a quorum is well");
    let token = guard.fencing_token();
    guard.release().await.expect("it is held");
    token
}

fn forget_counter(node: &EmbeddedNode, resource: &str) {
    node.run(&["DEL", &format!("quorlock:fence:{resource}")]);
}

fn rounds(events: &Events) -> Vec<usize> {
    let rounds = |event: &Event| match event {
        Event::Acquired { rounds, .. } => Some(*rounds),
        _ => None,
    };
    events.all().iter().filter_map(rounds).collect()
}

#[tokio::test]
async fn g2_tokens_grow_from_holder_to_holder_alone_and_in_sets() {
    let cluster = cluster(5).await;
    let (here, there) =
        (connected(patient(&cluster), 5).await.0, patient(&cluster).build().unwrap());
    let mut last = token(&here, "a").await;
    for holder in [&there, &here, &here, &there] {
        let next = token(holder, "a").await;
        assert!(next > last, "{next} after {last}");
        last = next;
    }
    let guard = here.fenced().lock(["b", "a"]).await.unwrap();
    assert!(guard.fencing_token() > last, "a set is above each of its resources");
    let last = guard.fencing_token();
    guard.extend().await.unwrap();
    assert_eq!(guard.fencing_token(), last);
    assert!(there.try_lock("b").fenced().await.unwrap().is_none(), "it is held");
    guard.release().await.unwrap();
    assert!(token(&there, "b").await > last);
}

#[tokio::test]
async fn a_fenced_lock_is_a_lock_as_any_other() {
    let cluster = cluster(3).await;
    let (redlock, _) = connected(patient(&cluster), 3).await;
    let plain = redlock.lock("a").await.unwrap();
    assert!(redlock.try_lock("a").fenced().await.unwrap().is_none());
    plain.release().await.unwrap();
    let fenced = redlock.try_lock("a").max_hold(MINUTE).fenced().ttl(TTL).await.unwrap().unwrap();
    assert!(redlock.try_lock("a").await.unwrap().is_none());
    assert!(fenced.is_valid() && fenced.run(async { 7 }).await.unwrap() == 7);
    let token = fenced.fencing_token();
    let guard: Guard = fenced.into();
    drop(guard);
    let next = redlock.lock("a").wait_for(BOUND).fenced().await.unwrap();
    assert!(next.fencing_token() > token);
}

/// Whatever the clocks of the day say, and whichever minority is away each time.
#[tokio::test(start_paused = true)]
async fn g2_no_clock_takes_part_in_the_order() {
    let (nodes, net, _) = pipes(5);
    let clients = [30_000, 0, 19_676, 19_677, 1].map(|day| client(&nodes, &net, day));
    let clients = clients.map(|builder| builder.build().unwrap());
    let mut last = None;
    for turn in 0..40 {
        let away = [turn % 5, (turn * 3 + 1) % 5];
        away.iter().for_each(|node| nodes[*node].fail_with(Some("LOADING not yet".to_owned())));
        let next = token(&clients[turn * 7 % clients.len()], "a").await;
        assert!(last.is_none_or(|last| last < next), "turn {turn}: {next} after {last:?}");
        last = Some(next);
        away.iter().for_each(|node| nodes[*node].fail_with(None));
        // What is owed to those that were away.
        advance(TTL).await;
    }
}

/// `2 * a - n - 1` of them, wherever they are; one more is too many, where the clocks do not help.
#[tokio::test(start_paused = true)]
async fn g2_as_many_nodes_may_forget_as_certify_on_leaves_room_for() {
    for (certify_on, may_forget) in [(3, 0), (4, 2), (5, 4)] {
        let mut is_broken = false;
        for forgetful in 0..1usize << 5 {
            let (nodes, net, _) = pipes(5);
            let client = |day| client(&nodes, &net, day).certify_on(certify_on).build().unwrap();
            // The later one has no clock to speak of.
            let (earlier, later) = (client(19_676), client(0));
            let first = token(&earlier, "a").await;
            advance(TTL).await;
            let forgetful = (0..5).filter(|node| forgetful & 1 << node != 0);
            let forgot = forgetful.map(|node| forget_counter(&nodes[node], "a")).count();
            let second = token(&later, "a").await;
            assert!(second > first || forgot > may_forget, "{certify_on}: {forgot} forgot");
            is_broken |= second <= first;
        }
        assert!(is_broken, "all that forget are always too many");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_lost_its_counters_gets_them_back_with_the_lock() {
    let (nodes, _net, builder) = pipes(3);
    let redlock = builder.build().unwrap();
    let guard = redlock.lock(["a", "b"]).fenced().await.unwrap();
    let counter = |node: &EmbeddedNode, resource: &str| {
        node.run(&["GET", &format!("quorlock:fence:{resource}")]).text().map(str::to_owned)
    };
    let token = Some(guard.fencing_token().to_string());
    nodes[1].wipe();
    guard.extend().await.unwrap();
    eventually("it is repaired", async || nodes[1].run(&["EXISTS", "a"]).int() == Some(1)).await;
    assert_eq!([counter(&nodes[1], "a"), counter(&nodes[1], "b")], [token.clone(), token.clone()]);
    // By an extend and by a release, too: those of which only the counters are gone.
    forget_counter(&nodes[0], "a");
    guard.extend().await.unwrap();
    assert_eq!(counter(&nodes[0], "a"), token);
    forget_counter(&nodes[2], "b");
    guard.release().await.unwrap();
    assert_eq!(counter(&nodes[2], "b"), token);
    let left = nodes[2].run(&["PTTL", "quorlock:fence:b"]).int().unwrap();
    assert!((23 * 3_600_000..=24 * 3_600_000).contains(&left), "kept for a day: {left} ms");
}

/// The lock of the one ends, that of the other lasts for a month: what the one still does must not let the counters go before.
#[tokio::test(start_paused = true)]
async fn g2_a_late_release_does_not_shorten_what_counters_are_kept_for() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let (nodes, _net, builder) = pipes(3);
    let redlock = builder.without_quarantine().build().unwrap();
    let lost = redlock.lock("a").without_keeper().fenced().await.unwrap();
    advance(TTL * 2).await;
    let long = redlock.lock("a").ttl(30 * DAY).without_keeper().fenced().await.unwrap();
    assert!(lost.release().await.is_err(), "it was lost");
    advance(29 * DAY).await;
    assert!(long.is_valid());
    let kept =
        nodes.iter().filter(|node| node.run(&["EXISTS", "quorlock:fence:a"]).int() == Some(1));
    assert_eq!(kept.count(), 3);
}

/// One resource is counted in front of the script, several in it.
#[tokio::test(start_paused = true)]
async fn g2_a_short_lock_does_not_shorten_what_counters_are_kept_for() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let (nodes, _net, builder) = pipes(3);
    let redlock = builder.without_quarantine().build().unwrap();
    for set in [vec!["a"], vec!["b", "c"]] {
        let long = redlock.lock(set.clone()).ttl(30 * DAY).without_keeper().fenced().await.unwrap();
        long.release().await.unwrap();
        let short = redlock.lock(set).without_keeper().fenced().await.unwrap();
        short.release().await.unwrap();
    }
    advance(2 * DAY).await;
    for counter in ["a", "b", "c"].map(|key| format!("quorlock:fence:{key}")) {
        let kept = nodes.iter().filter(|node| node.run(&["EXISTS", &counter]).int() == Some(1));
        assert_eq!(kept.count(), 3, "{counter}");
    }
}

/// Nodes that have counted differently, so that a second round is needed, and a millisecond later each time.
#[tokio::test(start_paused = true)]
async fn g4_a_fenced_request_dropped_at_any_moment_of_both_rounds_leaves_no_key() {
    let (nodes, net, _) = pipes(3);
    let redlock = client(&nodes, &net, 0).build().unwrap();
    drop(redlock.lock("warm-up").await.unwrap());
    nodes.iter().for_each(|node| node.slow(Duration::from_millis(5)));
    let mut in_two_rounds = false;
    for moment in 0..30 {
        for (node, counter) in nodes.iter().zip(["5", "7", "9"]) {
            node.run(&["SET", "quorlock:fence:a", counter, "PX", "60000"]);
        }
        let asked = redlock.try_lock("a").fenced().into_future();
        let held = tokio::time::timeout(Duration::from_millis(moment), asked).await;
        in_two_rounds |= moment >= 15 && held.is_ok();
        drop(held);
        sleep(Duration::from_millis(100)).await;
        let left = nodes.iter().filter(|node| node.run(&["EXISTS", "a"]).int() != Some(0));
        assert_eq!(left.count(), 0, "dropped after {moment} ms");
    }
    assert!(in_two_rounds, "some were dropped after the end");
}

/// Where all three have to certify, one is as good as a majority.
#[tokio::test(start_paused = true)]
async fn one_node_too_few_to_certify_is_told_as_what_it_is() {
    let (nodes, net, builder) = pipes(3);
    let redlock = builder.certify_on(3).build().unwrap();
    net.hold(&nodes[2].name());
    let (first, ()) = tokio::join!(redlock.try_lock("a").fenced().into_future(), async {
        sleep(Duration::from_millis(700)).await;
        net.release(&nodes[2].name());
    });
    let first = first.unwrap().expect("the first call waits for all that have to certify");
    first.release().await.unwrap();

    nodes[0].run(&["SET", "b", "theirs"]);
    let foreign = redlock.lock("b").fenced().await.unwrap_err();
    assert!(matches!(foreign, Error::ForeignKey { .. }), "{foreign}");

    nodes[0].fail_with(Some("NOPERM no permissions".to_owned()));
    let begun = tokio::time::Instant::now();
    let refused = redlock.lock("c").fenced().await.unwrap_err();
    assert!(matches!(refused, Error::NoQuorum { needed: 3, .. }), "{refused}");
    assert!(begun.elapsed() < Duration::from_secs(1), "waiting does not help");
}

#[tokio::test]
async fn an_uncontended_fenced_lock_takes_one_round_trip_also_after_a_node_came_back_empty() {
    let cluster = cluster(5).await;
    let (redlock, events) = connected(patient(&cluster), 5).await;
    for turn in 0..60 {
        if turn % 10 == 5 {
            for key in ["a", "quorlock:fence:a"] {
                cluster.nodes()[turn / 10 % 5].command(&["DEL", key]).await.unwrap();
            }
        }
        token(&redlock, "a").await;
    }
    let rounds = rounds(&events);
    assert_eq!(rounds.iter().filter(|rounds| **rounds == 1).count(), rounds.len(), "{rounds:?}");
}

#[tokio::test]
async fn under_ten_clients_most_fenced_locks_take_one_round_trip_and_none_more_than_two() {
    let cluster = cluster(5).await;
    let clients = join_all((0..10).map(|_| connected(patient(&cluster).ttl(MINUTE), 5))).await;
    let hammering = clients.iter().map(|(redlock, _)| async {
        let mut tokens = Vec::new();
        for _ in 0..10 {
            tokens.push(token(redlock, "hammered").await);
        }
        tokens
    });
    let mut tokens = join_all(hammering).await.concat();
    tokens.sort_unstable();
    assert!(tokens.windows(2).all(|two| two[0] < two[1]), "each is had once");
    let rounds: Vec<usize> = clients.iter().flat_map(|(_, events)| rounds(events)).collect();
    let one = rounds.iter().filter(|rounds| **rounds == 1).count();
    eprintln!("{one} of {} fenced locks in one round trip", rounds.len());
    assert!(rounds.iter().all(|rounds| *rounds <= 2));
    assert!(one * 10 >= rounds.len() * 8, "{one} of {} in one round trip", rounds.len());
}

#[tokio::test]
async fn a_token_goes_along_when_a_lock_is_handed_over() {
    let cluster = cluster(3).await;
    let (here, there) =
        (connected(patient(&cluster), 3).await.0, patient(&cluster).build().unwrap());
    let (here, there) = (here.fenced(), there.fenced());
    let guard = here.lock("a").await.unwrap();
    let token = guard.fencing_token();
    let lease = guard.into_lease().unwrap();
    assert_eq!(lease.fencing_token(), token);
    let written = serde_json::to_string(&lease).unwrap();
    let lease: Fenced<Lease> = serde_json::from_str(&written).unwrap();
    let guard = there.take_up(&lease).await.unwrap();
    assert_eq!(guard.fencing_token(), token);
    guard.release().await.unwrap();
    let plain = serde_json::to_string(&(*here).lock("b").await.unwrap().into_lease().unwrap());
    let without = serde_json::from_str::<Fenced<Lease>>(&plain.unwrap()).unwrap_err();
    assert!(without.to_string().contains("fencing"), "{without}");
    for none in ["0", "18446744073709551615"] {
        let strange = written.replace(&token.to_string(), none);
        let strange = serde_json::from_str::<Fenced<Lease>>(&strange).unwrap_err();
        assert!(strange.to_string().contains("number"), "{strange}");
    }
}

#[tokio::test]
async fn a_counter_that_is_none_is_told_and_leaves_no_lock_behind() {
    let cluster = cluster(3).await;
    let (redlock, _) = connected(patient(&cluster), 3).await;
    let counter = "quorlock:fence:a";
    let set = ["SET", counter];
    for wrong in [
        &["LPUSH", counter, "1"] as &[_],
        &[set[0], set[1], "nan"],
        &[set[0], set[1], "-5"],
        &[set[0], set[1], "9007199254740991"],
        &[set[0], set[1], "nan", "PX", "60000"],
        &[set[0], set[1], "9007199254740991", "PX", "60000"],
    ] {
        for node in &cluster.nodes()[..2] {
            node.command(&["DEL", counter]).await.unwrap();
            node.command(wrong).await.unwrap();
        }
        let before = counters(&cluster, counter).await;
        // Nobody waits for it: it is there until somebody deletes it.
        let refused = redlock.lock("a").fenced().await.unwrap_err();
        let Error::NoQuorum { failures, .. } = &refused else { panic!("{refused}") };
        let told = |failure: &NodeError| {
            failure.kind() == NodeErrorKind::Misconfigured && failure.to_string().contains(counter)
        };
        assert!(failures.len() == 2 && failures.iter().all(told), "{refused}");
        eventually("nothing is left", async || holders(&cluster, "a").await == "000").await;
        assert_eq!(counters(&cluster, counter).await, before, "not even for how long it lasts");
    }
    for node in cluster.nodes() {
        node.command(&["DEL", counter]).await.unwrap();
    }
}

/// What a counter that is no number holds on the first two nodes, and in which minute it ends.
async fn counters(cluster: &Cluster, counter: &str) -> Vec<String> {
    let look = "local value, left = redis.pcall('GET', KEYS[1]), redis.call('PTTL', KEYS[1])
                return (value.err and 'none' or value) .. ' ' .. math.ceil(left / 60000)";
    let mut found = Vec::new();
    for node in &cluster.nodes()[..2] {
        let value = node.command(&["EVAL", look, "1", counter]).await.expect("the node answers");
        found.push(format!("{value:?}"));
    }
    found
}

#[tokio::test]
async fn only_a_quorum_or_more_can_certify() {
    let nodes = ["redis://a", "redis://b", "redis://c"];
    for certify_on in [0, 1, 4] {
        let refused = Redlock::builder(nodes).certify_on(certify_on).build().unwrap_err();
        let Error::InvalidInput(refused) = refused else { panic!("{refused}") };
        assert_eq!(refused, InvalidInput::CertifyOn { certify_on, nodes: 3 });
    }
    let good = |builder: Builder| builder.build().is_ok();
    assert!(
        good(Redlock::builder(nodes).certify_on(2)) && good(Redlock::builder(nodes).certify_on(3))
    );
}

#[tokio::test]
async fn the_script_of_the_documents_refuses_what_is_old() {
    let doc = include_str!("../../docs/fencing.md");
    let script = doc.split("```lua\n").nth(1).expect("it is there");
    let script = script.split("```").next().expect("it ends");
    let cluster = cluster(1).await;
    let write = async |value: &str, token: &str| {
        let words = ["EVAL", script, "2", "row", "row:fence", value, token];
        cluster.nodes()[0].command(&words).await.expect("it runs")
    };
    for (value, token, written) in [("a", "33", 1), ("b", "33", 1), ("c", "34", 1), ("d", "33", 0)]
    {
        assert_eq!(write(value, token).await, redis::Value::Int(written), "{value}");
    }
    assert_eq!(cluster.nodes()[0].get("row").await.unwrap().as_deref(), Some("c"));
    cluster.nodes()[0].command(&["DEL", "row", "row:fence"]).await.unwrap();
}
