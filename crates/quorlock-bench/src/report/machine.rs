//! On what it was measured, as far as the system says.

use serde::Serialize;

use crate::options::Options;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) processor: String,
    /// Tasks that wanted to run over the last minute, at the end: ours, and everybody else's.
    pub(crate) load: String,
    pub(crate) build: &'static str,
    pub(crate) nodes: String,
    pub(crate) rounds: usize,
    pub(crate) quick: bool,
}

impl Machine {
    /// After so many rounds.
    pub(crate) fn look(options: &Options, rounds: usize) -> Self {
        let unknown = || "unknown".to_owned();
        let read = |file| std::fs::read_to_string(file).unwrap_or_default();
        let processor = read("/proc/cpuinfo");
        let processor = processor.lines().find_map(|line| line.strip_prefix("model name"));
        Self {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            processor: processor
                .map_or_else(unknown, |name| name.trim_start_matches([' ', '\t', ':']).to_owned()),
            load: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
            build: if cfg!(debug_assertions) { "debug" } else { "release" },
            nodes: std::env::var("QUORLOCK_BACKEND").unwrap_or_else(|_| "auto".to_owned()),
            rounds,
            quick: options.quick,
        }
    }

    pub(crate) fn sentence(&self) -> String {
        let Self { cores, processor, load, build, nodes, rounds, quick } = self;
        let scale = if *quick { "quick" } else { "full" };
        let rounds = match rounds {
            1 => "1 round".to_owned(),
            more => format!("{more} rounds"),
        };
        format!(
            "{scale}, {rounds}, {build} build; five nodes ({nodes}); {cores} cores ({processor}), load {load} at the end"
        )
    }
}
