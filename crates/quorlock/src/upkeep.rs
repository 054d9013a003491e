//! What is done to the nodes themselves, and not to a lock: connecting them, making new ones vote. What a node makes of it is
//! its script's.

use futures::future::join_all;

use crate::attempt::Core;
use crate::error::{Error, NodeError};
use crate::node::{Acted, Mode};

impl Core {
    /// Makes brand-new nodes vote, all of them or none.
    pub(crate) async fn bootstrap(&self) -> Result<(), Error> {
        self.connect_all().await?;
        let (seen, failures) = self.bootstrap_all(Mode::Look).await;
        let known = seen.iter().filter(|acted| **acted == Acted::Before).count();
        if known >= self.nodes.quorum() {
            return Ok(());
        }
        if known > 0 || !failures.is_empty() {
            return Err(Error::NotNew { failures });
        }
        let (done, failures) = self.bootstrap_all(Mode::Act).await;
        if done.len() < self.nodes.quorum() {
            return Err(Error::NotNew { failures });
        }
        Ok(())
    }

    /// Connects every node, as far as it can be.
    pub(crate) async fn connect_all(&self) -> Result<(), Error> {
        self.check_open()?;
        self.nodes.connect(self.nodes.len()).await;
        Ok(())
    }

    /// What came of it on the nodes that did it, and what the others said.
    async fn bootstrap_all(&self, mode: Mode) -> (Vec<Acted>, Vec<NodeError>) {
        let nodes = self.nodes.list.iter();
        let acts = join_all(nodes.clone().map(|node| node.bootstrap(mode))).await;
        let (mut acted, mut failures) = (Vec::new(), Vec::new());
        for (node, outcome) in nodes.zip(acts) {
            match outcome {
                Ok(done) => acted.push(done),
                Err(failure) => failures.push(NodeError::new(node.name(), failure)),
            }
        }
        (acted, failures)
    }
}
