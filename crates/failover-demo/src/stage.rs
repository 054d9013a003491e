//! Everything that the script acts on: nodes, workers, the record, the demo's own clients. What is done to them, and
//! when, does not live here.

use std::time::Duration;

use quorlock::{Redlock, Standing};
use quorlock_testkit::{
    checker::{Hold, Residue, Window, holds, longest_unavailability},
    history::History,
};
use tokio::time::{Instant, sleep};

use crate::{
    clock::Clock,
    crew::{Crew, Work},
    error::Result,
    holding::Client,
    ledger::{Audit, Ledger},
    nodes::Nodes,
    options::{Options, TTL},
    probe::Probe,
    reach::Reach,
    record::Record,
    screen::Screen,
};

/// How long the last releases of the demo itself may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);
/// How long keys may still be seen after the last release: far below the TTL, which would take them away anyway.
const KEYS_GONE_WITHIN: Duration = Duration::from_millis(500);
/// How long nodes that come back may take until they vote: they are connected, and wait for one TTL.
const VOTE_WITHIN: Duration = TTL.saturating_mul(3);
/// What the workers lock.
pub(crate) const LEDGER: &str = "ledger";
/// How often something is looked at while waiting for it.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The scene of the demo.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) nodes: Nodes,
    pub(crate) clock: Clock,
    pub(crate) record: Record,
    pub(crate) probe: Probe,
    pub(crate) crew: Crew,
    pub(crate) screen: Screen,
    pub(crate) length: Duration,
    pub(crate) reach: Reach,
    redlock: Redlock,
    ledger: Ledger,
    residue: Vec<Residue>,
}

/// What is left when everything is over.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) backend: String,
    pub(crate) history: History,
    pub(crate) audit: Audit,
    pub(crate) residue: Vec<Residue>,
    /// The lock on the ledger.
    pub(crate) resource: String,
}

impl Stage {
    /// Gets nodes, starts workers, begins to measure and to show.
    ///
    /// # Errors
    ///
    /// Something cannot be had.
    pub(crate) async fn set(options: Options) -> Result<Self> {
        let mut screen = Screen::new(options.audience);
        let clock = Clock::new()?;
        let nodes = Nodes::get(options.nodes).await?;
        let reach = nodes.reach(format!("quorlock-demo:{:016x}:", rand::random::<u64>()));
        let redlock = reach.handle()?;
        make_vote(&nodes, &redlock).await?;
        let (mut ledger, record) = (Ledger::new()?, Record::default());
        let work = Work { resource: LEDGER, ledger: &ledger.path(), reach: &reach };
        let crew = Crew::hire(options.workers, &work, clock, &record).await?;
        ledger.hide();
        let probe = Probe::start(redlock.clone(), "probe".to_owned(), clock);
        screen.say(&format!("{} nodes: {}", nodes.count(), nodes.backend()));
        screen.watch(record.clone(), nodes.conditions().clone(), crew.names());
        let (length, residue) = (options.length, Vec::new());
        #[rustfmt::skip]
        let stage = Self { nodes, clock, record, probe, crew, screen, length, reach, redlock, ledger, residue };
        Ok(stage)
    }

    /// A client of the demo's own, with a name that only it has.
    pub(crate) fn client(&self, name: &str) -> Client<Record> {
        self.client_on(name, self.redlock.clone())
    }

    /// The same with a handle of its own.
    pub(crate) fn client_on(&self, name: &str, redlock: Redlock) -> Client<Record> {
        Client::new(name, redlock, self.clock, self.record.clone())
    }

    /// The leases on the ledger so far, by their begin.
    pub(crate) fn holds(&self) -> Vec<Hold> {
        let mut holds = holds(&self.record.history());
        holds.retain(|hold| hold.resource == LEDGER);
        holds
    }

    /// Waits until that many nodes vote on new locks.
    ///
    /// # Errors
    ///
    /// They do not in time.
    pub(crate) async fn until_voting(&self, count: usize) -> Result<()> {
        until_voting(&self.redlock, count).await
    }

    /// The longest time, from then until now, in which nobody held the ledger.
    pub(crate) fn unavailable_since(&self, from: Duration) -> Duration {
        let window = Window {
            name: "now".to_owned(),
            resource: LEDGER.to_owned(),
            from,
            until: self.clock.now(),
            within: Duration::MAX,
        };
        longest_unavailability(&self.record.history(), &window)
    }

    /// Waits until somebody has had the ledger once more, and says how long that took.
    ///
    /// # Errors
    ///
    /// They do not get it in time.
    pub(crate) async fn until_acquired(&self, within: Duration) -> Result<Duration> {
        let begun = self.clock.now();
        let until = Instant::now() + within;
        while Instant::now() < until {
            if let Some(hold) = self.holds().last().filter(|hold| hold.from > begun) {
                return Ok(hold.from - begun);
            }
            sleep(LOOK_EVERY).await;
        }
        Err(format!("no worker got the lock within {within:?}").into())
    }

    /// Ends workers and measurement, gives everything back, and looks what is left on the nodes.
    ///
    /// # Errors
    ///
    /// Somebody does not end, or a node does not answer.
    pub(crate) async fn close(&mut self) -> Result<&[Residue]> {
        self.crew.dismiss().await?;
        self.probe.stop().await;
        self.redlock.close(CLOSE_WITHIN).await?;
        let until = Instant::now() + KEYS_GONE_WITHIN;
        loop {
            let keys = self.nodes.keys(&self.reach.prefix).await?;
            self.residue = keys.into_iter().map(|(node, key)| Residue { node, key }).collect();
            if self.residue.is_empty() || Instant::now() > until {
                return Ok(&self.residue);
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Heals what is not healed, ends who has not ended, and hands over what was recorded.
    ///
    /// # Errors
    ///
    /// Something does not heal or end; what the demo started is gone all the same.
    pub(crate) async fn strike(mut self) -> Result<Left> {
        self.screen.clear();
        self.nodes.heal().await?;
        self.crew.dismiss().await?;
        self.probe.stop().await;
        drop(self.redlock);
        self.nodes.forget(&self.reach.prefix).await?;
        Ok(Left {
            backend: self.nodes.backend(),
            history: self.record.history(),
            audit: self.ledger.audit()?,
            resource: LEDGER.to_owned(),
            residue: self.residue,
        })
    }
}

/// Brand-new nodes vote at once. Others, which may hold what expires, vote when all that they may have forgotten is over.
async fn make_vote(nodes: &Nodes, redlock: &Redlock) -> Result<()> {
    match redlock.bootstrap().await {
        Err(quorlock::Error::NotNew { .. }) if !nodes.are_brand_new() => {}
        made => made?,
    }
    until_voting(redlock, nodes.count()).await
}

async fn until_voting(redlock: &Redlock, count: usize) -> Result<()> {
    let until = Instant::now() + VOTE_WITHIN;
    loop {
        let standings = redlock.nodes();
        let voting = standings.iter().filter(|(_, standing)| matches!(standing, Standing::Voting));
        if voting.count() >= count {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(
                format!("no {count} nodes vote within {VOTE_WITHIN:?}: {standings:?}").into()
            );
        }
        sleep(LOOK_EVERY).await;
    }
}
