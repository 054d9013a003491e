//! One simulation from its plan to its findings: starts nodes, clients and faults, waits, heals, and looks at what is left.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::future::{join_all, select};
use quorlock::Redlock;
use tokio::runtime;
use tokio::time::{sleep, timeout};

use super::backing::Backing;
use super::census::{Census, Counting};
use super::fault::Kind;
use super::fencing::{Day, can_forget};
use super::field::Field;
use super::finding::Finding;
use super::nemesis::Nemesis;
use super::plan::{Assumptions, Depth, Plan};
use super::record::{Hears, Note, Record};
use super::seam::Seam;
use super::tasks::{Phase, Process};
use super::wire::WireField;
use super::worker::Worker;
use crate::checker::{Checker, Residue, Violation};
use crate::history::History;

/// Of virtual time. Nothing takes as long, unless it does not end.
const HUNG_AFTER: Duration = Duration::from_secs(24 * 3600);
/// What may still be on its way after everything was healed: a patience, a pause before the next connection, an owed
/// release that a node refused, and delays; longest of all a release that is sent once more when the TTL is over, because
/// an old connection could not be killed.
const SETTLED_WITHIN: Duration = Duration::from_secs(20);
/// For a lock that nobody holds, on nodes that are well: a round that meets the release before it, and a delay.
const AT_ONCE: Duration = Duration::from_secs(3);
/// For a node to be joined again when its quarantine is over: by the clocks of a node and of a client, and a delay.
const JOINED_WITHIN: Duration = Duration::from_millis(100);

/// What came of a simulation.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What the workers did.
    pub history: History,
    /// What is wrong: nothing, if the promises were kept.
    pub findings: Vec<Finding>,
    /// Broken exclusion where the assumptions were broken first: nobody's fault.
    pub beyond: usize,
    /// How often what happened.
    pub census: Census,
    /// Faults, and what clients heard.
    pub notes: Vec<Note>,
}

/// Runs a simulation.
#[must_use]
pub fn run(plan: &Plan) -> Outcome {
    let runtime = runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime without I/O needs nothing that could be missing");
    let plan = Arc::new(plan.clone());
    runtime.block_on(async {
        let stage = Stage::set(&plan);
        let hung = timeout(HUNG_AFTER, stage.play()).await.is_err();
        stage.judge(hung)
    })
}

struct Stage {
    plan: Arc<Plan>,
    counting: Counting,
    record: Record,
    field: Arc<dyn Field>,
    processes: Vec<Process>,
    nemesis: Nemesis,
}

impl Stage {
    fn set(plan: &Arc<Plan>) -> Self {
        let (counting, record) = (Counting::default(), Record::begin());
        let field: Arc<dyn Field> = match plan.depth {
            Depth::Node => Arc::new(Seam::start(plan, &counting)),
            Depth::Wire => Arc::new(WireField::start(plan, &counting)),
        };
        if plan.assumptions == Assumptions::Kept {
            record.watch(Backing::new(&field, plan.nodes));
        }
        let processes: Vec<Process> = Day::draw(plan).into_iter().map(Process::new).collect();
        let nemesis = Nemesis {
            plan: Arc::clone(plan),
            field: Arc::clone(&field),
            processes: processes.clone(),
            record: record.clone(),
            counting: counting.clone(),
            marks: Arc::default(),
        };
        Self { plan: Arc::clone(plan), counting, record, field, processes, nemesis }
    }

    async fn play(&self) {
        let handles: Vec<Redlock> = (0..self.plan.clients).map(|c| self.handle(c)).collect();
        let nemesis = tokio::spawn(self.nemesis.clone().run());
        let clients = handles.iter().enumerate().map(|(client, handle)| self.work(client, handle));
        join_all(clients).await;
        nemesis.abort();
        if let Err(error) = nemesis.await
            && error.is_panic()
        {
            self.record.found(Finding::Panic { message: "the nemesis".to_owned() });
        }
        self.nemesis.heal();
        sleep(SETTLED_WITHIN).await;
        self.look_for_residue(&handles);
        self.look_for_touched();
        self.nemesis.run_clocks();
        self.lock_everything(&handles).await;
        self.close(handles).await;
    }

    fn handle(&self, client: usize) -> Redlock {
        let process = &self.processes[client];
        let builder = self.field.builder(client, process);
        let max_ttl = self.plan.max_ttl();
        let builder = builder
            .ttl(max_ttl)
            .max_ttl(max_ttl)
            .spawner(Arc::new(process.clone()))
            .clock(Arc::new(process.clone()))
            .observer(Hears {
                client,
                record: self.record.clone(),
                counting: self.counting.clone(),
            })
            .seed(self.plan.dice(&format!("c{client}")).number());
        builder.build().expect("the settings are the defaults, but for the longest TTL")
    }

