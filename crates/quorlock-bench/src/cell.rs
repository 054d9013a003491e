//! The process in which one contender does one load, and how it talks with the one that started it. It ends when that one does.
//!
//! On its standard output: `ready`, then it waits for a line; `done`, the same; `noted` with what went wrong now and then; `result`
//! with figures as JSON, or `failed` with the reason.

use std::io::BufRead;

use tokio::io::{AsyncWriteExt, Stdout};
use tokio::sync::mpsc::{Receiver, channel};

use crate::Outcome;
use crate::contender::distributed::Distributed;
use crate::contender::raw::Raw;
use crate::contender::redlock::{Plain, WithToken};
use crate::contender::rslock::Rslock;
use crate::contender::{Contender, Name};
use crate::load::{Figures, Job, Load, contended, cycles, floor, held};

pub(crate) const READY: &str = "ready";
pub(crate) const DONE: &str = "done";
pub(crate) const NOTED: &str = "noted ";
pub(crate) const RESULT: &str = "result ";
pub(crate) const FAILED: &str = "failed ";

/// The other process: it looks at the servers and breaks nodes while we wait.
pub(crate) struct Stage {
    out: Stdout,
    told: Receiver<()>,
    note: Option<String>,
}

impl Stage {
    fn open() -> Self {
        let (tell, told) = channel(1);
        // A thread, since it has to notice the end of the other process also while a contender blocks the runtime.
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines() {
                if line.is_err() || tell.blocking_send(()).is_err() {
                    break;
                }
            }
            std::process::exit(0);
        });
        Self { out: tokio::io::stdout(), told, note: None }
    }

    /// What went wrong, though not so that there is nothing to tell.
    pub(crate) fn note(&mut self, why: Option<String>) {
        self.note = why;
    }

    /// Everything is warm. Returns when the measurement may begin.
    pub(crate) async fn ready(&mut self) -> Outcome {
        self.say(READY).await?;
        self.told().await
    }

    /// The measurement is over. Returns when the servers were looked at.
    pub(crate) async fn done(&mut self) -> Outcome {
        self.say(DONE).await?;
        self.told().await
    }

    async fn told(&mut self) -> Outcome {
        self.told.recv().await.ok_or_else(|| "nobody listens".into())
    }

    async fn say(&mut self, line: &str) -> Outcome {
        self.out.write_all(format!("{line}\n").as_bytes()).await?;
        Ok(self.out.flush().await?)
    }
}

/// Does the job and says what came of it.
pub(crate) async fn run(job: &str) -> Outcome {
    let mut stage = Stage::open();
    let job: Job = serde_json::from_str(job)?;
    let said = match act(&job, &mut stage).await {
        Ok(figures) => format!("{RESULT}{}", serde_json::to_string(&figures)?),
        Err(error) => format!("{FAILED}{}", one_line(&error.to_string())),
    };
    if let Some(why) = stage.note.take() {
        stage.say(&format!("{NOTED}{}", one_line(&why))).await?;
    }
    stage.say(&said).await?;
    // Some contenders keep tasks for ever, and a runtime that ends waits for what blocks.
    std::process::exit(0);
}

async fn act(job: &Job, stage: &mut Stage) -> Outcome<Figures> {
    match (job.contender, &job.load) {
        (_, Load::Held { locks }) => held::run(job, *locks, stage).await,
        (Name::Floor, Load::Cycles { tasks, resources: 1 }) => floor::run(job, *tasks, stage).await,
        (Name::Floor, _) => Err("the floor cannot do that".into()),
        (Name::Raw, _) => general::<Raw>(job, stage).await,
        (Name::Quorlock, _) => general::<Plain>(job, stage).await,
        (Name::QuorlockFenced, _) => general::<WithToken>(job, stage).await,
        (Name::Rslock, _) => general::<Rslock>(job, stage).await,
        (Name::DistributedLockRedis, _) => general::<Distributed>(job, stage).await,
    }
}

async fn general<C: Contender>(job: &Job, stage: &mut Stage) -> Outcome<Figures> {
    match job.load {
        Load::Cycles { tasks, resources } => cycles::run::<C>(job, tasks, resources, stage).await,
        Load::Contended { clients, hold } => contended::run::<C>(job, clients, hold, stage).await,
        Load::Held { locks } => held::run(job, locks, stage).await,
    }
}

/// As much of a message as there is room for.
pub(crate) fn one_line(text: &str) -> String {
    /// Longer ones list every node.
    const LONGEST: usize = 160;
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(LONGEST).collect()
}
