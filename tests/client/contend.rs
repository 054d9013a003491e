//! Takes the lock and gives it back, again and again. That nobody else is inside is proven by a file that is only made
//! where it is not there: no clock takes part.

use std::fs;
use std::time::Duration;

use quorlock::Error;

use crate::console::{Console, say};
use crate::hold::close;
use crate::options::Options;

pub(crate) async fn run(options: &Options, console: &mut Console) {
    let contending = contend(options);
    tokio::select! {
        biased;
        _ = console.next() => {}
        ended = contending => match ended {
            Ok(()) => say("done"),
            Err(error) => say(format_args!("error {error:?}")),
        },
    }
}

async fn contend(options: &Options) -> Result<(), Error> {
    let redlock = options.redlock()?;
    for round in 0..options.rounds {
        let guard = redlock.lock(options.resource.as_str()).await?;
        let entered = fs::File::create_new(&options.inside);
        say(if entered.is_ok() { "acquired" } else { "violation" });
        tokio::time::sleep(Duration::from_millis(u64::from(round % 3))).await;
        // Lost meanwhile, somebody else may be inside by right, and the file may be theirs.
        if entered.is_ok() && guard.is_valid() {
            fs::remove_file(&options.inside).ok();
        }
        guard.release().await?;
    }
    close(&redlock).await;
    Ok(())
}
