//! The relay: all connections through one proxy, its fault verbs and its counters. It does not listen.

use std::collections::BTreeMap;
use std::future::pending;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::flow::Flow;
use super::weather::{Admission, Direction, Fate, Weather};
use super::wire::{Stream, Wire, lock};

/// The wire in front of one node: fault verbs and counters. Clones are handles to the same wire; when the
/// last one is dropped, its connections end.
///
/// Every verb takes effect at once, for open and for new connections.
#[derive(Clone, Debug)]
pub struct Relay(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    weather: Mutex<Weather>,
    links: Mutex<BTreeMap<u64, Link>>,
    accepted: AtomicU64,
    requests: Arc<AtomicU64>,
    replies: Arc<AtomicU64>,
}

/// One connection through the relay.
#[derive(Debug)]
struct Link {
    /// The relay's, or worse. Each link has its own: who waits for changes of a watch is told in an order of its own, and
    /// a simulation has to repeat itself.
    weather: watch::Sender<Weather>,
    client: Wire,
    server: Wire,
    client_open: Arc<AtomicBool>,
    task: AbortHandle,
}

impl Relay {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner {
            weather: Mutex::default(),
            links: Mutex::default(),
            accepted: AtomicU64::new(0),
            requests: Arc::default(),
            replies: Arc::default(),
        }))
    }

    /// Delays every chunk by this much, each way. Order is kept and chunks overlap: a delay line, not a
    /// throttle.
    pub fn slow(&self, delay: Duration) {
        self.change(|weather| weather.delay = delay);
    }

    /// Keeps all bytes, also those of connections that the client closes meanwhile, until [`release`](Self::release)
    /// delivers them: what a kernel's retransmissions do after a partition.
    pub fn hold(&self) {
        self.change(|weather| weather.set_both(Fate::Hold));
    }

    /// Ends [`hold`](Self::hold): what was kept is delivered in order.
    pub fn release(&self) {
        self.change(Weather::release);
    }

    /// Loses what clients send; the node does not run it.
    pub fn drop_requests(&self) {
        self.partition_oneway(Direction::Requests);
    }

    /// Loses what the node sends; it runs the commands.
    pub fn drop_replies(&self) {
        self.partition_oneway(Direction::Replies);
    }

    /// Loses everything, both ways. Nothing is closed.
    pub fn partition(&self) {
        self.change(|weather| weather.set_both(Fate::Lose));
    }

    /// Loses everything that goes in this direction.
    pub fn partition_oneway(&self, direction: Direction) {
        self.change(|weather| weather.set(direction, Fate::Lose));
    }

    /// Ends every fault of this wire, delays and held bytes included. What was lost stays lost, and a
    /// connection that lost bytes stays mute in that direction.
    pub fn repair(&self) {
        self.change(|weather| *weather = Weather::default());
        self.deliver();
    }

    /// Closes all connections with RST, both ends.
    pub fn reset(&self) {
        for link in std::mem::take(&mut *lock(&self.0.links)).values() {
            link.client.reset();
            link.server.reset();
        }
    }

    /// Closes every new connection at once; open ones go on.
    pub fn refuse(&self) {
        self.change(|weather| weather.admission = Admission::Refuse);
    }

    /// Accepts every new connection and never forwards or answers anything on it, also after
    /// [`repair`](Self::repair); open ones go on.
    pub fn accept_then_silence(&self) {
        self.change(|weather| weather.admission = Admission::Silence);
    }

    /// Connections that the client has not closed.
    pub fn connections(&self) -> usize {
        lock(&self.0.links).values().filter(|l| l.client_open.load(Ordering::Relaxed)).count()
    }

    /// Connections that clients have made so far; over TCP those that were refused count too.
    pub fn accepted(&self) -> u64 {
        self.0.accepted.load(Ordering::Relaxed)
    }

    /// Whole requests that came from clients so far, delivered or not.
    pub fn requests(&self) -> u64 {
        self.0.requests.load(Ordering::Relaxed)
    }

    /// Whole replies that came from the node so far, delivered or not.
    pub fn replies(&self) -> u64 {
        self.0.replies.load(Ordering::Relaxed)
    }

    /// Requests to which no reply has come from the node.
    pub fn unanswered(&self) -> u64 {
        self.requests().saturating_sub(self.replies())
    }

    pub(crate) fn weather(&self) -> Weather {
        *lock(&self.0.weather)
    }

    /// What becomes of both directions, and how long it takes; replaces what [`slow`](Self::slow), [`hold`](Self::hold)
    /// and [`partition`](Self::partition) have set.
    pub(crate) fn set(&self, requests: Fate, replies: Fate, delay: Duration) {
        self.change(|weather| {
            (weather.requests, weather.replies, weather.delay) = (requests, replies, delay);
        });
    }

    /// Keeps what was sent on the connections of now, and not what is sent on newer ones; says whether there are any.
    /// Until [`deliver`](Self::deliver), also where a client closes meanwhile.
    pub(crate) fn delay_open_links(&self) -> bool {
        let links = lock(&self.0.links);
        links.values().for_each(|link| link.weather.send_modify(|weather| weather.stuck = true));
        !links.is_empty()
    }

    /// Ends [`delay_open_links`](Self::delay_open_links).
    pub(crate) fn deliver(&self) {
        let links = lock(&self.0.links);
        links.values().for_each(|link| link.weather.send_modify(|weather| weather.stuck = false));
    }

    /// Ends all connections on the client's side only: what was sent is still delivered, in its time.
    pub(crate) fn hang_up(&self) {
        for link in lock(&self.0.links).values() {
            link.client.close();
            // Who waits for the client's next bytes is woken, and finds the end.
            link.weather.send_modify(|_| ());
        }
    }

    pub(crate) fn downgrade(&self) -> WeakRelay {
        WeakRelay(Arc::downgrade(&self.0))
    }

    fn change(&self, change: impl FnOnce(&mut Weather)) {
        // Held until all know, so that no link joins in between and misses it.
        let links = lock(&self.0.links);
        let changed = {
            let mut weather = lock(&self.0.weather);
            change(&mut weather);
            *weather
        };
        for link in links.values() {
            link.weather
                .send_modify(|weather| *weather = Weather { stuck: weather.stuck, ..changed });
        }
    }

    /// Takes a client in and connects it with the server. Must be called inside a tokio runtime.
    pub(crate) fn join(
        &self,
        client: Stream,
        connect: impl Future<Output = io::Result<Stream>> + Send + 'static,
    ) {
        let id = self.0.accepted.fetch_add(1, Ordering::Relaxed);
        let (client, server, client_open) =
            (Wire::new(client), Wire::default(), Arc::new(AtomicBool::new(true)));
        let admission = self.weather().admission;
        if admission == Admission::Refuse {
            return client.reset();
        }
        // Held until the link is in: its task takes it out again, perhaps at once.
        let mut links = lock(&self.0.links);
        let (weather, seen) = watch::channel(self.weather());
        let trip = Trip {
            client: client.clone(),
            server: server.clone(),
            client_open: Arc::clone(&client_open),
            weather: seen,
            seen: [Arc::clone(&self.0.requests), Arc::clone(&self.0.replies)],
        };
        let relay = self.downgrade();
        let task = tokio::spawn(async move {
            match admission {
                Admission::Forward => trip.run(connect).await,
                _ => trip.into_silence().await,
            }
            relay.forget(id);
        });
        links.insert(id, Link { weather, client, server, client_open, task: task.abort_handle() });
    }
}

