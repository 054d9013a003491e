//! Keeps one node's connection up: open, publish, watch, give up, open again. What is asked on it is `mod.rs`'s.

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::sync::watch;

use super::asked::{Asked, NodeDriver, NodeLine, Origin};
use super::exchange::{Owing, Session};
use super::line::MANY_HEARD;
use super::login::words;
use super::session::{self, Identity, Opened};
use super::wire::Abort;
use super::{Link, Shared, State};
use crate::error::{Failure, NodeError, NodeErrorKind};
use crate::event::Event;
use crate::node::{Acted, CONNECT_LIMIT, Mode, Reply, ReplyTo};
use crate::retry::Retry;
use crate::standing::Fitness;
use crate::sync::lock;
use crate::validity::later;

/// Between attempts to connect.
const RECONNECT: Retry = Retry::between(Duration::from_millis(10), Duration::from_secs(1));
/// A connection that lived for less is no reason to hurry with the next.
const STABLE: Duration = Duration::from_secs(1);
/// Between two looks whether a connection that has taken much room is at rest. Memory that is given back and taken anew between
/// two bursts would cost more than a lock.
const REST: Duration = Duration::from_millis(100);

/// Connects, and connects again, until the handle is dropped (`alive`) and what is owed is paid.
pub(super) fn keep_up(
    node: &Arc<Shared>,
    alive: watch::Receiver<()>,
) -> impl Future<Output = ()> + Send + use<> {
    let service = Service(Arc::clone(node));
    async move {
        let node = &service.0;
        let mut unwanted: Unwanted<'_> = Box::pin(unwanted(node, alive));
        let mut delays = RECONNECT.delays(Duration::ZERO, &node.entropy);
        loop {
            let begun = node.clock.now();
            if serve(node, &mut unwanted).await.is_break() {
                return;
            }
            if node.clock.now() >= later(begun, STABLE) {
                delays = RECONNECT.delays(Duration::ZERO, &node.entropy);
            }
            tokio::select! {
                biased;
                () = &mut unwanted => return,
                () = node.sleep(delays.next().unwrap_or_default()) => {}
            }
        }
    }
}

/// Resolves when nobody will ask any more.
type Unwanted<'a> = BoxFuture<'a, ()>;

/// What keeps a connection up. When it ends, also because its runtime did and it was never polled, the next
/// question starts another.
struct Service(Arc<Shared>);

impl Drop for Service {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        let was = std::mem::replace(&mut state.link, Link::Idle);
        let first_asked = std::mem::take(&mut state.first_asked);
        // Under the lock: whoever finds that it is not, and starts, finds that nobody is there.
        self.0.settled.clear();
        drop(state);
        self.0.settled.tell();
        drop((was, first_asked));
    }
}

async fn unwanted(node: &Shared, mut alive: watch::Receiver<()>) {
    // Nothing is ever sent: this is an error when the handle is dropped.
    while alive.changed().await.is_ok() {}
    node.drained().await;
}

/// One connection from its opening to its end; breaks when it is not wanted any more.
async fn serve(node: &Arc<Shared>, unwanted: &mut Unwanted<'_>) -> ControlFlow<()> {
    let abort = Abort::default();
    let previous = lock(&node.state).identity.clone();
    let opened = tokio::select! {
        biased;
        () = &mut *unwanted => return ControlFlow::Break(()),
        opened = open(node, previous.as_ref(), &abort) => opened,
    };
    let opened = match opened {
        Ok(opened) => opened,
        Err(failure) => {
            down(node, &failure);
            return ControlFlow::Continue(());
        }
    };
    let line = Arc::clone(&opened.place.line);
    let (origin, mut driver) = up(node, opened);
    // Each is polled only when it was woken itself.
    let mut ends = FuturesUnordered::<BoxFuture<'_, Option<NodeErrorKind>>>::new();
    ends.push(Box::pin(silent(node).map(|()| Some(NodeErrorKind::NoAnswer))));
    ends.push(Box::pin(stay_joined(node).map(|()| Some(NodeErrorKind::NoAnswer))));
    ends.push(Box::pin(rest(node, &line).map(|never| match never {})));
    ends.push(Box::pin(node.insist().map(|never| match never {})));
    ends.push(Box::pin(unwanted.map(|()| None)));
    let why = tokio::select! {
        biased;
        // This is what nearly always is.
        why = drive(node, &origin, &mut driver) => Some(why),
        why = ends.select_next_some() => why,
    };
    drop(ends);
    let Some(why) = why else { return ControlFlow::Break(()) };
    // Before the stream is closed, with the driver.
    abort.set();
    drop(driver);
    down(node, &why.into());
    ControlFlow::Continue(())
}

