//! Takes the lock at once and keeps it, until it is told to give it back or has no more to hear.

use std::time::Duration;

use quorlock::{Error, Guard, Lost, LostReason, Redlock};

use crate::console::{Console, say};
use crate::options::Options;

pub(crate) async fn run(options: &Options, console: &mut Console) {
    if let Err(error) = hold(options, console).await {
        say(format_args!("error {error:?}"));
    }
}

async fn hold(options: &Options, console: &mut Console) -> Result<(), Error> {
    let redlock = options.redlock()?;
    let (guard, token) = lock(&redlock, options).await?;
    say(format_args!("acquired {token}"));
    tokio::spawn(tell_of_loss(guard.lost()));
    obey(guard, token, console).await;
    close(&redlock).await;
    Ok(())
}

/// The lock, and its fencing token; without one, that is 0.
async fn lock(redlock: &Redlock, options: &Options) -> Result<(Guard, u64), Error> {
    let mut request = redlock.lock(options.resource.as_str());
    if options.by_hand {
        request = request.without_keeper();
    }
    if !options.fenced {
        return Ok((request.await?, 0));
    }
    let fenced = request.fenced().await?;
    let token = fenced.fencing_token().get();
    Ok((fenced.into(), token))
}

async fn tell_of_loss(lost: Lost) {
    let reason = lost.await;
    if reason != LostReason::Released {
        say(format_args!("lost {reason:?}"));
    }
}

async fn obey(guard: Guard, token: u64, console: &mut Console) {
    while let Some(line) = console.next().await {
        match line.as_str() {
            "extend" => match guard.extend().await {
                Ok(()) => say("extended"),
                Err(error) => say(format_args!("error {error:?}")),
            },
            // As programs do that were paused behind the last look at their lock.
            "write" => say(format_args!("write {token}")),
            "release" => return give_back(guard).await,
            other => say(format_args!("error what is `{other}`?")),
        }
    }
}

pub(crate) async fn give_back(guard: Guard) {
    match guard.release().await {
        Ok(_) => say("released"),
        Err(error) => say(format_args!("error {error:?}")),
    }
}

/// Lets the last releases go out; what does not get through in time expires.
pub(crate) async fn close(redlock: &Redlock) {
    redlock.close(Duration::from_secs(1)).await.ok();
}
