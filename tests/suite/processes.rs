//! Clients in other processes: stalled, killed, contending. A process that is stopped does not know it; what it does when
//! it goes on must harm nobody.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use futures::future::join_all;
use quorlock_testkit::{Cluster, Node};
use tokio::time::{sleep, sleep_until};

use crate::other_process::OtherProcess;
use crate::support::{
    TTL, by, cluster, cluster_in_plain, eventually, holders, proxied, pttls, redlock,
};

const RESOURCE: &str = "report";

#[tokio::test]
async fn g1_a_lock_held_in_one_process_is_denied_in_another_until_it_is_released() {
    let cluster = cluster(5).await;
    let urls = cluster.urls();
    let mut asker = start("acquire", &urls, &[]);
    asker.expect("ready").await;
    for _ in 0..5 {
        let mut holder = start("hold", &urls, &[]);
        holder.expect("acquired").await;
        asker.tell("try").await;
        asker.expect("denied").await;
        holder.tell("release").await;
        holder.expect("released").await;
        assert!(holder.end().await.is_empty());
        asker.tell("try").await;
        asker.expect("acquired").await;
        asker.tell("release").await;
        asker.expect("released").await;
    }
    assert!(asker.end().await.is_empty());
    eventually("no key is left", async || holders(&cluster, RESOURCE).await == "00000").await;
}

#[tokio::test]
async fn g1_three_processes_that_contend_are_never_inside_together() {
    const ROUNDS: usize = 40;
    let cluster = cluster(5).await;
    let name = format!("inside-{}", std::process::id());
    let inside = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::remove_file(&inside).ok();
    let (file, rounds) = (inside.to_str().expect("a path of cargo's"), ROUNDS.to_string());
    let options = [("--inside", file), ("--rounds", &rounds)];
    let mut contenders: Vec<_> =
        (0..3).map(|_| start("contend", &cluster.urls(), &options)).collect();
    for contender in &mut contenders {
        for _ in 0..ROUNDS {
            contender.expect("acquired").await;
        }
        contender.expect("done").await;
    }
    join_all(contenders.into_iter().map(OtherProcess::end)).await;
    assert!(!inside.exists());
}

#[tokio::test]
async fn g1_a_client_stalled_past_its_deadline_while_acquiring_never_gets_a_guard() {
    // Four fifths are taken off as drift: the keys outlive the deadline, so that the grants are still good for the nodes.
    const VALIDITY: Duration = Duration::from_secs(2);
    let cluster = proxied(5).await;
    let limits = [("--ttl", "10000"), ("--drift-factor", "0.8"), ("--time-limit", "60000")];
    let mut client = start("acquire", &cluster.urls(), &limits);
    client.expect("ready").await;
    let asked = hold_all_but_let_them_ask(&cluster).await;
    client.tell("try").await;
    eventually("a majority is asked", async || asked(&cluster) >= 3).await;
    client.stall();
    let deadline = Instant::now() + VALIDITY;
    sleep_until(deadline.into()).await;

    (0..5).for_each(|index| cluster.proxy(index).release());
    let granted = Instant::now();
    eventually("all grants are there", async || {
        holders(&cluster, RESOURCE).await == "11111" && is_all_answered(&cluster)
    })
    .await;
    client.go_on();
    client.expect("error TooLate").await;
    eventually("its keys are gone", async || holders(&cluster, RESOURCE).await == "00000").await;
    assert!(granted.elapsed() < 5 * VALIDITY, "it has given them back, they have not expired");
    assert!(client.end().await.is_empty(), "it has no more to say");
}

