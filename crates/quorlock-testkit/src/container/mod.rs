//! A node that is a container. Choosing this back end and the node's state do not live here.

mod engine;
mod image;
mod network;

pub(crate) use image::find as find_image;
pub(crate) use network::Network;

use std::net::SocketAddr;
use std::sync::Arc;

use crate::error::Error;
use crate::observer;

/// Every label of ours begins with this.
const RUN_LABEL: &str = "quorlock-testkit.run";

#[derive(Debug)]
pub(crate) struct ContainerNode {
    name: String,
    place: network::Place,
    network: Arc<Network>,
}

impl ContainerNode {
    /// Starts a container at its place in the network and waits until its server answers.
    pub(crate) async fn start(
        image: &str,
        network: Arc<Network>,
        index: usize,
    ) -> Result<Self, Error> {
        let node = Self { name: network.container(index), place: network.place(index)?, network };
        node.create(image).await?;
        node.until_ready().await?;
        Ok(node)
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.place.addr()
    }

    pub(crate) fn place(&self) -> String {
        format!("{}, container {}", self.addr(), self.name)
    }

    pub(crate) async fn pause(&self) -> Result<(), Error> {
        self.order("pause").await
    }

    pub(crate) async fn resume(&self) -> Result<(), Error> {
        self.order("unpause").await
    }

    pub(crate) async fn crash(&self) -> Result<(), Error> {
        self.order("kill").await
    }

    /// Starts it where it was. Whether it answers is for the caller to see: it may be cut off.
    pub(crate) async fn start_again(&self) -> Result<(), Error> {
        self.order("start").await
    }

    /// Takes the container out of the network: its packets are lost in both directions.
    pub(crate) async fn disconnect(&self) -> Result<(), Error> {
        engine::run(&["network", "disconnect", self.network.name(), &self.name]).await.map(drop)
    }

    /// Puts the container back into the network, under the address that it had.
    pub(crate) async fn connect(&self) -> Result<(), Error> {
        let address = self.place.address();
        engine::run(&["network", "connect", "--ip", &address, self.network.name(), &self.name])
            .await
            .map(drop)
    }

    pub(crate) fn log(&self) -> String {
        engine::run_now(&["logs", &self.name]).unwrap_or_else(|error| format!("no log: {error}"))
    }

    async fn create(&self, image: &str) -> Result<(), Error> {
        let mut args = vec!["run", "--detach", "--pull", "never", "--name", &self.name];
        let (label, address) = (self.network.label(), self.place.address());
        args.extend(["--label", &label, "--network", self.network.name(), "--ip", &address]);
        let publish = self.place.publish();
        args.extend(publish.iter().flat_map(|publish| ["--publish", publish]));
        args.extend([
            image,
            "redis-server",
            "--protected-mode",
            "no",
            "--save",
            "",
            "--appendonly",
            "no",
        ]);
        engine::run(&args).await.map(drop)
    }

    async fn order(&self, verb: &str) -> Result<(), Error> {
        engine::run(&[verb, &self.name]).await.map(drop)
    }

    async fn until_ready(&self) -> Result<(), Error> {
        observer::until_answers(&self.addr().into()).await.map_err(|error| Error::NotReady {
            node: self.place(),
            problem: error.to_string(),
            log: self.log(),
        })
    }
}
