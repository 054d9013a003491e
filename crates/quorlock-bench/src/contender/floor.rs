//! What nobody can be faster than: one thread, epoll, five sockets, RESP written by hand. It knows no failures, no waiting and no
//! more than one answer per line, so it can be timed on healthy nodes and on resources that nobody else wants only.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::Terms;
use super::quorum::Count;
use super::raw::RELEASE;
use crate::Outcome;
use crate::load::tally::Tally;

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// No node is silent for so long where the floor is used.
const SILENCE: Duration = Duration::from_secs(5);

/// One node: what is to be written, what was read, and who waits for which answer.
struct Wire {
    stream: TcpStream,
    out: Vec<u8>,
    read: Vec<u8>,
    /// The task and the number of its operation, in the order in which they were asked.
    asked: VecDeque<(usize, u64)>,
}

impl Wire {
    fn open(url: &str) -> Outcome<Self> {
        let address = url.strip_prefix("redis://").ok_or("the floor knows redis:// only")?;
        let stream = TcpStream::connect_timeout(&address.parse()?, CONNECT_LIMIT)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, out: Vec::new(), read: Vec::new(), asked: VecDeque::new() })
    }

    /// Asks one thing and waits for its answer, before the race.
    fn ask(&mut self, command: &[u8]) -> Outcome<Vec<u8>> {
        self.stream.write_all(command)?;
        let mut answer = [0; 256];
        let size = self.stream.read(&mut answer)?;
        Ok(answer[..size].to_vec())
    }

    /// Writes what there is, in one call as a rule. What the socket does not take stays for the next turn.
    fn flush(&mut self) -> Outcome {
        while !self.out.is_empty() {
            match self.stream.write(&self.out) {
                Ok(size) => drop(self.out.drain(..size)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads what there is and returns the operations that were answered, with whether with a yes.
    fn answers(&mut self, buffer: &mut [u8], into: &mut Vec<(usize, u64, bool)>) -> Outcome {
        match self.stream.read(buffer) {
            Ok(0) => return Err("a node has closed the connection".into()),
            Ok(size) => self.read.extend_from_slice(&buffer[..size]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let mut begin = 0;
        while let Some(end) = self.read[begin..].iter().position(|byte| *byte == b'\n') {
            let line = &self.read[begin..begin + end];
            let (task, operation) = self.asked.pop_front().ok_or("an answer that nobody asked")?;
            into.push((task, operation, line.starts_with(b"+OK") || line.starts_with(b":1")));
            begin += end + 1;
        }
        self.read.drain(..begin);
        Ok(())
    }
}

/// One of the tasks that take and give back a lock in turns.
struct Task {
    prefix: String,
    name: String,
    token: String,
    turn: u64,
    operation: u64,
    acquiring: bool,
    count: Count,
    since: Instant,
}

pub(crate) struct Floor {
    wires: Vec<Wire>,
    epoll: Epoll,
    ttl: String,
    hash: String,
    tasks: Vec<Task>,
}

impl Floor {
    pub(crate) fn connect(terms: &Terms, tasks: usize) -> Outcome<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let mut wires = Vec::new();
        let mut hash = String::new();
        for (index, url) in terms.urls.iter().enumerate() {
            let mut wire = Wire::open(url)?;
            let answer = wire.ask(&encoded(&["SCRIPT", "LOAD", RELEASE]))?;
            let text = String::from_utf8_lossy(&answer).into_owned();
            hash = text.lines().nth(1).ok_or("no hash of the script")?.to_owned();
            wire.stream.set_nonblocking(true)?;
            epoll.add(&wire.stream, EpollEvent::new(EpollFlags::EPOLLIN, index as u64))?;
            wires.push(wire);
        }
        let nodes = wires.len();
        let task = |number| Task {
            name: String::new(),
            prefix: format!("bench:{number}"),
            token: format!("{:032x}", rand::random::<u128>()),
            turn: 0,
            operation: 0,
            acquiring: false,
            count: Count::new(nodes),
            since: Instant::now(),
        };
        let ttl = terms.ttl.as_millis().to_string();
        Ok(Self { wires, epoll, ttl, hash, tasks: (0..tasks).map(task).collect() })
    }

    /// Cycles until then: every task ends with a release, and every answer is taken in.
    pub(crate) fn run(&mut self, until: Instant, tally: &mut Tally) -> Outcome {
        let (mut buffer, mut answered) = (vec![0; 1 << 16], Vec::new());
        let mut busy = self.tasks.len();
        (0..busy).for_each(|task| self.begin(task, true));
        while busy > 0 || self.wires.iter().any(|wire| !wire.asked.is_empty()) {
            self.turn(&mut buffer, &mut answered)?;
            for (task, operation, yes) in answered.drain(..) {
                if self.tasks[task].operation != operation {
                    continue;
                }
                match self.tasks[task].count.add(yes) {
                    Some(true) => busy -= usize::from(!self.decided(task, until, tally)),
                    Some(false) => return Err("the floor was refused".into()),
                    None => {}
                }
            }
        }
        Ok(())
    }

    /// Writes what is to be written, waits, and reads what is there.
    fn turn(&mut self, buffer: &mut [u8], answered: &mut Vec<(usize, u64, bool)>) -> Outcome {
        self.wires.iter_mut().try_for_each(Wire::flush)?;
        let mut events = [EpollEvent::empty(); 16];
        let ready = self.epoll.wait(&mut events, EpollTimeout::try_from(SILENCE)?)?;
        if ready == 0 {
            return Err("a node is silent".into());
        }
        for event in &events[..ready] {
            let wire = usize::try_from(event.data())?;
            self.wires[wire].answers(buffer, answered)?;
        }
        Ok(())
    }

    /// Goes on with what comes next. False when this task has ended.
    fn decided(&mut self, task: usize, until: Instant, tally: &mut Tally) -> bool {
        let now = Instant::now();
        let state = &self.tasks[task];
        let took = now - state.since;
        let acquired = state.acquiring;
        if acquired {
            tally.acquired(took)
        } else {
            tally.released(took, now <= until)
        }
        if !acquired && now >= until {
            return false;
        }
        self.begin(task, !acquired);
        true
    }

    fn begin(&mut self, task: usize, acquiring: bool) {
        let nodes = self.wires.len();
        let state = &mut self.tasks[task];
        state.operation += 1;
        state.count = Count::new(nodes);
        state.acquiring = acquiring;
        if acquiring {
            state.turn += 1;
            state.name = format!("{}:{}:0", state.prefix, state.turn);
            // A token of its own for each lock, at the price of a few digits.
            state.token.replace_range(16.., &format!("{:016x}", state.turn));
        }
        let Task { name, token, .. } = state;
        let command = match acquiring {
            true => encoded(&["SET", name, token, "NX", "PX", &self.ttl]),
            false => encoded(&["EVALSHA", &self.hash, "1", name, token]),
        };
        state.since = Instant::now();
        for wire in &mut self.wires {
            wire.out.extend_from_slice(&command);
            wire.asked.push_back((task, state.operation));
        }
    }
}

fn encoded(arguments: &[&str]) -> Vec<u8> {
    let mut command = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments {
        command.extend_from_slice(format!("${}\r\n{argument}\r\n", argument.len()).as_bytes());
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_an_array_of_its_arguments() {
        assert_eq!(encoded(&["GET", "k1"]), b"*2\r\n$3\r\nGET\r\n$2\r\nk1\r\n");
    }
}
