//! distributed-lock-redis: its provider. It asks once and leaves waiting to its caller.

use std::sync::Arc;

use distributed_lock_core::traits::{DistributedLock, LockHandle, LockProvider};
use distributed_lock_redis::{RedisLockHandle, RedisLockProvider};

use super::{Client, Contender, Terms, only, pause};
use crate::Outcome;

#[derive(Clone)]
pub(crate) struct Distributed(Arc<RedisLockProvider>);

pub(crate) struct DistributedClient {
    provider: Arc<RedisLockProvider>,
    held: Option<RedisLockHandle>,
}

impl Contender for Distributed {
    type Client = DistributedClient;

    async fn connect(terms: &Terms) -> Outcome<Self> {
        let builder = RedisLockProvider::builder()
            .urls(&terms.urls)
            .expiry(terms.ttl)
            // The shares of its own defaults.
            .extension_cadence(terms.ttl / 3)
            .min_validity(terms.ttl * 9 / 10);
        Ok(Self(Arc::new(builder.build().await?)))
    }

    fn client(&self) -> DistributedClient {
        DistributedClient { provider: Arc::clone(&self.0), held: None }
    }
}

impl Client for DistributedClient {
    async fn acquire(&mut self, resources: &[String]) -> Outcome {
        let name = only(resources)?;
        loop {
            if let Some(handle) = self.provider.create_lock(name).try_acquire().await? {
                self.held = Some(handle);
                return Ok(());
            }
            pause().await;
        }
    }

    async fn release(&mut self) -> Outcome {
        if let Some(handle) = self.held.take() {
            handle.release().await?;
        }
        Ok(())
    }
}
