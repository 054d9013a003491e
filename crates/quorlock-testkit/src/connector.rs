//! Pipes instead of sockets under quorlock's driver: what a test in paused time gives to the builder.

use std::io;

use futures::future::BoxFuture;
use quorlock::seam::{Abort, Connector, Server, Wire};

use crate::embedded::PipeNet;

impl Connector for PipeNet {
    fn connect(
        &self,
        server: Server,
        _abort: Abort,
    ) -> BoxFuture<'static, io::Result<Box<dyn Wire>>> {
        let net = self.clone();
        Box::pin(async move {
            match server {
                Server::Tcp { host, .. } => {
                    Ok(Box::new(Self::connect(&net, &host)?) as Box<dyn Wire>)
                }
                other => Err(io::Error::other(format!("a pipe leads to a host, not to {other:?}"))),
            }
        })
    }
}