/// Reads and writes until the connection ends.
async fn drive(node: &Arc<Shared>, origin: &Origin, driver: &mut NodeDriver) -> NodeErrorKind {
    let mut heard = Vec::new();
    poll_fn(|cx| {
        loop {
            let mut hear = |asked: Asked, answer| heard.push(asked.read(answer));
            let end = ready!(driver.poll_answers(cx, &mut hear));
            let may_be_more = heard.len() >= MANY_HEARD;
            node.answered(origin, &mut heard);
            if end.is_err() {
                return Poll::Ready(NodeErrorKind::Disconnected);
            }
            if !may_be_more {
                return Poll::Pending;
            }
        }
    })
    .await
}

async fn open(
    node: &Shared,
    previous: Option<&Identity>,
    abort: &Abort,
) -> Result<Opened, Failure> {
    let mut opening = Box::pin(session::open(node, previous, abort.clone()));
    let limit = node.clock.sleep_until(later(node.clock.now(), CONNECT_LIMIT));
    tokio::select! {
        biased;
        opened = &mut opening => opened,
        () = limit => {
            abort.set();
            Err(NodeErrorKind::NoAnswer.into())
        }
    }
}

/// Resolves when the connection owes an answer, gives none for half of its patience, and then does not even answer a `PING`
/// for the other half (invariant 6).
///
/// A process that was stopped finds its patience at an end whatever the node has answered meanwhile: that the `PING` is
/// answered tells that the node was not the one who was silent.
async fn silent(node: &Shared) {
    let owing = || match &lock(&node.state).link {
        Link::Up(session) => session.owes(),
        _ => None,
    };
    loop {
        let Some(Owing { heard, line, patience }) = owing() else {
            node.busy.notified().await;
            continue;
        };
        node.sleep(patience / 2).await;
        if owing().is_none_or(|owing| owing.heard != heard) {
            continue;
        }
        let limit = node.clock.sleep_until(later(node.clock.now(), patience / 2));
        let answered = tokio::select! {
            biased;
            // Whatever it says to that.
            answer = line.ask(words(&["PING"])) => !answer.is_err_and(|error| error.is_io_error()),
            () = limit => return,
        };
        if !answered {
            // The connection has ended, and the driver says so.
            return pending().await;
        }
    }
}

/// Gives back the room that a burst has taken, when a look finds that the connection owes nothing.
async fn rest(node: &Shared, line: &NodeLine) -> Infallible {
    loop {
        line.grown().await;
        loop {
            node.sleep(REST).await;
            let mut state = lock(&node.state);
            let State { link, owed, .. } = &mut *state;
            let is_at_rest = matches!(link, Link::Up(session) if session.is_at_rest());
            // Both, before it ends.
            if is_at_rest && (owed.rest() & line.rest()) {
                break;
            }
        }
    }
}

/// Joins the node anew when its marker has changed, its quarantine is over, or whoever refused it may have changed his mind.
/// Resolves when that is not answered.
async fn stay_joined(node: &Shared) {
    loop {
        let now = node.clock.now();
        let joined = match &lock(&node.state).link {
            Link::Up(session) if node.joining.is_some() => {
                let watch = Arc::clone(&session.place().watch);
                Some((watch, session.fitness().look_again(now)))
            }
            _ => None,
        };
        let Some((watch, again)) = joined else { return pending().await };
        tokio::select! {
            biased;
            () = watch.changed() => {}
            () = node.sleep_until(again) => {}
        }
        let limit = node.clock.sleep_until(later(node.clock.now(), CONNECT_LIMIT));
        tokio::select! {
            biased;
            () = join(node) => {}
            () = limit => return,
        }
    }
}

/// Joins the node on the connection that is up.
async fn join(node: &Shared) {
    let Some(joining) = &node.joining else { return };
    let (number, place) = match &lock(&node.state).link {
        Link::Up(session) => (session.number(), session.place().clone()),
        _ => return,
    };
    let joined = joining.join(&place, || node.clock.now()).await;
    let mut state = lock(&node.state);
    match &mut state.link {
        Link::Up(session) if session.number() == number => {
            let (was, evicted) = (session.fitness().clone(), session.evicts().cloned());
            session.is_joined(joined);
            let (is, evicts) = (session.fitness().clone(), session.evicts().cloned());
            drop(state);
            tell_fitness(node, Some(&was), &is);
            tell_eviction(node, evicts.filter(|policy| Some(policy) != evicted.as_ref()));
        }
        _ => {}
    }
}

