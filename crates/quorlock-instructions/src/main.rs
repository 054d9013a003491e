//! Holds what was counted, read from the standard input as gungraun tells it, against the pins: see `run`, beside this crate's
//! manifest. What is too many lives in `pins.rs`.

mod pins;

use std::error::Error;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::{env, fs};

use quorlock_instructions::REPEATS;
use serde_json::Value;

use self::pins::Pins;

/// Set to anything, it writes the pins instead of comparing them.
const RENEW: &str = "QUORLOCK_RENEW";

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quorlock-instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("pins.txt");
    let mut told = String::new();
    io::stdin().read_to_string(&mut told)?;
    let found = found(&told)?;
    if env::var_os(RENEW).is_some() {
        fs::write(&place, found.to_string())?;
        print!("{}", found.table(&found));
        return Ok(());
    }
    let pinned: Pins = fs::read_to_string(&place).unwrap_or_default().parse()?;
    print!("{}", pinned.table(&found));
    let complaints = pinned.complaints(&found);
    if complaints.is_empty() {
        return Ok(());
    }
    let mut compilers = String::new();
    if pinned.by != found.by {
        compilers = format!("The pins are of {}, this is {}.\n", pinned.by, found.by);
    }
    Err(format!(
        "instructions have changed:\n\n{}\n\n{compilers}If they should, renew the pins, and the table in \
         docs/performance.md:\n\n    {RENEW}=1 crates/quorlock-instructions/run\n",
        complaints.join("\n")
    )
    .into())
}

/// A line for each benchmark.
fn found(told: &str) -> Outcome<Pins> {
    let counts = told.lines().map(|line| count(&serde_json::from_str(line)?));
    Ok(Pins { by: compiler()?, counts: counts.collect::<Outcome<_>>()? })
}

fn count(told: &Value) -> Outcome<(String, u64)> {
    let (Some(function), Some(id), Some(all)) = (
        told["function_name"].as_str(),
        told["id"].as_str(),
        told["profiles"][0]["data"]["total"]["metrics"]["Ir"]["values"]["new"].as_u64(),
    ) else {
        return Err(format!("gungraun tells its counts in another form: {told}").into());
    };
    Ok((format!("{function}.{id}"), all / REPEATS as u64))
}

fn compiler() -> Outcome<String> {
    let output = Command::new("rustc").arg("--version").output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_that_of_one_and_what_has_another_form_is_refused() {
        let told = r#"{"function_name":"lock","id":"plain","profiles":[{"data":{"total":{"metrics":{"Ir":{"values":{"new":12345}}}}}}]}"#;
        let counts = found(told).unwrap().counts;
        assert_eq!(counts.into_iter().collect::<Vec<_>>(), [("lock.plain".to_owned(), 123)]);
        assert!(found(r#"{"id":"plain"}"#).is_err());
    }
}
