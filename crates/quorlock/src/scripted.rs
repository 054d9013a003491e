//! Nodes that answer as they are told, under paused time: for the tests of the rounds and of what stands on them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;

use crate::clock::{Clock, Spawner, SystemClock, TokioSpawner};
use crate::crowd::Crowd;
use crate::event::Audience;
use crate::fan_out::Nodes;
use crate::fencing::Fencing;
use crate::lease::Terms;
use crate::node::{Node, Packed, Question, Reply, ReplyTo, Verb};
use crate::resources::Keys;
use crate::round::{self, Missed, Won};
use crate::sync::lock;
use crate::token::Token;
use crate::validity::Validity;

/// To an extend, of a node whose clock nothing is to be said of.
pub(crate) const KEPT: Reply = Reply::Kept { found: Duration::from_secs(3_600) };

/// An answer, and how long it takes; `None` never comes.
pub(crate) type Plan = Option<(Duration, Reply)>;

/// A node that answers each verb as planned; the last plan of a verb stays.
#[derive(Debug)]
pub(crate) struct Scripted {
    name: Arc<str>,
    pub(crate) plans: Mutex<Vec<(Verb, VecDeque<Plan>)>>,
    pub(crate) questions: Mutex<Vec<Arc<Question>>>,
    unanswered: Mutex<Vec<ReplyTo>>,
}

impl Scripted {
    pub(crate) fn asked(&self) -> Vec<Verb> {
        lock(&self.questions).iter().map(|question| question.verb).collect()
    }

    /// What it was asked last.
    pub(crate) fn last(&self) -> Option<Arc<Question>> {
        lock(&self.questions).last().cloned()
    }

    pub(crate) fn plan(&self, verb: Verb, plans: impl IntoIterator<Item = Plan>) {
        let mut all = lock(&self.plans);
        all.retain(|(planned, _)| *planned != verb);
        all.push((verb, plans.into_iter().collect()));
    }

    fn next(&self, verb: Verb) -> Plan {
        let mut all = lock(&self.plans);
        let plans = all.iter_mut().find(|(planned, _)| *planned == verb);
        match plans {
            Some((_, plans)) if plans.len() > 1 => plans.pop_front().flatten(),
            Some((_, plans)) => plans.front().cloned().flatten(),
            None => default(verb),
        }
    }
}

/// What a healthy node that holds nothing answers, at once.
fn default(verb: Verb) -> Plan {
    let reply = match verb {
        Verb::Acquire | Verb::Certify | Verb::Repair => Reply::Granted,
        Verb::Extend => KEPT,
        Verb::Release | Verb::Undo => Reply::Released { deleted: 1, others: 0, foreign: 0 },
    };
    Some((Duration::ZERO, reply))
}

#[derive(Debug)]
struct Handle(Arc<Scripted>);

impl Node for Handle {
    fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    fn ask(&self, to: ReplyTo) {
        let plan = self.0.next(to.question().verb);
        lock(&self.0.questions).push(Arc::new(to.question().clone()));
        match plan {
            Some((Duration::ZERO, reply)) => to.send(reply),
            Some((delay, reply)) => {
                let come = tokio::time::sleep(delay);
                TokioSpawner::default().spawn(Box::pin(async move {
                    come.await;
                    to.send(reply);
                }));
            }
            None => lock(&self.0.unanswered).push(to),
        }
    }

    fn is_settled(&self) -> bool {
        true
    }

    fn connected(&self) -> BoxFuture<'static, bool> {
        Box::pin(std::future::ready(true))
    }

    fn owed(&self) -> usize {
        0
    }

    fn drained(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// `count` healthy nodes, and the handles to plan otherwise.
pub(crate) fn nodes(count: usize) -> (Arc<Nodes>, Vec<Arc<Scripted>>) {
    let scripted: Vec<_> = (0..count)
        .map(|i| {
            let name = format!("node-{i}").into();
            let (plans, questions, unanswered) = Default::default();
            Arc::new(Scripted { name, plans, questions, unanswered })
        })
        .collect();
    let list = scripted.iter().map(|node| Box::new(Handle(Arc::clone(node))) as Box<dyn Node>);
    let (clock, spawner) = (Arc::new(SystemClock), Arc::new(TokioSpawner::default()));
    let nodes = Nodes::new(list.collect(), clock, spawner, Audience::default(), Crowd::default());
    (Arc::new(nodes), scripted)
}

/// A lock on `a` for a second: valid for 988 ms, with a time limit of 50 ms.
pub(crate) fn terms() -> Terms {
    let validity = Validity::new(Duration::from_secs(1), 0.01).unwrap();
    let keys = Keys::parse("a".into(), "").unwrap();
    let time_limit = validity.default_time_limit();
    Terms { keys, validity, fencing: Fencing::Off, time_limit }
}

/// A round of the time limit of its terms.
pub(crate) async fn acquire(
    nodes: &Arc<Nodes>,
    terms: &Terms,
    token: Arc<Token>,
    start: Instant,
) -> Result<Won, Missed> {
    round::acquire(nodes, terms, terms.time_limit, token, start).await
}

pub(crate) fn token() -> Arc<Token> {
    Arc::new(Token::new(uuid::Uuid::nil(), [7; 16]))
}

/// On a lock on `a` for a second.
pub(crate) fn question(verb: Verb) -> Question {
    Question {
        verb,
        keys: Keys::parse("a".into(), "").unwrap(),
        token: token(),
        ttl: Duration::from_secs(1),
        fence: None,
        time_limit: Duration::from_millis(50),
        asked: SystemClock.now(),
        packed: Packed::default(),
    }
}

pub(crate) fn after(ms: u64, reply: Reply) -> Plan {
    Some((Duration::from_millis(ms), reply))
}
