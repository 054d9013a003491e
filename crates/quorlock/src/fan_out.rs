//! Asks all nodes at once and hands over the replies as they come. What is asked, and when it is enough, is decided above.

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};

use crate::clock::{Clock, Spawner};
use crate::crowd::Crowd;
use crate::event::Audience;
use crate::node::{CONNECT_LIMIT, Heir, Inbox, Node, NodeSet, Question, Reply, ReplyTo, Wake};
use crate::quorum::{Verdict, quorum};
use crate::timers::Timers;
use crate::validity::later;

/// All configured nodes, and what every round needs beside them.
#[derive(Debug)]
pub(crate) struct Nodes {
    pub(crate) list: Vec<Box<dyn Node>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) spawner: Arc<dyn Spawner>,
    pub(crate) audience: Audience,
    /// Of those who wait for a verdict.
    pub(crate) crowd: Crowd,
    pub(crate) timers: Timers,
    /// Their names.
    pub(crate) names: Arc<[Arc<str>]>,
}

impl Nodes {
    /// `crowd`: shared with whoever serves their connections.
    pub(crate) fn new(
        list: Vec<Box<dyn Node>>,
        clock: Arc<dyn Clock>,
        spawner: Arc<dyn Spawner>,
        audience: Audience,
        crowd: Crowd,
    ) -> Self {
        let timers = Timers::new(&clock);
        let names = list.iter().map(|node| Arc::clone(node.name())).collect();
        Self { list, clock, spawner, audience, crowd, timers, names }
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn quorum(&self) -> usize {
        quorum(self.list.len())
    }

    pub(crate) fn all(&self) -> NodeSet {
        NodeSet::first(self.list.len())
    }

    /// Puts the question onto the queue of each of `which` before it returns.
    pub(crate) fn ask(self: &Arc<Self>, which: NodeSet, question: Question, wake: Wake) -> FanOut {
        let asked = question.asked;
        let inbox = Arc::new(Inbox::new(question, which.len(), wake));
        for (index, node) in self.list.iter().enumerate() {
            if which.contains(index) {
                node.ask(ReplyTo::inbox(&inbox, index));
            }
        }
        let is_awaited = matches!(wake, Wake::Decided { .. });
        if is_awaited {
            self.crowd.enter();
        }
        FanOut { nodes: Arc::clone(self), inbox, asked, is_awaited }
    }

    /// Whether every first attempt to connect has ended, so that there is nothing to wait for.
    pub(crate) fn are_settled(&self) -> bool {
        self.list.iter().all(|node| node.is_settled())
    }

    /// Waits until so many nodes are connected, or every first attempt to connect has ended; and not for much longer than one
    /// takes, since the runtime that makes it may stand still.
    ///
    /// Taken before the start of a round, so that connecting does not eat the validity of a short TTL.
    pub(crate) async fn connect(&self, needed: usize) {
        if self.are_settled() {
            return;
        }
        let mut attempts: FuturesUnordered<_> =
            self.list.iter().map(|node| node.connected()).collect();
        let connected = async {
            let mut connected = 0;
            while let Some(is_connected) = attempts.next().await {
                connected += usize::from(is_connected);
                if connected >= needed {
                    return;
                }
            }
        };
        let limit = later(self.clock.now(), CONNECT_LIMIT + CONNECT_LIMIT / 4);
        tokio::select! {
            biased;
            () = connected => {}
            () = self.clock.sleep_until(limit) => {}
        }
    }
}

/// One question to many nodes, under way.
///
/// It goes on when this is dropped: nodes deliver what was asked, whether or not anybody waits for their replies.
#[derive(Debug)]
pub(crate) struct FanOut {
    nodes: Arc<Nodes>,
    inbox: Arc<Inbox>,
    /// When it was.
    asked: Instant,
    /// Somebody waits for the verdict.
    is_awaited: bool,
}

impl FanOut {
    /// Nobody waits any more: `heir` hears what is there and what comes.
    pub(crate) fn leave_to(self, heir: Arc<dyn Heir>) {
        self.inbox.leave_to(heir);
    }

    /// Asks one node more: its reply comes among the others.
    pub(crate) fn also(&mut self, index: usize, question: Question) {
        let another = Arc::new(self.inbox.another(question));
        self.nodes.list[index].ask(ReplyTo::inbox(&another, index));
    }

    /// Whether every reply has come and been taken.
    pub(crate) fn is_done(&self) -> bool {
        self.inbox.is_done()
    }

    /// The clock of the nodes that it asks.
    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.nodes.clock)
    }

    /// The next reply, in the order of arrival; `None` when all have come.
    pub(crate) async fn next(&mut self) -> Option<(usize, Reply)> {
        poll_fn(|cx| self.inbox.poll_next(cx)).await
    }

    /// Hands replies to `hear` until it breaks with a verdict, all have come, or it is `end`. After a verdict other than
    /// won it hands over what is there already, so that a round that failed early names every node known to be down.
    ///
    /// Replies that are there count also when `end` has passed: whether they came in time is the caller's to judge.
    pub(crate) fn until(
        &mut self,
        end: Instant,
        mut hear: impl FnMut(usize, Reply) -> ControlFlow<Verdict>,
    ) -> impl Future<Output = ()> {
        let Self { nodes, inbox, .. } = &*self;
        let mut timer = nodes.timers.until(self.asked, end);
        // Not an `async fn`, which would have room for each of these twice: it is most of what a lock's future is.
        poll_fn(move |cx| {
            loop {
                let Poll::Ready(reply) = inbox.poll_next(cx) else { return timer.poll_unpin(cx) };
                let Some((index, reply)) = reply else { return Poll::Ready(()) };
                match hear(index, reply) {
                    ControlFlow::Continue(()) => {}
                    ControlFlow::Break(Verdict::Won) => return Poll::Ready(()),
                    ControlFlow::Break(_) => break,
                }
            }
            let glance = Context::from_waker(Waker::noop());
            while let Poll::Ready(Some((index, reply))) = inbox.poll_next(&glance) {
                // Lost stays lost: these can only tell more of why.
                let _ = hear(index, reply);
            }
            Poll::Ready(())
        })
    }
}

impl Drop for FanOut {
    fn drop(&mut self) {
        // The verdict is there, or nobody waits for it: nobody hurries for what is still to come.
        if self.is_awaited {
            self.nodes.crowd.leave();
        }
        self.inbox.close();
    }
}