#[tokio::test]
async fn g5_a_holder_stalled_beyond_its_ttl_hears_of_the_loss_first_when_it_goes_on() {
    let cluster = cluster(5).await;
    let mut holder = start("hold", &cluster.urls(), &[("--ttl", "1000")]);
    holder.expect("acquired").await;
    holder.stall();
    eventually("its keys expire", async || holders(&cluster, RESOURCE).await == "00000").await;
    let redlock = redlock(&cluster);
    let guard = redlock.lock(RESOURCE).await.unwrap();
    let ours = values(&cluster).await;

    holder.go_on();
    holder.expect("lost Expired").await;
    holder.tell("extend").await;
    holder.expect("error Lost").await;
    holder.tell("release").await;
    holder.expect("error Lost").await;
    assert!(holder.end().await.is_empty());
    assert!(guard.is_valid());
    assert_eq!(values(&cluster).await, ours, "it has touched nothing of ours");
}

/// What a virtual machine sees that was stopped for an hour: all its clocks stood still, and then its host sets the time of
/// day. Shown to one process by a library in front of the system's.
#[tokio::test]
async fn g5_a_holder_whose_machine_was_stopped_loses_its_lock_when_it_goes_on() {
    const HOUR: Duration = Duration::from_secs(3600);
    let folder = tempfile::tempdir().unwrap();
    let Some(clock) = still_clock(folder.path()) else {
        return eprintln!("skipped: a clock for one process cannot be built with cc here");
    };
    let day = folder.path().join("day");
    let show = |since_1970: Duration| {
        let us = i64::try_from(since_1970.as_micros()).unwrap();
        let file = fs::File::options().write(true).create(true).truncate(false).open(&day);
        file.unwrap().write_all_at(&us.to_ne_bytes(), 0).unwrap();
    };
    let before = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    show(before);
    let variables = [("QUORLOCK_CLOCK", &day), ("LD_PRELOAD", &clock)];
    let variables = variables.map(|(name, path)| format!("{name}={}", path.display()));
    let cluster = cluster_in_plain(5).await;
    // A keeper would look at the clock at its next extend, too.
    let options = [("--resource", RESOURCE), ("--ttl", "8000"), ("--keeper", "off")];
    let program = ["env", &variables[0], &variables[1]];
    let mut holder = OtherProcess::start_under(&program, "hold", &cluster.urls(), &options);
    holder.expect("acquired").await;
    // A slow node gets it after the verdict: what is still on its way when the lease is over is taken back.
    eventually("all hold it", async || holders(&cluster, RESOURCE).await == "11111").await;
    holder.tell("extend").await;
    holder.expect("extended").await;

    show(before + HOUR);
    holder.tell("extend").await;
    let said = [holder.hear().await, holder.hear().await];
    assert!(said.iter().any(|line| line.starts_with("error Lost")), "{said:?}");
    assert!(said.iter().any(|line| line.starts_with("lost Expired")), "{said:?}");
    // Long before its timer was due: that would have slept for as long as the keys are there, but for the notice.
    let left = pttls(&cluster, RESOURCE).await;
    assert!(left.iter().all(|left| *left > 1_000), "{left:?}");
    holder.tell("release").await;
    holder.expect("error Lost").await;
    assert!(holder.end().await.is_empty());
    eventually("its keys are gone", async || holders(&cluster, RESOURCE).await == "00000").await;
}

/// A library that shows a process the time of a file: None where it cannot be built, or would show nothing.
fn still_clock(folder: &Path) -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../crates/quorlock-testkit/tests/embedded/clock.c");
    let library = folder.join("clock.so");
    let mut cc = std::process::Command::new("cc");
    let built = cc.args(["-shared", "-fPIC"]).arg(source).arg("-o").arg(&library).status();
    (cfg!(target_os = "linux") && built.is_ok_and(|status| status.success())).then_some(library)
}

