//! Where the replies to one question come together, and when whoever waits for them is woken: not before they may decide.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use smallvec::SmallVec;

use super::{Question, Reply};
use crate::error::NodeErrorKind;
use crate::quorum::{Tally, USUAL_NODES, Verdict, Vote};
use crate::sync::lock;

/// When whoever waits is woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// At every reply.
    Each,
    /// When so many nodes have gone along, or too few are left that could; at every reply from then on.
    Decided {
        /// How many have to.
        needed: usize,
    },
}

/// Hears replies that nobody waits for, where they are read: it must not block.
pub(crate) trait Heir: Send + Sync {
    /// Node `index` has replied.
    fn hear(self: Arc<Self>, index: usize, reply: Reply);
}

/// One question, and the replies to it that have come, in their order. One for all nodes: it is shared by each of them as
/// one thing.
#[derive(Debug)]
pub(crate) struct Inbox {
    question: Question,
    replies: Replies,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "the small one is rare")]
enum Replies {
    Here(Mutex<State>),
    /// They come among those to an earlier question.
    In(Arc<Inbox>),
}

#[derive(Debug)]
struct State {
    came: SmallVec<[(usize, Reply); USUAL_NODES]>,
    /// How many nodes have not replied.
    out: usize,
    /// The votes so far; `None` where every reply wakes.
    tally: Option<Tally>,
    waiter: Option<Waker>,
    after: After,
}

/// What becomes of replies that come when nobody waits any more.
enum After {
    /// Somebody waits.
    NotYet,
    LetGo,
    To(Arc<dyn Heir>),
}

impl fmt::Debug for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotYet => "NotYet",
            Self::LetGo => "LetGo",
            Self::To(_) => "To",
        })
    }
}

impl Inbox {
    /// For the replies of so many nodes.
    pub(crate) fn new(question: Question, asked: usize, wake: Wake) -> Self {
        let tally = match wake {
            Wake::Each => None,
            Wake::Decided { needed } => Some(Tally::new(needed.min(asked), asked)),
        };
        let (came, waiter, after) = (SmallVec::new(), None, After::NotYet);
        let state = State { came, out: asked, tally, waiter, after };
        Self { question, replies: Replies::Here(Mutex::new(state)) }
    }

    /// For the reply of a node that is asked once more: it comes into this one, and from now on every reply wakes.
    pub(crate) fn another(self: &Arc<Self>, question: Question) -> Self {
        let mut state = self.state();
        state.out += 1;
        state.tally = None;
        drop(state);
        Self { question, replies: Replies::In(Arc::clone(self)) }
    }

    pub(crate) fn question(&self) -> &Question {
        &self.question
    }

    fn state(&self) -> MutexGuard<'_, State> {
        match &self.replies {
            Replies::Here(state) => lock(state),
            Replies::In(other) => other.state(),
        }
    }

    /// Whether every reply that was asked for has been taken.
    pub(crate) fn is_done(&self) -> bool {
        let state = self.state();
        state.out == 0 && state.came.is_empty()
    }

    /// The next reply in the order of arrival, also one that nobody was woken for; `None` when all have been taken.
    pub(crate) fn poll_next(&self, cx: &Context<'_>) -> Poll<Option<(usize, Reply)>> {
        let mut state = self.state();
        if !state.came.is_empty() {
            return Poll::Ready(Some(state.came.remove(0)));
        }
        if state.out == 0 {
            return Poll::Ready(None);
        }
        match &mut state.waiter {
            Some(waiter) => waiter.clone_from(cx.waker()),
            waiter => *waiter = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Nobody will look any more: replies still to come are let go, unless they were left to somebody, and nobody is woken by
    /// them.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        if matches!(state.after, After::NotYet) {
            state.after = After::LetGo;
        }
        // What is owed may keep the question for long.
        let (came, waiter) = (std::mem::take(&mut state.came), state.waiter.take());
        drop(state);
        drop((came, waiter));
    }

    /// Nobody will look any more: `heir` hears the replies that are there, and those that come.
    pub(crate) fn leave_to(&self, heir: Arc<dyn Heir>) {
        let mut state = self.state();
        if state.out > 0 {
            state.after = After::To(Arc::clone(&heir));
        }
        let (came, waiter) = (std::mem::take(&mut state.came), state.waiter.take());
        drop(state);
        drop(waiter);
        for (index, reply) in came {
            Arc::clone(&heir).hear(index, reply);
        }
    }

    fn put(&self, index: usize, reply: Reply) {
        let mut state = self.state();
        state.out = state.out.saturating_sub(1);
        match &mut state.after {
            After::NotYet => {}
            After::LetGo => return,
            After::To(heir) => {
                let heir = Arc::clone(heir);
                if state.out == 0 {
                    // And what he holds.
                    state.after = After::LetGo;
                }
                drop(state);
                return heir.hear(index, reply);
            }
        }
        if let Some(tally) = &mut state.tally {
            tally.record(if reply.goes_along() { Vote::Granted } else { Vote::Failed });
        }
        state.came.push((index, reply));
        let waiter = if state.is_worth_a_look() { state.waiter.take() } else { None };
        drop(state);
        waiter.into_iter().for_each(Waker::wake);
    }
}

impl State {
    fn is_worth_a_look(&self) -> bool {
        self.tally.is_none_or(|tally| tally.verdict() != Verdict::Pending)
    }
}

/// What one node is asked, and where its reply goes. Dropped without one, it says that the connection has broken.
#[derive(Debug)]
#[must_use = "whoever asked waits for the reply"]
pub struct ReplyTo {
    inbox: Arc<Inbox>,
    index: usize,
    is_awaited: bool,
}

