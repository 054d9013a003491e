//! How the process that is measured talks to its host: figures, and faults that it asks for. What they mean does not
//! live here.

use std::fmt::Display;

use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin};

use crate::Outcome;

/// Before the name of a fault that the host is asked for.
pub(crate) const PLEASE: &str = "please ";

/// The host's answers.
pub(crate) struct Console(Lines<BufReader<Stdin>>);

impl Console {
    pub(crate) fn open() -> Self {
        Self(BufReader::new(tokio::io::stdin()).lines())
    }

    /// Asks the host for a fault; returns when it has happened.
    ///
    /// # Errors
    ///
    /// The host is gone, or could not do it.
    pub(crate) async fn ask(&mut self, fault: &str) -> Outcome {
        println!("{PLEASE}{fault}");
        match self.0.next_line().await? {
            Some(answer) if answer == "done" => Ok(()),
            other => Err(format!("asked for {fault}: {other:?}").into()),
        }
    }
}

/// Tells a figure.
pub(crate) fn tell(name: &str, value: impl Display) {
    println!("{name} {value}");
}
