//! The arguments: mode, URLs, options. Nothing is done here.

use std::path::PathBuf;
use std::time::Duration;

use quorlock::Redlock;

/// What this process was told on its command line.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) mode: String,
    pub(crate) resource: String,
    /// How often `contend` takes the lock, or all who `compete` together.
    pub(crate) rounds: u32,
    /// The file that exists while a contender is inside.
    pub(crate) inside: PathBuf,
    /// Where those who `compete` write that they held the lock.
    pub(crate) log: PathBuf,
    prefix: String,
    urls: Vec<String>,
    ttl: Duration,
    time_limit: Option<Duration>,
    max_ttl: Option<Duration>,
    drift_factor: Option<f64>,
    /// Whether nodes vote whatever they may have forgotten.
    trusts_nodes: bool,
    /// What the nodes are called.
    names: Option<String>,
    /// Whether `hold` asks for a fencing token.
    pub(crate) fenced: bool,
    /// Whether `hold` leaves extending to whoever tells it to.
    pub(crate) by_hand: bool,
    roots: Option<PathBuf>,
    identity: Option<(PathBuf, PathBuf)>,
}

impl Options {
    /// Reads `MODE URL.. --resource NAME --ttl MS [--prefix TEXT] [--max-ttl MS] [--names A,B..] [--quarantine off] [--time-limit MS] [--drift-factor F] [--rounds N]
    /// [--inside PATH] [--log PATH] [--fenced true] [--keeper off] [--roots PATH] [--identity CERTIFICATE,KEY]`.
    ///
    /// # Errors
    ///
    /// What cannot be read.
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self { mode: args.next().ok_or("no mode")?, ..Self::default() };
        while let Some(arg) = args.next() {
            if !arg.starts_with("--") {
                options.urls.push(arg);
                continue;
            }
            let value = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
            options.set(&arg, value).ok_or_else(|| format!("{arg} cannot be that"))?;
        }
        Ok(options)
    }

    fn set(&mut self, option: &str, value: String) -> Option<()> {
        let millis = || value.parse().ok().map(Duration::from_millis);
        match option {
            "--resource" => self.resource = value,
            "--ttl" => self.ttl = millis()?,
            "--max-ttl" => self.max_ttl = Some(millis()?),
            "--time-limit" => self.time_limit = Some(millis()?),
            "--drift-factor" => self.drift_factor = Some(value.parse().ok()?),
            "--rounds" => self.rounds = value.parse().ok()?,
            "--inside" => self.inside = value.into(),
            "--log" => self.log = value.into(),
            "--fenced" => self.fenced = value.parse().ok()?,
            "--keeper" => self.by_hand = value == "off",
            "--prefix" => self.prefix = value,
            "--names" => self.names = Some(value),
            "--quarantine" => self.trusts_nodes = value == "off",
            "--roots" => self.roots = Some(value.into()),
            "--identity" => {
                let (certificate, key) = value.split_once(',')?;
                self.identity = Some((certificate.into(), key.into()));
            }
            _ => return None,
        }
        Some(())
    }

    /// A handle on the nodes.
    ///
    /// # Errors
    ///
    /// The builder's.
    pub(crate) fn redlock(&self) -> Result<Redlock, quorlock::Error> {
        let mut builder = Redlock::builder(self.urls.clone()).ttl(self.ttl).prefix(&*self.prefix);
        if let Some(max_ttl) = self.max_ttl {
            builder = builder.max_ttl(max_ttl);
        }
        if self.trusts_nodes {
            builder = builder.without_quarantine();
        }
        if let Some(names) = &self.names {
            builder = builder.node_names(names.split(','));
        }
        if let (Some(roots), Some((certificate, key))) = (&self.roots, &self.identity) {
            builder = builder.tls_roots(roots).tls_identity(certificate, key);
        }
        if let Some(limit) = self.time_limit {
            builder = builder.time_limit(limit);
        }
        if let Some(factor) = self.drift_factor {
            builder = builder.drift_factor(factor);
        }
        builder.build()
    }
}
