//! rslock: its lock manager, told to wait between attempts for as long as the others do.

use ::rslock::{Lock, LockManager};

use super::{Client, Contender, LONGEST_PAUSE, Terms, only};
use crate::Outcome;

/// Its `acquire` begins anew after so many attempts, so the number is its own default.
const TRIES: u32 = 3;

#[derive(Clone)]
pub(crate) struct Rslock {
    manager: LockManager,
    ttl: std::time::Duration,
}

pub(crate) struct RslockClient {
    rslock: Rslock,
    held: Option<Lock>,
}

impl Contender for Rslock {
    type Client = RslockClient;

    async fn connect(terms: &Terms) -> Outcome<Self> {
        let mut manager = LockManager::new(terms.urls.clone());
        manager.set_retry(TRIES, LONGEST_PAUSE);
        Ok(Self { manager, ttl: terms.ttl })
    }

    fn client(&self) -> RslockClient {
        RslockClient { rslock: self.clone(), held: None }
    }
}

impl Client for RslockClient {
    async fn acquire(&mut self, resources: &[String]) -> Outcome {
        let Rslock { manager, ttl } = &self.rslock;
        self.held = Some(manager.acquire_no_guard(only(resources)?, *ttl).await?);
        Ok(())
    }

    async fn release(&mut self) -> Outcome {
        if let Some(lock) = self.held.take() {
            lock.release().await;
        }
        Ok(())
    }
}
