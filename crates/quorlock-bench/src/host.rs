//! One case with one contender: starts nodes, starts the process that is timed, breaks nodes at the right moment, looks at the
//! servers before and after, and ends all of it. What is done in that process lives in `cell.rs`.

use std::process::Stdio;
use std::time::{Duration, Instant};

use quorlock_testkit::{Cluster, Node};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{sleep, timeout};

use crate::Outcome;
use crate::cell::{DONE, FAILED, NOTED, READY, RESULT, one_line};
use crate::contender::{Name, Terms, redlock};
use crate::load::{Figures, Job, note};
use crate::options::CELL;
use crate::servers::{Looked, commandstats};
use crate::workload::{Case, Trouble};

/// Five, as everybody's Redlock.
const NODES: usize = 5;
/// Above whatever a contender that works needs, besides its window.
const LIMIT: Duration = Duration::from_secs(20);
/// Until the last answers that nobody waited for are there.
const STRAGGLERS: Duration = Duration::from_millis(50);
const CLOSE_LIMIT: Duration = Duration::from_secs(1);
/// How often a node that came back is asked whether it was asked.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// So many `SET`s are locks: one or two may come with a connection.
const ASKED: u64 = 5;

/// What came of it, with what went wrong all the same; or why nothing did.
pub(crate) type Played = Result<(Figures, Option<String>), String>;

pub(crate) async fn play(case: &Case, contender: Name) -> Played {
    let limit = LIMIT + 2 * (case.warm_up + case.window);
    match timeout(limit, played(case, contender)).await {
        Ok(Ok(played)) => Ok(played),
        Ok(Err(error)) => Err(format!("failed: {}", one_line(&error.to_string()))),
        // The child is killed with the future, and the nodes with their cluster.
        Err(_) => Err(format!("> {} s", limit.as_secs())),
    }
}

async fn played(case: &Case, contender: Name) -> Outcome<(Figures, Option<String>)> {
    let cluster = start(case).await?;
    let terms = Terms { urls: cluster.urls(), ttl: case.ttl, max_ttl: case.max_ttl };
    bootstrap(&terms).await?;
    let job = Job {
        contender,
        terms,
        load: case.load.clone(),
        warm_up: case.warm_up,
        window: case.window,
        echo: !case.round_trip.is_zero(),
    };
    let mut cell = Cell::start(&job)?;
    cell.line(READY).await?;
    let nodes = untouched(case, &cluster);
    let before = Looked::at(&nodes).await?;
    strike(case.trouble, &cluster).await?;
    cell.go_on().await?;
    let (done, comeback) = tokio::join!(cell.line(DONE), during(case, &cluster));
    done?;
    let comeback = comeback?;
    sleep(STRAGGLERS).await;
    let after = Looked::at(&nodes).await?;
    cell.go_on().await?;
    let (mut figures, noted) = cell.result().await?;
    comeback.tell(&mut figures, case.max_ttl);
    derive(&mut figures, case, contender, &before, &after);
    Ok((figures, noted))
}

async fn start(case: &Case) -> Outcome<Cluster> {
    let builder = Cluster::builder(NODES).unpooled();
    if case.round_trip.is_zero() {
        return Ok(builder.start().await?);
    }
    let cluster = builder.proxied().start().await?;
    (0..NODES).for_each(|node| cluster.proxy(node).slow(case.round_trip / 2));
    Ok(cluster)
}

/// Makes brand-new nodes vote. The handle is gone afterwards: it would look after the nodes while others are timed.
async fn bootstrap(terms: &Terms) -> Outcome {
    let redlock = redlock::handle(terms).build()?;
    redlock.bootstrap().await?;
    Ok(redlock.close(CLOSE_LIMIT).await?)
}

/// The nodes that are broken are the last ones.
fn broken(trouble: Trouble) -> usize {
    match trouble {
        Trouble::None => 0,
        Trouble::Frozen(count) | Trouble::Dead(count) => count,
        Trouble::Restarted => 1,
    }
}

fn untouched<'a>(case: &Case, cluster: &'a Cluster) -> Vec<&'a Node> {
    cluster.nodes().iter().take(NODES - broken(case.trouble)).collect()
}

async fn strike(trouble: Trouble, cluster: &Cluster) -> Outcome {
    for node in cluster.nodes().iter().skip(NODES - broken(trouble)) {
        match trouble {
            Trouble::Frozen(_) => node.pause().await?,
            Trouble::Dead(_) => node.crash().await?,
            Trouble::None | Trouble::Restarted => {}
        }
    }
    Ok(())
}