/// Makes the node vote, if it is brand-new, and joins it after that.
pub(super) async fn bootstrap(node: &Shared, mode: Mode) -> Result<Acted, Failure> {
    let line = match &lock(&node.state).link {
        Link::Up(session) => Arc::clone(&session.place().line),
        Link::Down(failure) => return Err(failure.clone()),
        Link::Idle | Link::Connecting => return Err(NodeErrorKind::Down.into()),
    };
    let Some(joining) = &node.joining else { return Ok(Acted::Before) };
    let limit = node.clock.sleep_until(later(node.clock.now(), CONNECT_LIMIT));
    let acted = async {
        let acted = joining.bootstrap(&line, mode).await;
        join(node).await;
        // Who waits to join it anew does not know of this look, nor for how long it is right.
        if let Link::Up(session) = &lock(&node.state).link {
            session.place().watch.look_again();
        }
        acted
    };
    tokio::select! {
        biased;
        acted = acted => acted,
        () = limit => Err(NodeErrorKind::NoAnswer.into()),
    }
}

fn tell_fitness(node: &Shared, was: Option<&Fitness>, is: &Fitness) {
    let name = || Arc::clone(&node.name);
    match (was, is) {
        (Some(Fitness::Voting), Fitness::Voting) => {}
        (_, Fitness::Voting) => node.audience.tell(|| Event::NodeVotes { node: name() }),
        (Some(Fitness::Quarantined { .. }), Fitness::Quarantined { .. }) => {}
        (_, Fitness::Quarantined { until }) => {
            let ends_in = until.saturating_duration_since(node.clock.now());
            node.audience.tell(|| Event::NodeQuarantined { node: name(), ends_in });
        }
        (Some(Fitness::Refused(old)), Fitness::Refused(new)) if old.kind() == new.kind() => {}
        (_, Fitness::Refused(failure)) => {
            let error = NodeError::new(&node.name, failure.clone());
            node.audience.tell(|| Event::NodeRefused { error: error.clone() });
        }
    }
}

fn tell_eviction(node: &Shared, policy: Option<String>) {
    if let Some(policy) = policy {
        let name = || Arc::clone(&node.name);
        node.audience.tell(|| Event::NodeMayEvict { node: name(), policy: policy.clone() });
    }
}

/// Publishes the connection, with every owed release in front of whatever is asked next (invariant 3).
fn up(node: &Arc<Shared>, opened: Opened) -> (Origin, NodeDriver) {
    let now = node.clock.now();
    let Opened { place, driver, identity, old_left, native, joined } = opened;
    let fitness = joined.as_ref().map(|joined| joined.fitness.clone());
    let mut state = lock(&node.state);
    state.identity = Some(identity);
    state.sessions += 1;
    let origin = Origin { number: state.sessions, watch: Arc::clone(&place.watch) };
    if old_left {
        state.old_left = Some(now);
    }
    let mut session = Session::new(state.sessions, place, state.old_left, native, joined);
    let evicts = session.evicts().cloned();
    let due = state.owed.due();
    let owed = due.len();
    for (number, release) in due {
        // The driver reads nothing before this returns, so the connection has not ended.
        drop(node.send(&mut session, ReplyTo::nobody(release), None, Some(number)));
    }
    let line = &session.place().line;
    line.close_together();
    if state.owed.is_large() {
        line.has_grown();
    }
    state.link = Link::Up(session);
    let first_asked = std::mem::take(&mut state.first_asked);
    drop(state);
    for to in first_asked {
        node.exchange(to);
    }
    node.settled.set();
    node.audience.tell(|| Event::NodeConnected { node: Arc::clone(&node.name), owed });
    tell_fitness(node, None, &fitness.unwrap_or(Fitness::Voting));
    tell_eviction(node, evicts);
    if old_left {
        node.audience.tell(|| Event::OldConnectionLeft { node: Arc::clone(&node.name) });
    }
    (origin, driver)
}

fn down(node: &Shared, why: &Failure) {
    // Where the login was refused for good, whoever asks has to know.
    let kind = match why.kind() {
        kind if kind.is_final() => kind,
        _ => NodeErrorKind::Down,
    };
    if let Some(joining) = &node.joining {
        joining.servers.forget(joining.index);
    }
    let failure = Failure::with_source(kind, why.reason());
    let mut state = lock(&node.state);
    let was = std::mem::replace(&mut state.link, Link::Down(failure.clone()));
    let first_asked = std::mem::take(&mut state.first_asked);
    let forgotten = state.owed.trim(node.clock.now());
    drop(state);
    for to in first_asked {
        to.send(Reply::Failed(failure.clone()));
    }
    node.settled.set();
    node.tell_forgotten(forgotten);
    if !matches!(was, Link::Down(_)) {
        node.audience.tell(|| Event::NodeDown { error: NodeError::new(&node.name, failure) });
    }
}
