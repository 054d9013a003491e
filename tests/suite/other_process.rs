//! The suite's end of `tests/client`: another process that is told and heard line by line, stopped, and killed. No test
//! lives here.

use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use quorlock_testkit::Tls;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::support::{BOUND, MAX_TTL};

/// A client in a process of its own; killed when it is dropped, also where it is stopped.
pub(crate) struct OtherProcess {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl OtherProcess {
    /// Starts it in a mode of its own: see `tests/client/main.rs`.
    pub(crate) fn start(mode: &str, urls: &[String], options: &[(&str, &str)]) -> Self {
        let Some(tls) = Tls::from_env() else { return Self::start_under(&[], mode, urls, options) };
        let (certificate, key) = tls.identity();
        let roots = tls.roots().display().to_string();
        let identity = format!("{},{}", certificate.display(), key.display());
        let more = [("--roots", &*roots), ("--identity", &*identity)];
        Self::start_under(&[], mode, urls, &[options, &more].concat())
    }

    /// The same in plain, behind the words of a program that becomes it, such as `env`.
    pub(crate) fn start_under(
        program: &[&str],
        mode: &str,
        urls: &[String],
        options: &[(&str, &str)],
    ) -> Self {
        let client = env!("CARGO_BIN_EXE_quorlock-test-client");
        let words = [program, &[client, mode]].concat();
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .args(urls)
            .args(options.iter().flat_map(|(option, value)| [option, value]))
            .args(["--max-ttl", &MAX_TTL.as_millis().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("cargo has built the client");
        let stdout = child.stdout.take().expect("it is piped");
        let lines = BufReader::new(stdout).lines();
        Self { stdin: child.stdin.take(), child, lines }
    }

    pub(crate) async fn tell(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("not ended yet");
        stdin.write_all(format!("{line}\n").as_bytes()).await.expect("it listens");
    }

    /// Its next line.
    pub(crate) async fn hear(&mut self) -> String {
        let line = timeout(BOUND, self.lines.next_line()).await.expect("it says something");
        line.expect("its output can be read").expect("it has not ended")
    }

    /// Asserts what its next line begins with.
    #[track_caller]
    pub(crate) fn expect<'a>(&'a mut self, begin: &'a str) -> impl Future<Output = String> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let line = self.hear().await;
            assert!(line.starts_with(begin), "{caller}: heard `{line}`, not `{begin}`");
            line
        }
    }

    /// SIGSTOP: it is gone from the processor, and does not know.
    pub(crate) fn stall(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// SIGCONT.
    pub(crate) fn go_on(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// SIGKILL; returns when it is gone.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("it can be killed");
    }

    /// Ends it by closing its input. Returns what it had still to say.
    pub(crate) async fn end(mut self) -> Vec<String> {
        drop(self.stdin.take());
        let mut rest = Vec::new();
        let reading = async {
            while let Ok(Some(line)) = self.lines.next_line().await {
                rest.push(line);
            }
            self.child.wait().await.expect("it can be waited for")
        };
        let status = timeout(BOUND, reading).await.expect("it ends with its input");
        assert!(status.success(), "{status}, {rest:?}");
        rest
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.id().expect("it has not ended");
        kill(Pid::from_raw(id.try_into().expect("ids are small")), signal).expect("it is ours");
    }
}
