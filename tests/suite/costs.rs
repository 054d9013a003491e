//! What an acquire costs with the quarantine and without, and with a fencing token: commands counted, times compared within one
//! run. What faults cost is `minority_faults.rs`'s.

use std::time::Duration;

use quorlock::{Builder, Redlock};
use tokio::time::Instant;

use crate::support::{BOUND, MINUTE, cluster, connected, eventually, on, proxied};

const CYCLES: usize = 50;

async fn handles(builder: impl Fn() -> Builder) -> [Redlock; 2] {
    let patient = || builder().ttl(MINUTE).time_limit(BOUND);
    [connected(patient(), 5).await.0, connected(patient().without_quarantine(), 5).await.0]
}

#[tokio::test]
async fn a_cycle_costs_two_commands_a_node_with_the_quarantine_and_without() {
    let cluster = proxied(5).await;
    let handles = handles(|| on(cluster.urls())).await;
    let quiet = || (0..5).all(|index| cluster.proxy(index).unanswered() == 0);
    let sent = || (0..5).map(|index| cluster.proxy(index).requests()).sum::<u64>();
    for redlock in &handles {
        eventually("all is answered", async || quiet()).await;
        let before = sent();
        for _ in 0..CYCLES {
            redlock.lock("a").await.unwrap().release().await.unwrap();
        }
        redlock.lock("b").await.unwrap().release().await.unwrap();
        eventually("all is answered", async || quiet()).await;
        let (all, cycles) = (sent() - before, 2 * 5 * (CYCLES as u64 + 1));
        // What was on its way before may be counted here: the lock by which the handle was connected. A third command of
        // every cycle would be hundreds.
        assert!((cycles..=cycles + 2 * 5).contains(&all), "{all} commands, {cycles} of the cycles");
    }
}

/// The medians of three kinds of acquire, which alternate: plain, without the quarantine, fenced.
async fn medians(handles: &[Redlock; 2]) -> [Duration; 3] {
    let mut laps = [(); 3].map(|()| Vec::new());
    for _ in 0..300 {
        for (index, redlock) in handles.iter().enumerate() {
            let start = Instant::now();
            let guard = redlock.lock("a").await.expect("it is free");
            laps[index].push(start.elapsed());
            guard.release().await.expect("it is held");
        }
        let start = Instant::now();
        let guard = handles[0].lock("c").fenced().await.expect("it is free");
        laps[2].push(start.elapsed());
        guard.release().await.expect("it is held");
    }
    laps.map(|mut laps| {
        laps.sort();
        laps[laps.len() / 2]
    })
}

#[tokio::test]
async fn the_quarantine_takes_no_time_of_an_acquire() {
    let cluster = cluster(5).await;
    let handles = handles(|| on(cluster.urls())).await;
    // The machine is noisy; what this must catch is another round trip.
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let [plain, without, fenced] = medians(&handles).await.map(|median| median.as_secs_f64());
        let (quarantine, fencing) = (plain / without, fenced / plain);
        eprintln!(
            "acquire: {:.0} us, {quarantine:.2} of it without the quarantine, fenced {fencing:.2}",
            plain * 1e6
        );
        best = best.min(quarantine);
        if best <= 1.5 {
            return;
        }
    }
    panic!("an acquire takes {best:.2} times as long with the quarantine");
}
