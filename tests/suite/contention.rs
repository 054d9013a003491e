//! Many who want the same lock at once: one has it at a time (promise G1), and all get it in turn. What they did is
//! recorded and judged by the test kit's checker. How a waiter spaces its questions is seen in `turns.rs`.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::future::{join_all, try_join_all};
use quorlock::{Error, Guard, Redlock};
use quorlock_testkit::checker::{Checker, Losses, holds};
use quorlock_testkit::history::{Event, History, Recorder};
use quorlock_testkit::proxy::Direction;
use quorlock_testkit::{Cluster, Fault};
use redis::aio::MultiplexedConnection;
use tokio::sync::Barrier;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use crate::support::{BOUND, Dice, cluster, eventually, holders, proxied, redlock};

const MS: Duration = Duration::from_millis(1);
const RESOURCE: &str = "stock";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_three_clients_race_for_300_rounds_and_exactly_one_wins_each() {
    const ROUNDS: usize = 300;
    let cluster = cluster(5).await;
    let race = Arc::new(Race::new(3, ROUNDS));
    let racers = clients(3, || redlock(&cluster)).into_iter().map(|client| {
        let race = Arc::clone(&race);
        tokio::spawn(async move { race.run(client).await })
    });
    let racers = timeout(3 * BOUND, try_join_all(racers)).await.expect("every race has a winner");
    let wins: Vec<_> = race.wins.iter().map(|wins| wins.load(Ordering::SeqCst)).collect();
    assert_eq!(wins, [1; ROUNDS]);
    let history = judged(racers.unwrap(), &cluster).await;
    assert_eq!(holds(&history).len(), ROUNDS);
}

#[tokio::test]
async fn g1_three_clients_that_wait_all_get_it_in_turn() {
    const TURNS: usize = 30;
    let cluster = cluster(5).await;
    let clients = clients(3, || redlock(&cluster)).into_iter();
    let turns = clients.map(|client| take_turns(client, TURNS));
    let history = judged(join_all(turns).await, &cluster).await;
    assert_eq!(holds(&history).len(), 3 * TURNS);
}