impl ReplyTo {
    /// Of node `index`.
    pub(crate) fn inbox(inbox: &Arc<Inbox>, index: usize) -> Self {
        Self { inbox: Arc::clone(inbox), index, is_awaited: true }
    }

    /// The same question once more. Nobody waits for the reply.
    pub(crate) fn nobody(inbox: Arc<Inbox>) -> Self {
        Self { inbox, index: 0, is_awaited: false }
    }

    pub(crate) fn shared(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    /// What is asked.
    pub fn question(&self) -> &Question {
        self.inbox.question()
    }

    /// Hands the reply over.
    pub fn send(mut self, reply: Reply) {
        self.put(reply);
    }

    fn put(&mut self, reply: Reply) {
        if std::mem::take(&mut self.is_awaited) {
            self.inbox.put(self.index, reply);
        }
    }
}

impl Drop for ReplyTo {
    fn drop(&mut self) {
        if self.is_awaited {
            self.put(Reply::Failed(NodeErrorKind::Disconnected.into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::task::{ArcWake, waker};

    use super::*;
    use crate::node::Verb;
    use crate::scripted::question;

    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl ArcWake for Bell {
        fn wake_by_ref(bell: &Arc<Self>) {
            bell.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// After which of the replies a waiter, who takes all that is there whenever he is woken, is woken.
    fn woken(asked: usize, wake: Wake, replies: &[Reply]) -> Vec<bool> {
        let inbox = Arc::new(Inbox::new(question(Verb::Acquire), asked, wake));
        let bell = Arc::new(Bell::default());
        let wakes = waker(Arc::clone(&bell));
        let cx = Context::from_waker(&wakes);
        let take_all = || while let Poll::Ready(Some(_)) = inbox.poll_next(&cx) {};
        take_all();
        let woken = replies.iter().enumerate().map(|(index, reply)| {
            ReplyTo::inbox(&inbox, index).send(reply.clone());
            let is_woken = bell.0.swap(0, Ordering::SeqCst) > 0;
            if is_woken {
                take_all();
            }
            is_woken
        });
        woken.collect()
    }

    #[test]
    fn whoever_waits_is_woken_when_the_replies_may_decide_and_not_before() {
        let decided = Wake::Decided { needed: 3 };
        let yes = || Reply::Granted;
        let no = || Reply::Denied;
        assert_eq!(woken(5, decided, &[yes(), yes(), yes(), yes()]), [false, false, true, true]);
        assert_eq!(woken(5, decided, &[no(), yes(), yes(), no()]), [false; 4]);
        assert_eq!(woken(5, decided, &[no(), no(), no(), yes()]), [false, false, true, true]);
        assert!(woken(5, decided, &[yes(), no(), no(), yes(), no()])[4]);
        assert_eq!(woken(2, decided, &[yes(), yes()]), [false, true], "more than there are");
        assert_eq!(woken(5, Wake::Each, &[no(), yes()]), [true, true]);
    }

    #[test]
    fn a_reply_that_nobody_was_woken_for_is_there_all_the_same() {
        let inbox = Arc::new(Inbox::new(question(Verb::Acquire), 2, Wake::Decided { needed: 2 }));
        let cx = Context::from_waker(Waker::noop());
        assert!(inbox.poll_next(&cx).is_pending());
        ReplyTo::inbox(&inbox, 1).send(Reply::Granted);
        assert!(matches!(inbox.poll_next(&cx), Poll::Ready(Some((1, Reply::Granted)))));
        assert!(inbox.poll_next(&cx).is_pending());
        drop(ReplyTo::inbox(&inbox, 0));
        let failed = inbox.poll_next(&cx);
        assert!(matches!(failed, Poll::Ready(Some((0, Reply::Failed(_))))), "{failed:?}");
        assert!(matches!(inbox.poll_next(&cx), Poll::Ready(None)));
        let another = Arc::new(inbox.another(question(Verb::Certify)));
        assert!(!inbox.is_done() && inbox.poll_next(&cx).is_pending());
        ReplyTo::inbox(&another, 1).send(Reply::Granted);
        assert!(matches!(inbox.poll_next(&cx), Poll::Ready(Some((1, Reply::Granted)))));
        assert!(inbox.is_done());
    }

    /// Notes what it hears.
    #[derive(Default)]
    struct Notes(Mutex<Vec<usize>>);

    impl Heir for Notes {
        fn hear(self: Arc<Self>, index: usize, _: Reply) {
            lock(&self.0).push(index);
        }
    }

    #[test]
    fn whom_replies_are_left_to_hears_what_is_there_and_what_comes_and_is_let_go_after_the_last() {
        let inbox = Arc::new(Inbox::new(question(Verb::Extend), 3, Wake::Each));
        let bell = Arc::new(Bell::default());
        let wakes = waker(Arc::clone(&bell));
        assert!(inbox.poll_next(&Context::from_waker(&wakes)).is_pending());
        ReplyTo::inbox(&inbox, 2).send(Reply::Granted);
        bell.0.store(0, Ordering::SeqCst);
        let notes = Arc::new(Notes::default());
        inbox.leave_to(Arc::clone(&notes) as _);
        inbox.close();
        assert_eq!(*lock(&notes.0), [2]);
        ReplyTo::inbox(&inbox, 0).send(Reply::Granted);
        assert_eq!(Arc::strong_count(&notes), 2);
        drop(ReplyTo::inbox(&inbox, 1));
        assert_eq!(*lock(&notes.0), [2, 0, 1], "that nothing came is a reply as well");
        assert_eq!(Arc::strong_count(&notes), 1);
        assert_eq!(bell.0.load(Ordering::SeqCst), 0, "nobody waits");
    }
}
