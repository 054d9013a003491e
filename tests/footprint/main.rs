//! Measures what locks cost in memory and tasks, and whether it is given back (promise G7): one line per figure, `name value`.
//!
//! `quorlock-footprint [SCENARIO ..] [--option N ..]`; the options and what they are by default stand in `plan.rs`. Nodes are
//! what `QUORLOCK_BACKEND` says. They live in this process; locks are taken in another one, which counts every byte of its own.
//!
//! | scenario | what is measured |
//! |---|---|
//! | `held` | many locks held at once, each with its keeper: taken, extended, given back, and taken once more |
//! | `waiters` | many tasks that wait for one lock |
//! | `frozen` | full load while one of the nodes is frozen, and after it has thawed |
//! | `slope` | what is left after each of many batches of locks |

mod console;
mod fit;
mod frozen;
mod held;
mod host;
mod load;
mod memory;
mod plan;
mod slope;
mod waiters;

use std::error::Error;
use std::process::ExitCode;

use self::console::{Console, tell};
use self::memory::Reading;
use self::plan::Plan;

/// Whatever goes wrong ends the program with a message.
type Outcome<T = ()> = Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quorlock-footprint: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Outcome {
    let mut args = std::env::args().skip(1).peekable();
    // How the host starts the process that is measured.
    if args.next_if(|first| first == host::MEASURE).is_some() {
        return measure(&Plan::parse(args)?).await;
    }
    host::run(&Plan::parse(args)?).await
}

async fn measure(plan: &Plan) -> Outcome {
    let mut console = Console::open();
    let begin = Reading::quiet(0).await?;
    scenario(plan, &mut console).await?;
    // The handle is gone, and its connections with it.
    let end = Reading::quiet(0).await?;
    tell("bytes_closed", end.bytes - begin.bytes);
    Ok(())
}

async fn scenario(plan: &Plan, console: &mut Console) -> Outcome {
    match plan.scenarios.first().map(String::as_str) {
        Some("held") => held::run(plan).await,
        Some("waiters") => waiters::run(plan).await,
        Some("frozen") => frozen::run(plan, console).await,
        Some("slope") => slope::run(plan).await,
        other => Err(format!("no scenario is called {other:?}").into()),
    }
}
