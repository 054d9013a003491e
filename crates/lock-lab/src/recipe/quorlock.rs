//! Recipes 12 and 13: the lock of this repository, on five nodes, without and with a fencing token. A client is a thread with a runtime
//! of its own, so that it can stand still as a whole.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use futures::future::BoxFuture;
use quorlock::{Error, Fenced, Guard, Redlock};
use tokio::sync::{mpsc as orders, oneshot};

use super::{About, Answer, Ends, Recipe, Servers, Waits};
use crate::error::Result;
use crate::seat::Seat;

pub(super) const PLAIN: About = About {
    number: 12,
    name: "quorlock",
    title: "Redlock on five nodes, by quorlock",
    seed: "none: the published Redlock page",
    servers: Servers::Five,
    ends: Ends::Expiry,
    waits: Waits::ByItself,
    client: |seat| Box::new(Client::start(seat, Token::None)),
};

pub(super) const FENCED: About = About {
    number: 13,
    name: "quorlock-fenced",
    title: "Redlock on five nodes, with a fencing token that the store compares",
    client: |seat| Box::new(Client::start(seat, Token::Fencing)),
    ..PLAIN
};

#[derive(Clone, Copy)]
enum Token {
    None,
    Fencing,
}

enum Order {
    Try(oneshot::Sender<Result<Answer>>),
    Wait(Duration, oneshot::Sender<Result<Answer>>),
    Release(oneshot::Sender<Result<()>>),
    /// Blocks the thread until the other end says or is gone.
    Stall(mpsc::Receiver<()>),
}

enum Held {
    Plain(Guard),
    Fenced(Fenced<Guard>),
}

type Shared = Arc<Mutex<Option<Held>>>;

struct Client {
    orders: orders::UnboundedSender<Order>,
    held: Shared,
    /// Drops to end the stall.
    stalled: Option<mpsc::Sender<()>>,
}

impl Client {
    fn start(seat: Seat, token: Token) -> Self {
        let (orders, taken) = orders::unbounded_channel();
        let held = Shared::default();
        let its = Arc::clone(&held);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            // Without one nothing is answered, and the actor hears that the client is gone.
            if let Ok(runtime) = runtime {
                runtime.block_on(obey(seat, token, taken, &its));
            }
            *its.lock().unwrap_or_else(PoisonError::into_inner) = None;
        });
        Self { orders, held, stalled: None }
    }

    async fn order<T>(&self, order: impl FnOnce(oneshot::Sender<Result<T>>) -> Order) -> Result<T> {
        let (answer, heard) = oneshot::channel();
        // A thread that is gone drops the answer's other end.
        let _ = self.orders.send(order(answer));
        heard.await.unwrap_or(Err(crate::Error::ClientGone))
    }

    fn see<T>(&self, look: impl FnOnce(&Held) -> T) -> Option<T> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(look)
    }
}

impl Recipe for Client {
    fn acquire(&mut self) -> BoxFuture<'_, Result<Answer>> {
        Box::pin(self.order(Order::Try))
    }

    fn wait(&mut self, limit: Duration) -> Option<BoxFuture<'_, Result<Answer>>> {
        Some(Box::pin(self.order(move |answer| Order::Wait(limit, answer))))
    }

    fn release(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.order(Order::Release))
    }

    fn holds(&self) -> bool {
        self.see(|held| match held {
            Held::Plain(guard) => guard.is_valid(),
            Held::Fenced(fenced) => fenced.is_valid(),
        })
        .unwrap_or(false)
    }

    fn token(&self) -> Option<u64> {
        self.see(|held| match held {
            Held::Plain(_) => None,
            Held::Fenced(fenced) => Some(fenced.fencing_token().get()),
        })
        .flatten()
    }

    fn stall(&mut self) {
        let (end, stall) = mpsc::channel();
        // As above.
        let _ = self.orders.send(Order::Stall(stall));
        self.stalled = Some(end);
    }

    fn wake(&mut self) {
        self.stalled = None;
    }
}

async fn obey(
    seat: Seat,
    token: Token,
    mut orders: orders::UnboundedReceiver<Order>,
    held: &Shared,
) {
    let keep = |new| *held.lock().unwrap_or_else(PoisonError::into_inner) = new;
    let redlock = Redlock::builder(seat.urls()).ttl(seat.ttl()).max_ttl(seat.ttl()).build();
    while let Some(order) = orders.recv().await {
        match (order, &redlock) {
            (Order::Stall(stall), _) => drop(stall.recv()),
            (Order::Try(answer) | Order::Wait(_, answer), Err(error)) => {
                drop(answer.send(Ok(Answer::Failed(error.to_string()))));
            }
            (Order::Try(answer), Ok(redlock)) => {
                drop(answer.send(answered(attempt(redlock, &seat, token).await, keep)));
            }
            (Order::Wait(limit, answer), Ok(redlock)) => {
                drop(answer.send(answered(wait(redlock, &seat, token, limit).await, keep)));
            }
            (Order::Release(answer), _) => {
                let taken = held.lock().unwrap_or_else(PoisonError::into_inner).take();
                drop(answer.send(release(taken).await));
            }
        }
    }
}

async fn attempt(
    redlock: &Redlock,
    seat: &Seat,
    token: Token,
) -> std::result::Result<Option<Held>, Error> {
    let request = redlock.try_lock(seat.key());
    Ok(match token {
        Token::None => request.await?.map(Held::Plain),
        Token::Fencing => request.fenced().await?.map(Held::Fenced),
    })
}

async fn wait(
    redlock: &Redlock,
    seat: &Seat,
    token: Token,
    limit: Duration,
) -> std::result::Result<Option<Held>, Error> {
    let request = redlock.lock(seat.key()).wait_for(limit);
    Ok(Some(match token {
        Token::None => Held::Plain(request.await?),
        Token::Fencing => Held::Fenced(request.fenced().await?),
    }))
}

/// Nodes that may have forgotten are a denial, with what the library says of them; whatever else is wrong is none.
fn answered(
    got: std::result::Result<Option<Held>, Error>,
    keep: impl FnOnce(Option<Held>),
) -> Result<Answer> {
    Ok(match got {
        Ok(None) => Answer::Denied(String::new()),
        Ok(held) => {
            keep(held);
            Answer::Held
        }
        Err(Error::Held { .. }) => Answer::Denied(String::new()),
        Err(error @ Error::Quarantined { .. }) => Answer::Denied(error.to_string()),
        Err(error) => Answer::Failed(error.to_string()),
    })
}

async fn release(held: Option<Held>) -> Result<()> {
    let released = match held {
        None => return Ok(()),
        Some(Held::Plain(guard)) => guard.release().await,
        Some(Held::Fenced(fenced)) => fenced.release().await,
    };
    match released {
        // It knew that it had lost it: that is an answer, not a failure of the stage.
        Ok(_) | Err(Error::Lost { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
