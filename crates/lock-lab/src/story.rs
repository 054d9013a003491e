//! What happened while a hazard was played, in order. How it is drawn as a picture lives in `html`.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// One line of a story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Who does it: a client's name, or nothing for what happens to the stage.
    pub who: String,
    /// What it is.
    pub what: What,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// A command that a client sent, and what the server said.
    Sent {
        /// The words of the command.
        command: String,
        /// The answer, as `redis-cli` would show it.
        reply: String,
    },
    /// It believes that it holds the lock from here on.
    Holds,
    /// It was told that somebody else holds it, and why where there is a reason.
    Denied(String),
    /// It is done with what the lock protects.
    Leaves,
    /// It writes to what the lock protects, and whether the store took it.
    Wrote {
        /// The fencing token that came with it.
        token: Option<u64>,
        /// Whether the store took it.
        accepted: bool,
    },
    /// It stands still at this point: a garbage collector, a suspended machine.
    Stalls,
    /// It goes on where it stood still.
    GoesOn,
    /// It is gone without another word.
    Dies,
    /// Something else, in words.
    Note(String),
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent { command, reply } => write!(f, "> {command}   {reply}"),
            Self::Holds => f.write_str("holds the lock"),
            Self::Denied(why) if why.is_empty() => f.write_str("is denied"),
            Self::Denied(why) => write!(f, "is denied: {why}"),
            Self::Leaves => f.write_str("is done, and gives the lock back"),
            Self::Wrote { token, accepted } => {
                let with = token.map(|token| format!(" with token {token}")).unwrap_or_default();
                write!(
                    f,
                    "writes{with}: {}",
                    if *accepted { "taken" } else { "refused by the store" }
                )
            }
            Self::Stalls => f.write_str("stands still"),
            Self::GoesOn => f.write_str("goes on"),
            Self::Dies => f.write_str("dies"),
            Self::Note(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>6}  {}", self.who, self.what)
    }
}

/// The lines so far. Clones write the same story.
#[derive(Debug, Clone, Default)]
pub struct Story(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    lines: Vec<Line>,
    is_over: bool,
}

impl Story {
    /// Adds a line.
    pub fn tell(&self, who: &str, what: What) {
        let line = Line { who: who.to_owned(), what };
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !told.is_over {
            told.lines.push(line);
        }
    }

    /// Nothing more is told: for what would tell for ever.
    pub fn stop(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_over = true;
    }

    /// Adds a line about the stage.
    pub fn note(&self, text: impl Into<String>) {
        self.tell("", What::Note(text.into()));
    }

    /// All lines, in order.
    pub fn lines(&self) -> Vec<Line> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).lines.clone()
    }
}
