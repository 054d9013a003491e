//! What the command line asks for, as values. Below this file nobody knows clap.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, Subcommand, ValueEnum};
use quorlock_testkit::Backend;

/// How long a lock lasts on nodes that hear nothing more of its holder.
pub(crate) const TTL: Duration = Duration::from_secs(2);

/// What this process is for.
#[derive(Debug)]
pub(crate) enum Task {
    /// Play the whole script.
    Demonstrate(Options),
    /// Contend for the lock on behalf of the process that started this one, and says how on standard input.
    Work,
}

/// What the demo is to show, and where.
#[derive(Debug)]
pub(crate) struct Options {
    /// Where the nodes come from.
    pub(crate) nodes: NodeSource,
    /// How many processes contend.
    pub(crate) workers: usize,
    /// Who watches.
    pub(crate) audience: Audience,
    /// About how long the script takes.
    pub(crate) length: Duration,
    /// Where the report goes as JSON.
    pub(crate) json: Option<PathBuf>,
}

/// Where the nodes come from.
#[derive(Debug)]
pub(crate) enum NodeSource {
    /// The demo starts five of this kind, or of the best kind that is here.
    Start(Option<Backend>),
    /// They are there already.
    Attach(Vec<String>),
}

/// Who watches the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// A person, if the output is a terminal.
    Terminal,
    /// A log file.
    Log,
}

/// Watches a lock survive the loss of two of five Redis nodes, and a rolling restart of all of them.
///
/// Several processes contend for one lock and append to a shared ledger, while nodes are frozen, killed and restarted.
/// Ends with 0 only if no promise was broken and every step went as expected.
#[derive(Parser, Debug)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,

    /// What the five nodes are; `auto` takes the most real kind that is here
    #[arg(long, value_enum, default_value = "auto")]
    backend: BackendName,

    /// Attach to nodes that are there already instead; what needs the machine is skipped
    #[arg(long, value_name = "URL,...", value_delimiter = ',')]
    nodes: Vec<String>,

    /// How many processes contend for the lock
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: u16,

    /// Plain lines also on a terminal
    #[arg(long)]
    headless: bool,

    /// About how long the script takes, in seconds; steps that wait for something take the time they need
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,

    /// Write the report to a file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Contend for the lock; ends with its standard input
    #[command(hide = true)]
    Worker,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum BackendName {
    Auto,
    Containers,
    Processes,
    Embedded,
}

impl Task {
    /// Reads the command line. Ends the process where it makes no sense, as clap does.
    pub(crate) fn from_arguments() -> Self {
        let arguments = Arguments::parse();
        match arguments.command {
            Some(Command::Worker) => Self::Work,
            None => Self::Demonstrate(arguments.into()),
        }
    }
}

impl From<Arguments> for Options {
    fn from(arguments: Arguments) -> Self {
        let nodes = if arguments.nodes.is_empty() {
            NodeSource::Start(arguments.backend.into())
        } else {
            NodeSource::Attach(arguments.nodes)
        };
        let audience = if arguments.headless { Audience::Log } else { Audience::Terminal };
        Self {
            nodes,
            workers: arguments.workers.into(),
            audience,
            length: Duration::from_secs(arguments.seconds),
            json: arguments.json,
        }
    }
}

impl From<BackendName> for Option<Backend> {
    fn from(name: BackendName) -> Self {
        match name {
            BackendName::Auto => None,
            BackendName::Containers => Some(Backend::Containers),
            BackendName::Processes => Some(Backend::Processes),
            BackendName::Embedded => Some(Backend::Embedded),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(arguments: &[&str]) -> Options {
        let line = ["failover-demo"].iter().chain(arguments);
        Arguments::try_parse_from(line).expect("the arguments make sense").into()
    }

    #[test]
    fn nodes_are_separated_by_commas() {
        let options = options(&["--nodes", "redis://127.0.0.1:1,redis://127.0.0.1:2"]);
        assert!(matches!(options.nodes, NodeSource::Attach(urls) if urls.len() == 2));
    }

    #[test]
    fn a_demo_takes_half_a_minute_with_four_workers_if_nothing_else_is_said() {
        let options = options(&["--backend", "embedded"]);
        assert_eq!((options.length, options.workers), (Duration::from_secs(30), 4));
        assert!(matches!(options.nodes, NodeSource::Start(Some(Backend::Embedded))));
    }

    #[test]
    fn no_workers_and_no_time_are_refused() {
        for nonsense in [["--workers", "0"], ["--seconds", "0"], ["--backend", "docker"]] {
            assert!(Arguments::try_parse_from(["failover-demo"].iter().chain(&nonsense)).is_err());
        }
    }
}
