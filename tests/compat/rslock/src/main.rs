//! A contender that takes rslock's locks. What it has in common with the others: see `tests/compat/contest.py`.

use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rslock::LockManager;
use tokio::time::sleep;

/// What it was told on its command line.
#[derive(Default)]
struct Options {
    urls: Vec<String>,
    name: String,
    resource: String,
    ttl: Duration,
    rounds: usize,
    inside: PathBuf,
    log: PathBuf,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut options = Self::default();
        while let Some(arg) = args.next() {
            if !arg.starts_with("--") {
                options.urls.push(arg);
                continue;
            }
            let value = args.next().ok_or("an option needs a value")?;
            match arg.as_str() {
                "--name" => options.name = value,
                "--resource" => options.resource = value,
                "--ttl" => options.ttl = Duration::from_millis(value.parse()?),
                "--rounds" => options.rounds = value.parse()?,
                "--inside" => options.inside = value.into(),
                "--log" => options.log = value.into(),
                _ => return Err(format!("what is `{arg}`?").into()),
            }
        }
        Ok(options)
    }

    fn holds_so_far(&self) -> io::Result<usize> {
        match fs::read_to_string(&self.log) {
            Ok(log) => Ok(log.lines().count()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse(std::env::args().skip(1))?;
    let mut manager = LockManager::new(options.urls.clone());
    manager.set_retry(3, Duration::from_millis(20));
    while options.holds_so_far()? < options.rounds {
        hold_once(&manager, &options).await?;
        sleep(up_to(10)).await;
    }
    println!("done");
    Ok(())
}

async fn hold_once(manager: &LockManager, options: &Options) -> Result<(), Box<dyn Error>> {
    let mut lock = manager.acquire_no_guard(options.resource.as_str(), options.ttl).await?;
    if one_in_three() {
        // Before anybody relies on the lock: where it fails, rslock gives it back.
        match manager.extend(&lock, options.ttl).await {
            Ok(extended) => lock = extended,
            Err(_) => return Ok(()),
        }
    }
    // Later than when the round began, so half of what is left is trusted, and no more.
    let (held, trusted) = (Instant::now(), Duration::from_millis(lock.validity_time as u64) / 2);
    match File::create_new(&options.inside) {
        Ok(mut file) => writeln!(file, "{}", options.name)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let other = fs::read_to_string(&options.inside).unwrap_or_default();
            println!("violation: {} met {}", options.name, other.trim());
            lock.release().await;
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    }
    writeln!(OpenOptions::new().append(true).create(true).open(&options.log)?, "{}", options.name)?;
    sleep(up_to(3)).await;
    if held.elapsed() > trusted {
        return Err("held for too long: nothing can be said of exclusion".into());
    }
    fs::remove_file(&options.inside)?;
    lock.release().await;
    Ok(())
}

fn one_in_three() -> bool {
    random().is_multiple_of(3)
}

fn up_to(milliseconds: u64) -> Duration {
    Duration::from_micros(random() % (1_000 * milliseconds))
}

fn random() -> u64 {
    RandomState::new().hash_one(0)
}