/// A handle for tasks, which must not keep the wire alive.
#[derive(Clone)]
pub(crate) struct WeakRelay(Weak<Inner>);

impl WeakRelay {
    pub(crate) fn upgrade(&self) -> Option<Relay> {
        self.0.upgrade().map(Relay)
    }

    fn forget(&self, id: u64) {
        if let Some(inner) = self.0.upgrade() {
            drop(lock(&inner.links).remove(&id));
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
        self.client.close();
        self.server.close();
    }
}

/// What the task of one link needs.
struct Trip {
    client: Wire,
    server: Wire,
    client_open: Arc<AtomicBool>,
    weather: watch::Receiver<Weather>,
    seen: [Arc<AtomicU64>; 2],
}

impl Trip {
    async fn run(mut self, connect: impl Future<Output = io::Result<Stream>>) {
        match connect.await {
            Ok(stream) => self.server.fill(stream),
            Err(_) => {
                // Nobody is there, but behind a cut wire the client cannot know.
                let _ = self.weather.wait_for(Weather::is_clear).await;
                return self.client.reset();
            }
        }
        let open = Arc::clone(&self.client_open);
        let requests = self.flow(Direction::Requests, [&self.client, &self.server]);
        let replies = self.flow(Direction::Replies, [&self.server, &self.client]);
        // A node never closes half: when its stream has ended, the connection has.
        tokio::select! {
            biased;
            () = async { requests.run(|| open.store(false, Ordering::Relaxed)).await; pending().await } => {}
            () = replies.run(|| ()) => {}
        }
    }

    /// Only reads, until the client gives up.
    async fn into_silence(self) {
        let nowhere = Wire::default();
        let open = Arc::clone(&self.client_open);
        let requests = self.flow(Direction::Requests, [&self.client, &nowhere]);
        requests.run(|| open.store(false, Ordering::Relaxed)).await;
    }

    fn flow(&self, direction: Direction, [source, sink]: [&Wire; 2]) -> Flow {
        let seen = &self.seen[match direction {
            Direction::Requests => 0,
            Direction::Replies => 1,
        }];
        Flow::new(direction, (source.clone(), sink.clone()), self.weather.clone(), Arc::clone(seen))
    }
}
