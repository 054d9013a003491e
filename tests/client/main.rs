//! A client of its own process, for the suite to stop, kill, or let end. What it does is its first argument, the nodes'
//! URLs and the options follow; what happens it says as lines on its standard output; it ends with its standard input.
//!
//! | mode | what it does | what it says | what it understands |
//! |---|---|---|---|
//! | `hold` | takes the lock at once and keeps it | `acquired TOKEN`, `lost REASON`, `write TOKEN` | `extend`, `write`, `release` |
//! | `acquire` | connects, then asks once for every `try` | `ready`, `acquired`, `denied` | `try`, `release` |
//! | `bootstrap` | makes brand-new nodes vote | `done` | |
//! | `contend` | takes the lock and gives it back, for `--rounds` | `acquired` each time, `violation`, `done` | |
//! | `compete` | the same, until `--log` has `--rounds` lines from all programs | `violation: ...`, `done` | |
//!
//! Whatever fails is said as `error ...`.

mod acquire;
mod bootstrap;
mod compete;
mod console;
mod contend;
mod hold;
mod options;

use std::process::ExitCode;

use self::console::Console;
use self::options::Options;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("quorlock-test-client: {problem}");
            return ExitCode::FAILURE;
        }
    };
    let mut console = Console::open();
    match options.mode.as_str() {
        "hold" => hold::run(&options, &mut console).await,
        "acquire" => acquire::run(&options, &mut console).await,
        "bootstrap" => bootstrap::run(&options).await,
        "compete" => compete::run(&options, &mut console).await,
        "contend" => contend::run(&options, &mut console).await,
        other => {
            eprintln!("quorlock-test-client: no mode is called `{other}`");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
