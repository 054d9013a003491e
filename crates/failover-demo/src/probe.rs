//! A client that nobody contends with: takes a lock of its own again and again, and measures how long that takes.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use quorlock::Redlock;
use tokio::{task::JoinHandle, time::sleep};

use crate::clock::Clock;

/// The pause between two measurements.
const PAUSE: Duration = Duration::from_millis(20);

/// The running measurement. Ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Probe {
    samples: Samples,
    task: Option<JoinHandle<()>>,
}

/// When an acquire began, and how long it took.
type Samples = Arc<Mutex<Vec<(Duration, Duration)>>>;

impl Probe {
    /// Begins to measure.
    pub(crate) fn start(redlock: Redlock, resource: String, clock: Clock) -> Self {
        let samples = Samples::default();
        let task = tokio::spawn(measure(redlock, resource, clock, Arc::clone(&samples)));
        Self { samples, task: Some(task) }
    }

    /// How long the successful acquires took that began in a span of time.
    pub(crate) fn between(&self, from: Duration, until: Duration) -> Vec<Duration> {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.iter().filter(|(at, _)| (from..until).contains(at)).map(|(_, took)| *took).collect()
    }

    /// Ends it and waits until it has ended.
    pub(crate) async fn stop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            task.await.ok();
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn measure(redlock: Redlock, resource: String, clock: Clock, samples: Samples) {
    loop {
        let begun = Instant::now();
        if let Ok(Some(guard)) = redlock.try_lock(resource.as_str()).await {
            let sample = (clock.at(begun), begun.elapsed());
            samples.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
            // What became of the release is seen at the end: no key may be left.
            guard.release().await.ok();
        }
        sleep(PAUSE).await;
    }
}
