//! Starting the servers of one cluster. Who uses them, how often and for how long does not live
//! here.

use std::sync::Arc;

use futures::future::try_join_all;

use crate::backend::{self, Backend};
use crate::container::{ContainerNode, Network};
use crate::embedded::EmbeddedNode;
use crate::entrance::Entrance;
use crate::error::Error;
use crate::node::{Kind, Node};
use crate::process::ProcessNode;

/// Starts that many servers at once and returns when each of them answers.
pub(crate) async fn start(
    backend: Backend,
    entrance: Entrance,
    size: usize,
) -> Result<Vec<Node>, Error> {
    let kinds = match backend {
        Backend::Containers => containers(size).await?,
        Backend::Processes => processes(entrance, size).await?,
        Backend::Embedded => embedded(size).await?,
    };
    Ok(kinds.into_iter().enumerate().map(|(index, kind)| Node::new(index, kind)).collect())
}

async fn containers(size: usize) -> Result<Vec<Kind>, Error> {
    let image = backend::image().await?;
    let network = Arc::new(Network::create(size).await?);
    let starts = (0..size).map(|index| ContainerNode::start(&image, network.clone(), index));
    Ok(try_join_all(starts).await?.into_iter().map(Kind::Container).collect())
}

async fn processes(entrance: Entrance, size: usize) -> Result<Vec<Kind>, Error> {
    let server = backend::server().await?;
    let starts = (0..size).map(|_| ProcessNode::start(&server, entrance));
    Ok(try_join_all(starts).await?.into_iter().map(Kind::Process).collect())
}

async fn embedded(size: usize) -> Result<Vec<Kind>, Error> {
    let mut kinds = Vec::with_capacity(size);
    for _ in 0..size {
        let node = EmbeddedNode::tcp().await.map_err(Error::io("a loopback port"))?;
        let addr = node.url().strip_prefix("redis://").and_then(|addr| addr.parse().ok());
        kinds.push(Kind::Embedded(
            node,
            addr.expect("a node on loopback has a URL of address and port"),
        ));
    }
    Ok(kinds)
}
