//! The worker processes as the demo sees them: started, listened to, ended. What they do lives in `worker.rs`.

use std::{path::Path, process::Stdio, time::Duration};

use quorlock_testkit::history::{Event, Recorder};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use crate::{clock::Clock, error::Result, reach::Reach, record::Record, worker::Assignment};

/// How long all workers may take to begin, or to end.
const WITHIN: Duration = Duration::from_secs(10);
/// How often their state is looked at while waiting for it.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// All worker processes. They end when this is dropped, and when this process ends.
#[derive(Debug, Default)]
pub(crate) struct Crew(Vec<Member>);

#[derive(Debug)]
struct Member {
    name: String,
    process: Child,
    /// As long as this is open, the worker works.
    input: ChildStdin,
    listener: JoinHandle<()>,
}

/// What all workers contend for.
#[derive(Debug)]
pub(crate) struct Work<'a> {
    /// What to lock.
    pub(crate) resource: &'a str,
    /// The file to append to while holding the lock.
    pub(crate) ledger: &'a Path,
    /// The nodes.
    pub(crate) reach: &'a Reach,
}

impl Crew {
    /// Starts that many workers and waits until each of them has asked for the lock.
    ///
    /// # Errors
    ///
    /// A process does not start, or does not begin to work.
    pub(crate) async fn hire(
        count: usize,
        work: &Work<'_>,
        clock: Clock,
        record: &Record,
    ) -> Result<Self> {
        let mut crew = Self::default();
        for number in 1..=count {
            crew.0.push(Member::hire(format!("worker-{number}"), work, clock, record).await?);
        }
        let until = Instant::now() + WITHIN;
        while record.statuses().len() < count {
            if Instant::now() > until {
                return Err(format!("the workers did not begin within {WITHIN:?}").into());
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(crew)
    }

    /// Their names.
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.iter().map(|member| member.name.clone()).collect()
    }

    /// Lets them give back what they hold and end. Nobody is left in the crew.
    ///
    /// # Errors
    ///
    /// One has failed, or did not end in time and was killed.
    pub(crate) async fn dismiss(&mut self) -> Result<()> {
        let leaving: Vec<_> =
            std::mem::take(&mut self.0).into_iter().map(Member::dismiss).collect();
        futures::future::join_all(leaving).await.into_iter().collect()
    }
}

impl Member {
    async fn hire(name: String, work: &Work<'_>, clock: Clock, record: &Record) -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg("worker")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C is for the demo: workers end when it says so.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let (mut input, output) =
            process.stdin.take().zip(process.stdout.take()).expect("both are piped");
        let assignment = Assignment {
            name: name.clone(),
            resource: work.resource.to_owned(),
            ledger: work.ledger.to_owned(),
            reach: work.reach.clone(),
        };
        input.write_all(format!("{}\n", serde_json::to_string(&assignment)?).as_bytes()).await?;
        let listener = tokio::spawn(listen(name.clone(), output, clock, record.clone()));
        Ok(Self { name, process, input, listener })
    }

    async fn dismiss(mut self) -> Result<()> {
        drop(self.input);
        let name = self.name;
        let Ok(status) = timeout(WITHIN, self.process.wait()).await else {
            self.process.kill().await?;
            return Err(format!("{name} did not end within {WITHIN:?} and was killed").into());
        };
        self.listener.await?;
        let status = status?;
        if status.success() { Ok(()) } else { Err(format!("{name} ended with {status}").into()) }
    }
}

/// Records what a worker says, and at last its end.
async fn listen(name: String, output: ChildStdout, clock: Clock, record: Record) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match Event::from_line(&line) {
            Ok(event) => record.push(event),
            Err(error) => eprintln!("failover-demo: {name} said {line:?}: {error}"),
        }
    }
    record.push(Recorder::new(name).died(clock.now()));
}
