//! Feeds random inputs to everything that the library reads from outside. The same seed gives the same inputs.
//!
//! `fuzz --help` has the options. An abort (a stack that is full, memory that is not there) ends the program without a word;
//! the number of the input is then in the file that it named.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use nix::sys::resource::{Resource, setrlimit};
use quorlock_testkit::fuzz::Target;

/// As much as a thread of the runtime has.
const STACK: usize = 2 * 1024 * 1024;
const MIB: u64 = 1024 * 1024;

/// Feeds random inputs to everything that the library reads from outside.
#[derive(Debug, Parser)]
#[command(name = "fuzz")]
struct Options {
    /// What is fed: reply, url, names [default: all, one after the other]
    #[arg(long)]
    target: Option<Target>,
    /// How many inputs for each target
    #[arg(long, default_value_t = 100_000)]
    inputs: u64,
    /// Stops each target after so many seconds, whatever is left
    #[arg(long)]
    seconds: Option<u64>,
    /// Where the inputs come from
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The number of the first input
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// How much memory the program may have, in MiB
    #[arg(long, default_value_t = 1024)]
    memory: u64,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(options) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("fuzz: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(options: Options) -> io::Result<u64> {
    let most = options.memory * MIB;
    setrlimit(Resource::RLIMIT_AS, most, most)?;
    // A panic is a finding, and is printed with its input.
    panic::set_hook(Box::new(|_| {}));
    let worker = thread::Builder::new().stack_size(STACK).spawn(move || {
        let targets = options.target.map_or_else(|| Target::ALL.to_vec(), |one| vec![one]);
        targets.into_iter().map(|target| feed(target, &options)).sum()
    })?;
    worker.join().unwrap_or_else(|_| Err(io::Error::other("the driver itself panicked")))
}

/// How many inputs failed.
fn feed(target: Target, options: &Options) -> io::Result<u64> {
    let corpus = target.corpus();
    let place = place(target);
    let at = File::create(&place)?;
    println!("{target}: the number of the input is in {}", place.display());
    let (begun, limit) = (Instant::now(), options.seconds.map(Duration::from_secs));
    let (mut done, mut bytes, mut failed, mut slowest) = (0, 0, 0, (Duration::ZERO, 0));
    for number in options.from..options.from.saturating_add(options.inputs) {
        let start = begun.elapsed();
        if limit.is_some_and(|limit| start >= limit) {
            break;
        }
        at.write_all_at(format!("{number:>20}\n").as_bytes(), 0)?;
        let input = target.input(&corpus, options.seed, number);
        let caught = panic::catch_unwind(AssertUnwindSafe(|| target.check(&input)));
        let wrong = caught.unwrap_or_else(|panic| Err(said(panic.as_ref()))).err();
        if let Some(wrong) = wrong {
            failed += 1;
            report(target, options.seed, number, &input, &wrong);
        }
        slowest = slowest.max((begun.elapsed().saturating_sub(start), number));
        (done, bytes) = (done + 1, bytes + input.len());
    }
    fs::remove_file(place)?;
    let (took, (longest, slowest)) = (begun.elapsed(), slowest);
    println!(
        "{target}: {done} inputs, {bytes} bytes, {took:.1?}, {failed} failed; the slowest was {slowest} with {longest:.1?}"
    );
    Ok(failed)
}

fn place(target: Target) -> PathBuf {
    std::env::temp_dir().join(format!("quorlock-fuzz-{target}-{}", std::process::id()))
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panicked: {}", text.unwrap_or("without a text"))
}

fn report(target: Target, seed: u64, number: u64, input: &[u8], wrong: &str) {
    let shown = &input[..input.len().min(400)];
    println!(
        "{target}: fuzz --target {target} --seed {seed} --from {number} --inputs 1\n    {}\n    {wrong:.800}",
        shown.escape_ascii()
    );
}
