//! The command line. Nothing is run here.

use std::path::PathBuf;

use clap::Parser;

use crate::contender::Name;
use crate::workload::Scale;

/// The first argument of the process that is timed.
pub(crate) const CELL: &str = "cell";

const QUICK_ROUNDS: usize = 1;
const FULL_ROUNDS: usize = 5;

/// Times quorlock side by side with others that take the same locks, on five nodes of its own.
///
/// Contenders take turns within every round, and each is compared with `raw` in the same round. Read ratios, not absolutes.
#[derive(Debug, Parser)]
pub(crate) struct Options {
    /// About two minutes instead of an hour: shorter windows, fewer cases, one round
    #[arg(long)]
    pub(crate) quick: bool,
    /// These workloads only
    #[arg(long, value_delimiter = ',', value_name = "NAME,..")]
    pub(crate) only: Vec<String>,
    /// These contenders only
    #[arg(long, value_delimiter = ',', value_name = "NAME,..")]
    pub(crate) contenders: Vec<Name>,
    /// How often everything is repeated [default: 5, with --quick 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) rounds: Option<u16>,
    /// Write everything that was measured
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write a page with tables and plots that needs nothing else
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Write the plots of that page into this folder, each as an SVG file
    #[arg(long, value_name = "DIR")]
    pub(crate) plots: Option<PathBuf>,
    /// Say what there is, and measure nothing
    #[arg(long)]
    pub(crate) list: bool,
}

impl Options {
    pub(crate) fn scale(&self) -> Scale {
        Scale { quick: self.quick }
    }

    pub(crate) fn rounds(&self) -> usize {
        let usual = if self.quick { QUICK_ROUNDS } else { FULL_ROUNDS };
        self.rounds.map_or(usual, usize::from)
    }
}
