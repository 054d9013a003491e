//! Takes the lock and gives it back, against other programs, until all together held it so many times. Who held it is
//! a line in a log that only the holder writes; that nobody else is inside is proven as in [`crate::contend`].

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::time::Duration;

use quorlock::{Guard, Redlock};
use tokio::time::sleep;

use crate::console::{Console, say};
use crate::options::Options;

/// What this side is called in the log and in the file that exists while somebody is inside.
const NAME: &str = "quorlock";

pub(crate) async fn run(options: &Options, console: &mut Console) {
    let competing = compete(options);
    tokio::select! {
        biased;
        _ = console.next() => {}
        ended = competing => match ended {
            Ok(()) => say("done"),
            Err(error) => say(format_args!("error {error:?}")),
        },
    }
}

async fn compete(options: &Options) -> Result<(), Box<dyn std::error::Error>> {
    let redlock = options.redlock()?;
    while holds_so_far(options)? < options.rounds as usize {
        hold_once(&redlock, options).await?;
        // Else whoever polls more often than the others would never let them in.
        sleep(up_to(10)).await;
    }
    // Longer than a node is away: what is not given back by then is to be counted.
    Ok(redlock.close(Duration::from_secs(5)).await?)
}

async fn hold_once(redlock: &Redlock, options: &Options) -> Result<(), Box<dyn std::error::Error>> {
    // A set of resources is taken by a script, a single one by the command that all libraries use.
    let beside = format!("{}:beside", options.resource);
    let guard = match one_in(2) {
        true => redlock.lock([options.resource.as_str(), beside.as_str()]).await?,
        false => redlock.lock(options.resource.as_str()).await?,
    };
    match File::create_new(&options.inside) {
        Ok(mut file) => writeln!(file, "{NAME}")?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let other = fs::read_to_string(&options.inside).unwrap_or_default();
            say(format_args!("violation: {NAME} met {}", other.trim()));
            return give_back(guard).await;
        }
        Err(error) => return Err(error.into()),
    }
    writeln!(OpenOptions::new().append(true).create(true).open(&options.log)?, "{NAME}")?;
    sleep(up_to(3)).await;
    if one_in(3) {
        // Where a quorum did not answer, the lock is held for as long as it was before.
        guard.extend().await.ok();
    }
    if !guard.is_valid() {
        return Err("the lock was lost while it was held: nothing can be said of exclusion".into());
    }
    fs::remove_file(&options.inside)?;
    give_back(guard).await
}

async fn give_back(guard: Guard) -> Result<(), Box<dyn std::error::Error>> {
    match guard.release().await {
        Ok(report) => {
            // Nodes that did not answer in time are owed the release; `close` waits for them.
            if !report.is_confirmed() {
                say("released where a quorum did not answer in time");
            }
            Ok(())
        }
        Err(error) => Err(format!("while releasing: {error:?}").into()),
    }
}

fn holds_so_far(options: &Options) -> io::Result<usize> {
    match fs::read_to_string(&options.log) {
        Ok(log) => Ok(log.lines().count()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

fn one_in(times: u64) -> bool {
    random().is_multiple_of(times)
}

fn up_to(milliseconds: u64) -> Duration {
    Duration::from_micros(random() % (1_000 * milliseconds))
}

fn random() -> u64 {
    RandomState::new().hash_one(0)
}
