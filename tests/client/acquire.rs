//! Asks for the lock once for every `try`, and says what came of it. What it got it keeps until `release`.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use quorlock::{Error, Guard, Redlock};
use tokio::task::yield_now;
use tokio::time::sleep;

use crate::console::{Console, say};
use crate::hold::{close, give_back};
use crate::options::Options;

pub(crate) async fn run(options: &Options, console: &mut Console) {
    if let Err(error) = serve(options, console).await {
        say(format_args!("error {error:?}"));
    }
}

async fn serve(options: &Options, console: &mut Console) -> Result<(), Error> {
    let redlock = options.redlock()?;
    warm_up(&redlock, &options.resource).await?;
    say("ready");
    let mut held: Option<Guard> = None;
    while let Some(line) = console.next().await {
        match line.as_str() {
            "try" => match try_once(&redlock, &options.resource).await {
                Ok(Some(guard)) => {
                    held = Some(guard);
                    say("acquired");
                }
                Ok(None) => say("denied"),
                Err(error) => say(format_args!("error {error:?}")),
            },
            "release" => match held.take() {
                Some(guard) => give_back(guard).await,
                None => say("error nothing is held"),
            },
            other => say(format_args!("error what is `{other}`?")),
        }
    }
    drop(held);
    close(&redlock).await;
    Ok(())
}

/// Looks now and then instead of being woken, and only after the sockets were read: after a stall, the answers that are
/// there are seen before the timer that has run out meanwhile. What comes too late is to be refused for that, and not by
/// luck.
async fn try_once(redlock: &Redlock, resource: &str) -> Result<Option<Guard>, Error> {
    let mut trying = pin!(redlock.try_lock(resource).into_future());
    loop {
        if let Poll::Ready(outcome) = poll_fn(|cx| Poll::Ready(trying.as_mut().poll(cx))).await {
            return outcome;
        }
        sleep(Duration::from_millis(2)).await;
        for _ in 0..5 {
            yield_now().await;
        }
    }
}

/// All connections stand before the suite does anything to them.
async fn warm_up(redlock: &Redlock, resource: &str) -> Result<(), Error> {
    let guard = redlock.lock(format!("{resource}:warm-up")).await?;
    guard.release().await.map(drop)
}
