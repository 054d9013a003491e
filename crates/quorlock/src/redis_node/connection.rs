//! Keeps one node's connection up: open, publish, watch, give up, open again. What is asked on it is `mod.rs`'s.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tokio::sync::watch;

use super::owed::SLACK;
use super::session::{self, Identity, Opened};
use super::wire::Abort;
use super::{Link, Sent, Session, Shared};
use crate::error::{Failure, NodeError, NodeErrorKind};
use crate::event::Event;
use crate::node::Question;
use crate::retry::Retry;
use crate::script::Form;
use crate::sync::lock;
use crate::validity::later;

/// For the stream, the login and the handshake together.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// Between attempts to connect.
const RECONNECT: Retry = Retry::between(Duration::from_millis(10), Duration::from_secs(1));

/// Connects, and connects again, until the handle is dropped (`alive`).
pub(super) async fn keep_up(node: Arc<Shared>, mut alive: watch::Receiver<()>) {
    let mut previous = None;
    let mut delays = RECONNECT.delays(Duration::ZERO, &node.entropy);
    loop {
        let served = tokio::select! {
            biased;
            _ = alive.changed() => return,
            served = serve(&node, &mut previous) => served,
        };
        if served {
            delays = RECONNECT.delays(Duration::ZERO, &node.entropy);
        }
        let delay = delays.next().unwrap_or_default();
        tokio::select! {
            biased;
            _ = alive.changed() => return,
            () = node.clock.sleep_until(later(node.clock.now(), delay)) => {}
        }
    }
}

/// One connection from its opening to its end. Says whether it got as far as being used.
async fn serve(node: &Arc<Shared>, previous: &mut Option<Identity>) -> bool {
    let abort = Abort::default();
    let opened = match open(node, previous.as_ref(), &abort).await {
        Ok(opened) => opened,
        Err(failure) => {
            down(node, &failure);
            return false;
        }
    };
    *previous = Some(opened.identity);
    up(node, opened.connection, opened.old_left);
    let failure: Failure = tokio::select! {
        biased;
        () = opened.driver => NodeErrorKind::Disconnected.into(),
        () = silent(node) => {
            abort.set();
            NodeErrorKind::NoAnswer.into()
        }
    };
    down(node, &failure);
    true
}

async fn open(
    node: &Shared,
    previous: Option<&Identity>,
    abort: &Abort,
) -> Result<Opened, Failure> {
    let limit = node.clock.sleep_until(later(node.clock.now(), CONNECT_LIMIT));
    tokio::select! {
        biased;
        opened = session::open(node, previous, abort.clone()) => opened,
        () = limit => {
            abort.set();
            Err(NodeErrorKind::NoAnswer.into())
        }
    }
}

/// Resolves when the connection has owed an answer for `patience` without giving one (invariant 5).
///
/// Where this task itself was late, the process was held up, and answers may wait unread: that is no silence.
async fn silent(node: &Shared) {
    loop {
        let owes_since = match &lock(&node.state).link {
            Link::Up(session) if session.unanswered() > 0 => Some(session.waiting_since),
            _ => None,
        };
        let Some(end) = owes_since.map(|since| later(since, node.patience)) else {
            node.busy.notified().await;
            continue;
        };
        let now = node.clock.now();
        if now < end {
            node.clock.sleep_until(end).await;
        } else if now < later(end, node.patience / 2) {
            return;
        } else if let Link::Up(session) = &mut lock(&node.state).link {
            session.waiting_since = now;
        }
    }
}

/// Publishes the connection, with every owed release in front of whatever is asked next (invariant 3).
fn up(node: &Arc<Shared>, connection: MultiplexedConnection, old_left: bool) {
    let now = node.clock.now();
    let mut state = lock(&node.state);
    state.sessions += 1;
    let number = state.sessions;
    let mut session = Session { number, connection, sent: 0, heard: 0, waiting_since: now };
    let due = state.owed.due();
    let owed = due.len();
    for (number, release) in due {
        let sent = node.send(&mut session, &release, Form::Hash, Some(number), now);
        node.background.spawn(settle(Arc::clone(node), release, sent, old_left));
    }
    state.link = Link::Up(session);
    drop(state);
    node.settled.send_replace(true);
    node.audience.tell(|| Event::NodeConnected { node: Arc::clone(&node.name), owed });
    if old_left {
        node.audience.tell(|| Event::OldConnectionLeft { node: Arc::clone(&node.name) });
    }
}

/// Hears the answer to an owed release; where an older connection may still set the key, releases once more when that
/// key would have expired.
async fn settle(node: Arc<Shared>, release: Arc<Question>, sent: Sent, old_left: bool) {
    node.hear(&release, sent).await;
    if old_left {
        let expired = later(later(node.clock.now(), release.ttl), SLACK);
        node.clock.sleep_until(expired).await;
        node.exchange(release).await;
    }
}

fn down(node: &Shared, why: &Failure) {
    let failure = Failure::with_source(NodeErrorKind::Down, why.reason());
    let was = std::mem::replace(&mut lock(&node.state).link, Link::Down(failure.clone()));
    node.settled.send_replace(true);
    if !matches!(was, Link::Down(_)) {
        node.audience.tell(|| Event::NodeDown { error: NodeError::new(&node.name, failure) });
    }
}
