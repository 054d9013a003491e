//! quorlock, as its users have it: with its keeper and its own waiting. Plain and fenced.

use quorlock::{Fenced, Guard, Redlock, Retry, Standing};

use super::{Client, Contender, LONGEST_PAUSE, SHORTEST_PAUSE, Terms};
use crate::Outcome;

/// A handle on nodes that everybody else here joins with, too.
pub(crate) fn handle(terms: &Terms) -> quorlock::Builder {
    Redlock::builder(terms.urls.clone())
        .ttl(terms.ttl)
        .max_ttl(terms.max_ttl)
        // As the others wait, or the pauses would be compared.
        .retry(Retry::between(SHORTEST_PAUSE, LONGEST_PAUSE))
}

fn voting(redlock: &Redlock) -> usize {
    redlock.nodes().iter().filter(|(_, standing)| matches!(standing, Standing::Voting)).count()
}

#[derive(Clone)]
pub(crate) struct Plain(Redlock);

pub(crate) struct PlainClient {
    redlock: Redlock,
    held: Option<Guard>,
}

impl Contender for Plain {
    type Client = PlainClient;

    async fn connect(terms: &Terms) -> Outcome<Self> {
        Ok(Self(handle(terms).build()?))
    }

    fn client(&self) -> PlainClient {
        PlainClient { redlock: self.0.clone(), held: None }
    }

    fn voting(&self) -> Option<usize> {
        Some(voting(&self.0))
    }
}

impl Client for PlainClient {
    async fn acquire(&mut self, resources: &[String]) -> Outcome {
        self.held = Some(self.redlock.lock(resources).await?);
        Ok(())
    }

    async fn release(&mut self) -> Outcome {
        if let Some(guard) = self.held.take() {
            guard.release().await?;
        }
        Ok(())
    }
}

#[derive(Clone)]
pub(crate) struct WithToken(Redlock);

pub(crate) struct FencedClient {
    redlock: Redlock,
    held: Option<Fenced<Guard>>,
}

impl Contender for WithToken {
    type Client = FencedClient;

    async fn connect(terms: &Terms) -> Outcome<Self> {
        Ok(Self(handle(terms).build()?))
    }

    fn client(&self) -> FencedClient {
        FencedClient { redlock: self.0.clone(), held: None }
    }

    fn voting(&self) -> Option<usize> {
        Some(voting(&self.0))
    }
}

impl Client for FencedClient {
    async fn acquire(&mut self, resources: &[String]) -> Outcome {
        self.held = Some(self.redlock.lock(resources).fenced().await?);
        Ok(())
    }

    async fn release(&mut self) -> Outcome {
        if let Some(guard) = self.held.take() {
            guard.release().await?;
        }
        Ok(())
    }
}
