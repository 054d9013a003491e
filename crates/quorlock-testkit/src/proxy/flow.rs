//! One direction of one connection: a delay line whose head meets the weather. It opens no connections.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::count::FrameCounter;
use super::weather::{Direction, Fate, Weather};
use super::wire::Wire;

/// What the line takes before it stops reading, as a kernel's buffers do.
const ROOM: usize = 1 << 20;
const CHUNK: usize = 16 << 10;

pub(crate) struct Flow {
    direction: Direction,
    source: Wire,
    sink: Wire,
    weather: watch::Receiver<Weather>,
    seen: Arc<AtomicU64>,
    counter: FrameCounter,
    line: Line,
}

impl Flow {
    pub(crate) fn new(
        direction: Direction,
        (source, sink): (Wire, Wire),
        weather: watch::Receiver<Weather>,
        seen: Arc<AtomicU64>,
    ) -> Self {
        let (counter, line) = Default::default();
        Self { direction, source, sink, weather, seen, counter, line }
    }

    /// Carries bytes until the source has ended and the sink was told so. `on_source_end` is called as soon
    /// as the source has ended, however long its last bytes still wait.
    pub(crate) async fn run(mut self, on_source_end: impl Fn()) {
        let mut buf = vec![0; CHUNK];
        loop {
            let weather = *self.weather.borrow_and_update();
            let fate = weather.fate(self.direction);
            tokio::select! {
                biased;
                changed = self.weather.changed() => if changed.is_err() { return },
                ended = self.line.step(fate, &self.sink) => if ended { return },
                read = self.source.read(&mut buf), if self.line.has_room() => {
                    // A reset ends the stream just as well; what came before it is still delivered.
                    let n = read.unwrap_or(0);
                    if n == 0 {
                        on_source_end();
                    }
                    self.seen.fetch_add(self.counter.feed(&buf[..n]), Ordering::Relaxed);
                    self.line.push(&buf[..n], weather.delay);
                }
            }
        }
    }
}

enum Item {
    Bytes(Vec<u8>),
    End,
}

/// Only the head is ever delivered, so nothing overtakes, whatever is due (rule 1).
#[derive(Default)]
struct Line {
    items: VecDeque<(Instant, Item)>,
    bytes: usize,
    /// Bytes were lost: nothing behind them can be delivered (rule 2).
    gap: bool,
    ended: bool,
}

impl Line {
    fn has_room(&self) -> bool {
        !self.ended && self.bytes < ROOM
    }

    /// No bytes means the end of the stream.
    fn push(&mut self, bytes: &[u8], delay: Duration) {
        let due = Instant::now() + delay;
        self.bytes += bytes.len();
        self.ended = bytes.is_empty();
        let item = if self.ended { Item::End } else { Item::Bytes(bytes.to_vec()) };
        self.items.push_back((due, item));
    }

    /// Does the next thing that can be done with the head; says whether the stream has ended.
    /// May be dropped at its await points: nothing is lost and nothing is sent twice.
    async fn step(&mut self, fate: Fate, sink: &Wire) -> bool {
        if fate == Fate::Hold {
            return std::future::pending().await;
        }
        let Some((due, item)) = self.items.front_mut() else { return std::future::pending().await };
        sleep_until(*due).await;
        let gone = match item {
            // A close is lost with the rest, but nobody waits for it behind a gap: it is told on repair.
            Item::End if fate == Fate::Lose => return std::future::pending().await,
            Item::End => {
                sink.end_writing().await;
                return true;
            }
            Item::Bytes(bytes) if self.gap || fate == Fate::Lose => {
                self.gap = true;
                bytes.len()
            }
            Item::Bytes(bytes) => match sink.write(bytes).await {
                Ok(written) => written,
                Err(_) => {
                    self.gap = true;
                    bytes.len()
                }
            },
        };
        self.advance(gone);
        false
    }

    fn advance(&mut self, gone: usize) {
        self.bytes -= gone;
        if let Some((_, Item::Bytes(bytes))) = self.items.front_mut() {
            bytes.drain(..gone);
            if bytes.is_empty() {
                self.items.pop_front();
            }
        }
    }
}
