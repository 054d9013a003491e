//! The shared ledger: what the lock protects. Each worker appends a line when it enters and one when it leaves, and
//! the order of the lines alone proves that nobody was inside together: no clock takes part.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::{NamedTempFile, TempPath};

/// One worker's hand on the ledger.
#[derive(Debug)]
pub(crate) struct Pen {
    file: File,
    worker: String,
}

impl Pen {
    /// Opens a ledger that the demo has made.
    ///
    /// # Errors
    ///
    /// It is not there.
    pub(crate) fn new(path: &Path, worker: &str) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).open(path)?;
        Ok(Self { file, worker: worker.to_owned() })
    }

    /// Notes that the worker is inside.
    ///
    /// # Errors
    ///
    /// The file's.
    pub(crate) fn enter(&mut self, attempt: u64, now: Duration) -> io::Result<()> {
        self.append("enter", attempt, now)
    }

    /// Notes that the worker is outside again.
    ///
    /// # Errors
    ///
    /// The file's.
    pub(crate) fn exit(&mut self, attempt: u64, now: Duration) -> io::Result<()> {
        self.append("exit", attempt, now)
    }

    /// One write per line: appended lines of several processes do not mix.
    fn append(&mut self, verb: &str, attempt: u64, now: Duration) -> io::Result<()> {
        let line = format!("{verb} {} {attempt} {}\n", self.worker, now.as_nanos());
        self.file.write_all(line.as_bytes())
    }
}

/// The ledger as the demo has it: a file that disappears.
#[derive(Debug)]
pub(crate) struct Ledger {
    file: File,
    path: Option<TempPath>,
}

impl Ledger {
    /// An empty one.
    ///
    /// # Errors
    ///
    /// No temporary file can be made.
    pub(crate) fn new() -> io::Result<Self> {
        let (file, path) = NamedTempFile::new()?.into_parts();
        Ok(Self { file, path: Some(path) })
    }

    /// Where workers find it, until it is [hidden](Self::hide).
    pub(crate) fn path(&self) -> PathBuf {
        self.path.as_deref().map(Path::to_owned).unwrap_or_default()
    }

    /// Takes its name away once everybody has opened it: it is gone with the last process, however that ends.
    pub(crate) fn hide(&mut self) {
        self.path = None;
    }

    /// Reads it from the first line to the last.
    ///
    /// # Errors
    ///
    /// The file's.
    pub(crate) fn audit(&mut self) -> io::Result<Audit> {
        let mut text = String::new();
        self.file.rewind()?;
        self.file.read_to_string(&mut text)?;
        Ok(Audit::of(&text))
    }
}

/// What the ledger says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Audit {
    /// How often somebody went in.
    pub(crate) entries: usize,
    /// Each line that should not be where it is.
    pub(crate) mistakes: Vec<Mistake>,
}

/// A line that proves that two were inside together, or that something went wrong with the ledger.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    line: usize,
    text: String,
    inside: Option<String>,
}

impl Audit {
    fn of(text: &str) -> Self {
        let mut audit = Self::default();
        let mut inside: Option<String> = None;
        for (number, line) in text.lines().enumerate() {
            let mut words = line.split(' ');
            let verb = words.next().unwrap_or_default();
            let who = words.take(2).collect::<Vec<_>>().join("#");
            let fits = match verb {
                "enter" => inside.is_none(),
                "exit" => inside.as_ref() == Some(&who),
                _ => false,
            };
            if !fits {
                let inside = inside.clone();
                audit.mistakes.push(Mistake { line: number + 1, text: line.to_owned(), inside });
            }
            audit.entries += usize::from(verb == "enter");
            inside = (verb == "enter").then_some(who);
        }
        audit
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inside = self.inside.as_deref().unwrap_or("nobody");
        write!(f, "ledger line {}: \"{}\" while {inside} was inside", self.line, self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(1);

    #[test]
    fn a_ledger_of_two_workers_in_turn_is_accepted() {
        let mut ledger = Ledger::new().unwrap();
        let mut a = Pen::new(&ledger.path(), "a").unwrap();
        let mut b = Pen::new(&ledger.path(), "b").unwrap();
        ledger.hide();
        for attempt in 1..=3 {
            for pen in [&mut a, &mut b] {
                pen.enter(attempt, TIME).unwrap();
                pen.exit(attempt, TIME).unwrap();
            }
        }
        assert_eq!(ledger.audit().unwrap(), Audit { entries: 6, mistakes: Vec::new() });
    }

    #[test]
    fn two_workers_inside_together_are_found() {
        let audit = Audit::of("enter a 1 5\nenter b 1 6\nexit a 1 7\nexit b 1 8\n");
        assert_eq!(audit.entries, 2);
        assert_eq!(
            audit.mistakes[0].to_string(),
            "ledger line 2: \"enter b 1 6\" while a#1 was inside"
        );
    }

    #[test]
    fn an_exit_without_an_entry_is_found() {
        assert_eq!(Audit::of("exit a 1 5\n").mistakes.len(), 1);
        assert_eq!(Audit::of("enter a 1 5\nexit a 2 6\n").mistakes.len(), 1);
    }

    #[test]
    fn a_hidden_ledger_leaves_nothing_behind() {
        let mut ledger = Ledger::new().unwrap();
        let path = ledger.path();
        assert!(path.exists());
        ledger.hide();
        assert!(!path.exists());
    }
}