/// A node that was away: how long after the contender began it was back, and how long after that it was asked for locks.
#[derive(Clone, Copy, Debug, Default)]
struct Comeback {
    back: Option<Duration>,
    asked: Option<Duration>,
}

impl Comeback {
    fn tell(self, figures: &mut Figures, max_ttl: Duration) {
        if let Some(asked) = self.asked {
            note(figures, "asked_again_s", asked.as_secs_f64());
        }
        // Of quorlock alone: how long after it might vote. Both clocks began within a millisecond.
        if let (Some(back), Some(votes)) = (self.back, figures.get("votes_s").copied()) {
            let may_vote = (back + max_ttl).as_secs_f64();
            note(figures, "votes_late_s", votes - may_vote);
        }
    }
}

/// What happens while the contender is timed.
async fn during(case: &Case, cluster: &Cluster) -> Outcome<Comeback> {
    let begin = Instant::now();
    let mut comeback = Comeback::default();
    if case.trouble != Trouble::Restarted {
        return Ok(comeback);
    }
    let node = cluster.node(NODES - 1);
    sleep(case.window / 8).await;
    node.crash().await?;
    sleep(case.window / 8).await;
    node.restart().await?;
    let (back, left) = (Instant::now(), case.window * 5 / 8);
    comeback.back = Some(begin.elapsed());
    while back.elapsed() < left {
        let info: String = redis::from_redis_value(node.command(&["INFO", "commandstats"]).await?)?;
        if commandstats(&info).get("set").is_some_and(|sets| *sets >= ASKED) {
            comeback.asked = Some(back.elapsed());
            break;
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(comeback)
}

/// Figures that need the servers, or two others.
fn derive(figures: &mut Figures, case: &Case, contender: Name, before: &Looked, after: &Looked) {
    let cycles = figures.get("cycles").copied().unwrap_or(0.0);
    let window = case.window.as_secs_f64();
    let client = figures.get("client_cpu_s").copied().unwrap_or(0.0);
    let server = after.cpu_since(before);
    note(figures, "server_cpu_s", server);
    note(figures, "client_cpu_share", client / window);
    note(figures, "server_cpu_share", server / window);
    let keepers = matches!(case.load, crate::load::Load::Held { .. });
    let inside = keepers || contender.acquires_by_script(case.resources());
    let sent = after.sent_since(before, inside) as f64;
    note(figures, "commands_per_s", sent / window);
    if cycles > 0.0 {
        note(figures, "client_cpu_per_10k_s", client / cycles * 1e4);
        note(figures, "server_cpu_per_10k_s", server / cycles * 1e4);
        note(figures, "commands_per_cycle", sent / cycles);
    }
    if let (Some(acquire), Some(echo)) = (figures.get("acquire_p50_us"), figures.get("echo_p50_us"))
    {
        let ratio = acquire / echo;
        note(figures, "acquire_to_echo", ratio);
    }
}

/// The process that is timed. It is killed when this is dropped.
struct Cell {
    _child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Cell {
    fn start(job: &Job) -> Outcome<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([CELL, &serde_json::to_string(job)?])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let stdin = child.stdin.take().ok_or("its input is piped")?;
        let stdout = child.stdout.take().ok_or("its output is piped")?;
        Ok(Self { _child: child, stdin, lines: BufReader::new(stdout).lines() })
    }

    /// Waits until it says this.
    async fn line(&mut self, expected: &str) -> Outcome {
        match self.next().await? {
            line if line == expected => Ok(()),
            line => Err(line.strip_prefix(FAILED).unwrap_or(&line).to_owned().into()),
        }
    }

    async fn result(&mut self) -> Outcome<(Figures, Option<String>)> {
        let (mut line, mut noted) = (self.next().await?, None);
        if let Some(why) = line.strip_prefix(NOTED) {
            noted = Some(why.to_owned());
            line = self.next().await?;
        }
        match line.strip_prefix(RESULT) {
            Some(figures) => Ok((serde_json::from_str(figures)?, noted)),
            None => Err(line.strip_prefix(FAILED).unwrap_or(&line).to_owned().into()),
        }
    }

    async fn go_on(&mut self) -> Outcome {
        self.stdin.write_all(b"\n").await?;
        Ok(self.stdin.flush().await?)
    }

    async fn next(&mut self) -> Outcome<String> {
        self.lines.next_line().await?.ok_or_else(|| "its process ended".into())
    }
}