#[tokio::test]
async fn g6_an_extend_on_its_way_while_its_holder_is_stalled_revives_nothing() {
    let cluster = proxied(5).await;
    let limits = [("--time-limit", "60000")];
    let mut holder = start("hold", &cluster.urls(), &limits);
    holder.expect("acquired").await;
    let asked = hold_all_but_let_them_ask(&cluster).await;
    holder.tell("extend").await;
    eventually("the extend is on its way", async || asked(&cluster) == 5).await;
    holder.stall();
    eventually("its keys expire", async || holders(&cluster, RESOURCE).await == "00000").await;
    // Past the proxies, which keep everything back.
    let redlock = by(&cluster, cluster.nodes().iter().map(Node::client_url)).build().unwrap();
    let guard = redlock.lock(RESOURCE).without_keeper().await.unwrap();
    eventually("all is ours", async || holders(&cluster, RESOURCE).await == "11111").await;
    let ours = values(&cluster).await;

    let before = pttls(&cluster, RESOURCE).await;
    (0..5).for_each(|index| cluster.proxy(index).release());
    eventually("the extend has arrived", async || is_all_answered(&cluster)).await;
    holder.go_on();
    let said = [holder.hear().await, holder.hear().await];
    assert!(said.iter().any(|line| line.starts_with("lost ")), "{said:?}");
    assert!(said.iter().any(|line| line.starts_with("error Lost")), "{said:?}");
    assert!(holder.end().await.is_empty());
    assert_eq!(values(&cluster).await, ours);
    let after = pttls(&cluster, RESOURCE).await;
    assert!(before.iter().zip(&after).all(|(before, after)| after <= before), "{after:?}");
    assert!(guard.is_valid());
}

#[tokio::test]
async fn g1_the_lock_of_a_killed_process_can_be_taken_after_its_ttl_and_not_before() {
    let cluster = cluster(5).await;
    let redlock = redlock(&cluster);
    let mut holder = start("hold", &cluster.urls(), &[("--ttl", "1500")]);
    holder.expect("acquired").await;
    holder.kill().await;
    let (read, mut left) = (Instant::now(), pttls(&cluster, RESOURCE).await);
    left.sort_unstable();
    let guard = loop {
        match redlock.try_lock(RESOURCE).await {
            Ok(Some(guard)) => break guard,
            // A busy node does not answer in time: no answer is no lock.
            Ok(None) | Err(_) => sleep(Duration::from_millis(5)).await,
        }
        assert!(read.elapsed() < 5 * TTL, "it never becomes free");
    };
    // With two nodes left to it, it is free; the clocks of nodes and suite may run apart a little.
    let third = Duration::from_millis(u64::try_from(left[2]).expect("it was there"));
    let (waited, slack) = (read.elapsed(), Duration::from_millis(20));
    assert!(waited + slack >= third, "taken after {waited:?}, of {left:?} ms");
    assert!(guard.is_valid());
}

fn start(mode: &str, urls: &[String], options: &[(&str, &str)]) -> OtherProcess {
    let mut all = vec![("--resource", RESOURCE), ("--ttl", "2000")];
    all.extend(options);
    OtherProcess::start(mode, urls, &all)
}

/// Waits until every connection is quiet, then keeps everything back. The function tells how many nodes were sent
/// something since.
async fn hold_all_but_let_them_ask(cluster: &Cluster) -> impl Fn(&Cluster) -> usize + use<> {
    eventually("every connection is up and quiet", async || {
        (0..5).all(|index| cluster.proxy(index).replies() > 0) && is_all_answered(cluster)
    })
    .await;
    (0..5).for_each(|index| cluster.proxy(index).hold());
    let requests = |cluster: &Cluster, index| cluster.proxy(index).requests();
    let before: Vec<_> = (0..5).map(|index| requests(cluster, index)).collect();
    move |cluster| (0..5).filter(|index| requests(cluster, *index) > before[*index]).count()
}

fn is_all_answered(cluster: &Cluster) -> bool {
    (0..5).all(|index| cluster.proxy(index).unanswered() == 0)
}

async fn values(cluster: &Cluster) -> Vec<Option<String>> {
    let mut values = Vec::new();
    for node in cluster.nodes() {
        values.push(node.get(RESOURCE).await.expect("the node answers"));
    }
    values
}