async fn take_turns(mut client: Client, turns: usize) -> Client {
    for _ in 0..turns {
        let guard = client.lock().await.expect("it comes back in time");
        sleep(MS).await;
        client.release(guard).await;
    }
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_eight_clients_hold_at_random_while_one_node_after_the_other_is_faulty() {
    const FAULTS: usize = 12;
    let cluster = proxied(5).await;
    let over = Arc::new(AtomicBool::new(false));
    let contenders = clients(8, || redlock(&cluster));
    let contenders: Vec<_> = (1..)
        .zip(contenders)
        .map(|(seed, client)| tokio::spawn(contend(client, Dice::new(seed), Arc::clone(&over))))
        .collect();
    let mut dice = Dice::new(8);
    for _ in 0..FAULTS {
        let node = dice.up_to(5);
        let fault = match dice.up_to(4) {
            0 => Fault::Pause(node),
            1 => Fault::Partition(node),
            2 => Fault::PartitionOneway(node, Direction::Replies),
            _ => Fault::Hold(node),
        };
        fault.inject(&cluster).await.unwrap();
        sleep(dice.below(250 * MS)).await;
        fault.heal(&cluster).await.unwrap();
        sleep(dice.below(50 * MS)).await;
    }
    over.store(true, Ordering::SeqCst);
    let history = judged(try_join_all(contenders).await.unwrap(), &cluster).await;
    assert!(holds(&history).len() >= 8, "each of them had it");
}

/// Locks, holds for a moment, and releases or drops, until it is over; each client once at least.
async fn contend(mut client: Client, mut dice: Dice, over: Arc<AtomicBool>) -> Client {
    loop {
        let guard = client.lock().await.expect("a majority is healthy all the time");
        sleep(dice.below(15 * MS)).await;
        match dice.up_to(4) {
            0 => client.drop(guard),
            _ => client.release(guard).await,
        }
        if over.load(Ordering::SeqCst) {
            return client;
        }
        sleep(dice.below(10 * MS)).await;
    }
}

#[tokio::test]
async fn g1_a_plain_client_that_knows_nothing_of_us_and_we_exclude_each_other() {
    const ROUNDS: usize = 200;
    let cluster = cluster(5).await;
    let redlock = redlock(&cluster);
    let plain = Plain::connect(&cluster).await;
    let (mut ours, mut theirs) = (0, 0);
    for round in 0..ROUNDS {
        let (guard, granted) = at_once(&redlock, &plain, round % 2 == 0).await;
        assert!(guard.is_none() || granted < 3, "round {round}: we hold it, and so do they");
        ours += usize::from(guard.is_some());
        theirs += usize::from(granted >= 3);
        // Who holds it keeps the other one out for as long as it does.
        if guard.is_some() {
            assert!(plain.set().await < 3, "round {round}: taken from us");
        } else if granted >= 3 {
            let asked = redlock.try_lock(RESOURCE).await;
            assert!(matches!(asked, Ok(None)), "round {round}: taken from them: {asked:?}");
        }
        plain.delete().await;
        if let Some(guard) = guard {
            guard.release().await.unwrap();
        }
        eventually("all is given back", async || holders(&cluster, RESOURCE).await == "00000")
            .await;
    }
    assert!(ours > 0 && theirs > 0, "{ours} rounds were ours, {theirs} theirs");
}

/// Both ask in the same moment; the first to be polled mostly gets to the nodes first.
async fn at_once(redlock: &Redlock, plain: &Plain, we_first: bool) -> (Option<Guard>, usize) {
    let ours = async { redlock.try_lock(RESOURCE).await.unwrap_or(None) };
    let theirs = plain.set();
    if we_first {
        tokio::join!(biased; ours, theirs)
    } else {
        let (granted, guard) = tokio::join!(biased; theirs, ours);
        (guard, granted)
    }
}

/// What many programs do: `SET key value NX PX ttl`, and `DEL` where it was granted.
struct Plain {
    nodes: Vec<MultiplexedConnection>,
    /// Where a key is its own.
    granted: RefCell<Vec<bool>>,
}

impl Plain {
    async fn connect(cluster: &Cluster) -> Self {
        let connect = cluster.nodes().iter().map(|node| async move {
            let client = redis::Client::open(node.url()).expect("a good URL");
            client.get_multiplexed_async_connection().await.expect("the node is up")
        });
        let nodes = join_all(connect).await;
        let granted = RefCell::new(vec![false; nodes.len()]);
        Self { nodes, granted }
    }

    /// On how many nodes it holds the key now.
    async fn set(&self) -> usize {
        let mut set = redis::cmd("SET");
        set.arg(RESOURCE).arg("plain").arg("NX").arg("PX").arg(10_000);
        let sets = self.nodes.iter().map(|node| {
            let (mut node, set) = (node.clone(), set.clone());
            async move {
                let answer: Option<String> = set.query_async(&mut node).await.expect("an answer");
                answer.is_some()
            }
        });
        let fresh = join_all(sets).await;
        let mut granted = self.granted.borrow_mut();
        granted.iter_mut().zip(fresh).for_each(|(had, has)| *had |= has);
        granted.iter().filter(|has| **has).count()
    }

    async fn delete(&self) {
        let granted = self.granted.replace(vec![false; self.nodes.len()]);
        let held = self.nodes.iter().zip(granted).filter(|(_, has)| *has);
        let deletes = held.map(|(node, _)| {
            let mut node = node.clone();
            async move { redis::cmd("DEL").arg(RESOURCE).exec_async(&mut node).await }
        });
        let deleted = join_all(deletes).await;
        assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
    }
}

/// Rounds that all racers begin at once, each repeated until somebody wins it.
struct Race {
    start: Barrier,
    end: Barrier,
    wins: Vec<AtomicUsize>,
}

impl Race {
    fn new(racers: usize, rounds: usize) -> Self {
        let wins = (0..rounds).map(|_| AtomicUsize::new(0)).collect();
        Self { start: Barrier::new(racers), end: Barrier::new(racers), wins }
    }

    async fn run(&self, mut client: Client) -> Client {
        for (round, wins) in self.wins.iter().enumerate() {
            while wins.load(Ordering::SeqCst) == 0 {
                self.start.wait().await;
                for _ in 0..(round + client.number) % 3 {
                    yield_now().await;
                }
                let guard = client.try_lock().await;
                wins.fetch_add(usize::from(guard.is_some()), Ordering::SeqCst);
                // Nobody gives it back before all have asked.
                self.end.wait().await;
                if let Some(guard) = guard {
                    client.release(guard).await;
                }
            }
        }
        client
    }
}

fn clients(count: usize, redlock: impl Fn() -> Redlock) -> Vec<Client> {
    let start = Instant::now();
    (0..count).map(|number| Client::new(number, redlock(), start)).collect()
}

/// Everybody's history as one, without a violation, and no key left on any node.
async fn judged(clients: Vec<Client>, cluster: &Cluster) -> History {
    let mut history = History::new();
    for client in clients {
        client.redlock.close(BOUND).await.expect("every release is confirmed");
        history.extend(client.events);
    }
    assert_eq!(holders(cluster, RESOURCE).await, "00000");
    assert_eq!(Checker::new().losses(Losses::Unheard).check(&history), []);
    history
}

/// A handle of its own, and the history of what was done with it.
struct Client {
    number: usize,
    redlock: Redlock,
    recorder: Recorder,
    events: Vec<Event>,
    start: Instant,
}

impl Client {
    fn new(number: usize, redlock: Redlock, start: Instant) -> Self {
        let recorder = Recorder::new(format!("client-{number}"));
        Self { number, redlock, recorder, events: Vec::new(), start }
    }

    async fn lock(&mut self) -> Result<Guard, Error> {
        let asked = self.recorder.acquire(RESOURCE, self.start.elapsed());
        let taken = self.redlock.lock(RESOURCE).wait_for(BOUND).await;
        self.note(asked, taken.as_ref().ok());
        taken
    }

    /// A node that is too busy to answer is no winner either.
    async fn try_lock(&mut self) -> Option<Guard> {
        let asked = self.recorder.acquire(RESOURCE, self.start.elapsed());
        let taken = self.redlock.try_lock(RESOURCE).await.unwrap_or(None);
        self.note(asked, taken.as_ref());
        taken
    }

    fn note(&mut self, asked: Event, taken: Option<&Guard>) {
        let now = self.start.elapsed();
        self.events.push(match taken.and_then(Guard::valid_until) {
            Some(until) => asked.granted(now, until - self.start, None),
            None => asked.refused(now),
        });
    }

    /// Its begin ends the hold, whatever the nodes answer.
    async fn release(&mut self, guard: Guard) {
        let released = self.recorder.release(self.recorder.attempt(), self.start.elapsed());
        guard.release().await.ok();
        self.events.push(released.done(self.start.elapsed()));
    }

    fn drop(&mut self, guard: Guard) {
        let now = self.start.elapsed();
        drop(guard);
        self.events.push(self.recorder.release(self.recorder.attempt(), now).done(now));
    }
}
