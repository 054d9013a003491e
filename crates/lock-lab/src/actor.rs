//! One client on the stage: what a hazard can have it do, stop, and suffer. How it locks is its recipe's.

use std::fmt;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::sleep;

use crate::error::{Error, Result};
use crate::recipe::{Answer, Recipe};
use crate::seat::Seat;
use crate::store::Store;
use crate::story::What;

/// How often an attempt is made that comes to nothing, and the pause in between.
const TRIES: usize = 50;
const PAUSE: Duration = Duration::from_millis(100);

type Doing = BoxFuture<'static, (Box<dyn Recipe>, Result<Answer>)>;

/// A client. Where it is dropped in the middle of something, it is as if its process were killed there.
pub struct Actor {
    seat: Seat,
    store: Store,
    /// None while it does something.
    recipe: Option<Box<dyn Recipe>>,
    doing: Option<Doing>,
}

impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Actor").field(&self.seat.name()).finish()
    }
}

impl Actor {
    pub(crate) fn new(seat: Seat, store: Store, recipe: Box<dyn Recipe>) -> Self {
        Self { seat, store, recipe: Some(recipe), doing: None }
    }

    /// Its place.
    pub fn seat(&self) -> &Seat {
        &self.seat
    }

    /// Tries once to take the lock; says whether it holds it.
    ///
    /// # Errors
    ///
    /// Its recipe's.
    pub async fn acquire(&mut self) -> Result<bool> {
        self.begin_acquire()?;
        self.finish().await
    }

    /// The same, but stands still before the first command of which `stop` says so. `None` if it does; [`go_on`](Self::go_on)
    /// has it go on.
    ///
    /// # Errors
    ///
    /// Its recipe's.
    pub async fn acquire_until(
        &mut self,
        stop: impl FnMut(&[&str]) -> bool + Send + 'static,
    ) -> Result<Option<bool>> {
        self.seat.stop_before(stop);
        self.begin_acquire()?;
        self.drive().await
    }

    /// Gives the lock back.
    ///
    /// # Errors
    ///
    /// Its recipe's.
    pub async fn release(&mut self) -> Result<()> {
        self.begin_release()?;
        self.finish().await.map(drop)
    }

    /// Begins to give the lock back, and stands still before the command that deletes the key; a client whose commands cannot be
    /// stopped one by one stands still before all of them.
    ///
    /// # Errors
    ///
    /// Its recipe's.
    pub async fn release_until_delete(&mut self) -> Result<()> {
        if !self.seat.urls().is_empty() {
            self.stall();
            return Ok(());
        }
        self.seat.stop_before(|words| matches!(words[0], "DEL" | "EVAL"));
        self.begin_release()?;
        match self.drive().await? {
            None => {
                self.tell(What::Stalls);
                Ok(())
            }
            Some(_) => Err(Error::Scene("its release deletes nothing".to_owned())),
        }
    }

    /// Goes on with that.
    ///
    /// # Errors
    ///
    /// Its recipe's.
    pub async fn go_on_and_delete(&mut self) -> Result<()> {
        if self.doing.is_some() {
            return self.go_on().await.map(drop);
        }
        self.wake();
        self.release().await
    }

    /// Goes on where it stands still, to the end; says whether it holds the lock.
    ///
    /// # Errors
    ///
    /// Its recipe's.
    pub async fn go_on(&mut self) -> Result<bool> {
        self.tell(What::GoesOn);
        self.seat.go_on();
        self.finish().await
    }

    /// The same, up to the next command of which `stop` says so. `None` if it stands still there.
    ///
    /// # Errors
    ///
    /// Its recipe's.
    pub async fn go_on_until(
        &mut self,
        stop: impl FnMut(&[&str]) -> bool + Send + 'static,
    ) -> Result<Option<bool>> {
        self.tell(What::GoesOn);
        self.seat.go_on();
        self.seat.stop_before(stop);
        self.drive().await
    }

    /// It stands still as a whole, with everything that it does in the background.
    pub fn stall(&mut self) {
        self.tell(What::Stalls);
        if let Some(recipe) = &mut self.recipe {
            recipe.stall();
        }
    }

    /// It goes on.
    pub fn wake(&mut self) {
        self.tell(What::GoesOn);
        if let Some(recipe) = &mut self.recipe {
            recipe.wake();
        }
    }

    /// It is killed.
    pub fn die(mut self) {
        self.tell(What::Dies);
        if let Some(recipe) = &mut self.recipe {
            // Its thread, if it has one, says nothing more.
            recipe.stall();
        }
    }

    /// Writes to the store, with its fencing token if it has one, and without another look at the lock: as a program does that was
    /// paused between its last look and its write. Says whether the store took it.
    pub fn write(&self) -> bool {
        let token = self.token();
        let accepted = self.store.write(token);
        self.tell(What::Wrote { token, accepted });
        accepted
    }

    /// Whether it believes that it holds the lock, having been told so once.
    pub fn holds(&self) -> bool {
        self.recipe.as_ref().is_none_or(|recipe| recipe.holds())
    }

    /// Its fencing token.
    pub fn token(&self) -> Option<u64> {
        self.recipe.as_ref().and_then(|recipe| recipe.token())
    }

    /// Waits for the lock for no longer than that, where its recipe has a wait of its own; says whether it holds it.
    pub(crate) async fn wait(&mut self, limit: Duration) -> Result<bool> {
        let recipe = self.recipe.as_mut().ok_or_else(busy)?;
        match recipe.wait(limit) {
            Some(waiting) => Ok(waiting.await? == Answer::Held),
            None => Ok(false),
        }
    }

    fn begin_acquire(&mut self) -> Result<()> {
        let mut recipe = self.recipe.take().ok_or_else(busy)?;
        self.doing = Some(Box::pin(async move {
            // What is neither a yes nor a no says nothing about the recipe: this machine is busy.
            let mut answer = recipe.acquire().await;
            for _ in 0..TRIES {
                let Ok(Answer::Failed(_)) = answer else { break };
                sleep(PAUSE).await;
                answer = recipe.acquire().await;
            }
            (recipe, answer)
        }));
        Ok(())
    }

    fn begin_release(&mut self) -> Result<()> {
        let mut recipe = self.recipe.take().ok_or_else(busy)?;
        self.tell(What::Leaves);
        self.doing = Some(Box::pin(async move {
            let released = recipe.release().await;
            (recipe, released.map(|()| Answer::Released))
        }));
        Ok(())
    }

    async fn finish(&mut self) -> Result<bool> {
        let done = self.drive().await?;
        done.ok_or_else(|| Error::Scene("it stopped where it should not".to_owned()))
    }

    /// Runs to the end, or to where it is to stop: then `None`.
    async fn drive(&mut self) -> Result<Option<bool>> {
        let mut doing = self.doing.take().ok_or_else(busy)?;
        let (recipe, answer) = tokio::select! {
            biased;
            done = &mut doing => done,
            () = self.seat.stopped() => {
                self.doing = Some(doing);
                return Ok(None);
            }
        };
        self.recipe = Some(recipe);
        self.seat.go_on();
        let answer = answer?;
        match &answer {
            Answer::Held => self.tell(What::Holds),
            Answer::Denied(why) => self.tell(What::Denied(why.clone())),
            Answer::Released => {}
            Answer::Failed(why) => return Err(Error::Scene(why.clone())),
        }
        Ok(Some(answer == Answer::Held))
    }

    fn tell(&self, what: What) {
        self.seat.story().tell(self.seat.name(), what);
    }
}

fn busy() -> Error {
    Error::Scene("it is in the middle of something, or of nothing".to_owned())
}
