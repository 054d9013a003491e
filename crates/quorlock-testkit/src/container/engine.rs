//! Telling the container engine what to do, through its own command. What it is told does not live
//! here.

use std::process::{Output, Stdio};
use std::time::Duration;

use crate::error::Error;

const PROGRAM: &str = "docker";

/// More than a slow machine needs for any command that is used here.
const WITHIN: Duration = Duration::from_secs(60);

/// Runs one command and returns what it printed.
pub(crate) async fn run(args: &[&str]) -> Result<String, Error> {
    run_within(args, WITHIN).await
}

/// Runs one command, gives it up and ends it after the limit.
pub(crate) async fn run_within(args: &[&str], limit: Duration) -> Result<String, Error> {
    let mut command = tokio::process::Command::new(PROGRAM);
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    match tokio::time::timeout(limit, command.output()).await {
        Ok(output) => read(args, output),
        Err(_) => Err(failed(args, format!("nothing within {limit:?}"))),
    }
}

/// Runs one command where nothing can be awaited.
pub(crate) fn run_now(args: &[&str]) -> Result<String, Error> {
    read(args, std::process::Command::new(PROGRAM).args(args).stdin(Stdio::null()).output())
}

fn read(args: &[&str], output: std::io::Result<Output>) -> Result<String, Error> {
    let output = output.map_err(Error::io(PROGRAM))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if !output.status.success() {
        return Err(failed(args, complaint));
    }
    // `logs` prints to where the server did; warnings of other commands are not their result.
    if args.first() == Some(&"logs") {
        Ok(printed + &complaint)
    } else {
        Ok(printed.trim().to_owned())
    }
}

fn failed(args: &[&str], output: String) -> Error {
    Error::Engine { command: args.join(" "), output }
}