    /// Until all workers of a client have done their work, or it is dead.
    async fn work(&self, client: usize, handle: &Redlock) {
        let process = &self.processes[client];
        let connects_since = Arc::new(OnceLock::new());
        let workers = (0..self.plan.workers).map(|number| {
            let worker = Worker {
                connects_since: Arc::clone(&connects_since),
                plan: Arc::clone(&self.plan),
                client,
                name: worker_name(client, number),
                redlock: handle.clone(),
                process: process.clone(),
                record: self.record.clone(),
                counting: self.counting.clone(),
            };
            tokio::spawn(process.gated(worker.run()))
        });
        let workers = join_all(workers);
        let died = Box::pin(process.died());
        drop(select(workers, died).await);
    }

    fn living(&self) -> impl Iterator<Item = usize> {
        (0..self.plan.clients).filter(|client| self.processes[*client].phase() != Phase::Dead)
    }

    /// Keys that should not be there: of a client that lives, and brought back by no duplicate and no crash.
    fn residue(&self, handles: &[Redlock]) -> Vec<Residue> {
        let owners: Vec<String> = self.living().map(|client| handles[client].id()).collect();
        let mut found = Vec::new();
        for node in 0..self.plan.nodes {
            for key in self.field.keys(node) {
                let lives = owners.iter().any(|owner| key.token.starts_with(owner));
                if lives && !self.field.is_excused(node, &key) {
                    found.push(Residue { node: format!("n{node}"), key: key.key });
                }
            }
        }
        found
    }

    fn look_for_residue(&self, handles: &[Redlock]) {
        for residue in self.residue(handles) {
            self.record.found(Finding::History(Violation::Residue(residue)));
        }
    }

    fn look_for_touched(&self) {
        for node in 0..self.plan.nodes {
            for key in self.field.touched_others(node) {
                self.record.found(Finding::Touched { node, key });
            }
            (0..self.field.together(node)).for_each(|_| self.counting.ended("released together"));
        }
    }

    /// Every client that lives gets every resource, when those of the dead have expired and all nodes vote.
    async fn lock_everything(&self, handles: &[Redlock]) {
        // Where nobody is told of what a node has forgotten, it is noticed by whoever asks.
        for client in self.living() {
            drop(handles[client].try_lock("noticed").await);
        }
        let left = (0..self.plan.nodes).flat_map(|node| self.field.keys(node));
        let longest = left.map(|key| key.left).max().unwrap_or_default();
        // And by whoever waits for the end of a quarantine only then: so it lasts for up to twice as long.
        sleep(longest.max(self.plan.max_ttl() * 2) + JOINED_WITHIN).await;
        for client in self.living() {
            for resource in 0..self.plan.resources {
                let request = handles[client].lock(format!("r{resource}"));
                match request.wait_for(AT_ONCE).await {
                    Ok(guard) => drop(guard),
                    Err(error) => {
                        self.record
                            .found(Finding::Unavailable { client, error: error.to_string() });
                    }
                }
            }
        }
    }

    async fn close(&self, handles: Vec<Redlock>) {
        for client in self.living() {
            if let Err(error) = handles[client].close(SETTLED_WITHIN).await {
                self.record.found(Finding::Undrained { client, error: error.to_string() });
            }
        }
        self.look_for_residue(&handles);
        drop(handles);
        sleep(Duration::from_secs(3)).await;
        for client in self.living() {
            let tasks = self.processes[client].live();
            if tasks > 0 {
                self.record.found(Finding::TasksLeft { client, tasks });
            }
        }
    }

    fn judge(&self, hung: bool) -> Outcome {
        let (history, mut findings, notes) = self.record.take();
        let panics = self.processes.iter().flat_map(Process::panics);
        findings.extend(panics.map(|message| Finding::Panic { message }));
        if hung {
            findings.push(Finding::Hung);
        }
        let mut census = self.counting.census();
        findings.extend(Checker::new().check(&history).into_iter().map(Finding::History));
        if can_forget(&self.plan) {
            findings.retain(|finding| !finding.is_order_of_one_time());
        }
        let mut beyond = 0;
        if self.plan.assumptions == Assumptions::Broken {
            let all = findings.len();
            let broken_at = self.nemesis.broken_at();
            let before = |finding: &Finding| match (broken_at, finding.at()) {
                (Some(broken), Some(at)) => at < broken,
                (broken, _) => broken.is_none(),
            };
            findings.retain(|finding| !finding.is_exclusion() || before(finding));
            beyond = all - findings.len();
        }
        census.faults.retain(|kind: &Kind, _| self.plan.faults.contains(*kind));
        Outcome { history, findings, beyond, census, notes }
    }
}

pub(super) fn worker_name(client: usize, number: usize) -> String {
    format!("c{client}.w{number}")
}
