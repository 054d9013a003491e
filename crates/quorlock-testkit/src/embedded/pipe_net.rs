//! A network of in-memory pipes: host names, embedded nodes behind them, and a wire of its own in front of each.
//! The faults of that wire are the proxy's.

use std::collections::BTreeMap;
use std::future::ready;
use std::io;
use std::sync::{Arc, Mutex};

use tokio::io::DuplexStream;

use super::node::{EmbeddedNode, PIPE};
use crate::proxy::wire::{Stream, lock};
use crate::proxy::{Direction, Relay};

/// Maps host names to embedded nodes. Clones are handles to the same network; when the last one is dropped,
/// its connections end.
///
/// A cut wire is cut for everybody who connects through this network. For a fault between one client and a
/// node, give each client a network of its own with the same nodes in it.
#[derive(Clone, Debug, Default)]
pub struct PipeNet(Arc<Mutex<BTreeMap<String, Host>>>);

#[derive(Clone, Debug)]
struct Host {
    node: EmbeddedNode,
    relay: Relay,
}

impl PipeNet {
    /// A network of these nodes, each under its name.
    pub fn new(nodes: impl IntoIterator<Item = EmbeddedNode>) -> Self {
        let net = Self::default();
        for node in nodes {
            net.add(&node.name(), node);
        }
        net
    }

    /// Puts a node under this host name, with a new wire. One that was there is forgotten.
    pub fn add(&self, host: &str, node: EmbeddedNode) {
        let relay = Relay::new();
        lock(&self.0).insert(host.to_owned(), Host { node, relay });
    }

    /// Connects to the node of this name. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// `NotFound` for an unknown name; `ConnectionRefused` where the node has crashed or its wire refuses. Behind a
    /// cut wire a crash cannot be seen: then the connection is made and stays silent.
    pub fn connect(&self, host: &str) -> io::Result<DuplexStream> {
        let Host { node, relay } = self.host(host)?;
        let weather = relay.weather();
        if weather.refuses() || (weather.is_clear() && !node.is_up()) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let server = node.connect().map(Stream::Pipe);
        let (client, near) = tokio::io::duplex(PIPE);
        relay.join(Stream::Pipe(near), ready(server));
        Ok(client)
    }

    /// The wire in front of this node, with all its faults and counters.
    ///
    /// # Panics
    /// Where no node has this name: the test is wrong.
    #[track_caller]
    pub fn relay(&self, host: &str) -> Relay {
        match self.host(host) {
            Ok(host) => host.relay,
            Err(error) => panic!("{error}"),
        }
    }

    /// Loses everything between clients and this node, both ways: see [`Relay::partition`].
    #[track_caller]
    pub fn partition(&self, host: &str) {
        self.relay(host).partition();
    }

    /// Loses what goes in this direction: see [`Relay::partition_oneway`].
    #[track_caller]
    pub fn partition_oneway(&self, host: &str, direction: Direction) {
        self.relay(host).partition_oneway(direction);
    }

    /// Ends every fault of this wire: see [`Relay::repair`].
    #[track_caller]
    pub fn repair(&self, host: &str) {
        self.relay(host).repair();
    }

    /// Keeps all bytes: see [`Relay::hold`].
    #[track_caller]
    pub fn hold(&self, host: &str) {
        self.relay(host).hold();
    }

    /// Delivers what was kept: see [`Relay::release`].
    #[track_caller]
    pub fn release(&self, host: &str) {
        self.relay(host).release();
    }

    fn host(&self, name: &str) -> io::Result<Host> {
        lock(&self.0).get(name).cloned().ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                format!("no node is called '{name}' in this network"),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncWriteExt;
    use tokio::time::sleep;

    use super::*;

    const SET: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nt\r\n";
    const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";

    #[tokio::test(start_paused = true)]
    async fn what_an_older_connection_sent_arrives_late_and_does_not_hold_up_a_newer_one() {
        let net = PipeNet::new([EmbeddedNode::pipe("n")]);
        let node = net.host("n").unwrap().node;
        let mut old = net.connect("n").unwrap();
        assert!(net.relay("n").delay_open_links());
        old.write_all(SET).await.unwrap();
        drop(old);
        let mut new = net.connect("n").unwrap();
        new.write_all(PING).await.unwrap();
        sleep(Duration::from_secs(1)).await;
        assert_eq!((node.log(), node.keys().len()), (vec!["PING".to_owned()], 0));
        net.relay("n").deliver();
        sleep(Duration::from_millis(1)).await;
        assert_eq!(node.keys(), ["a"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_is_cut_off_at_its_own_end_is_still_heard() {
        let net = PipeNet::new([EmbeddedNode::pipe("n")]);
        let node = net.host("n").unwrap().node;
        let mut client = net.connect("n").unwrap();
        net.relay("n").slow(Duration::from_millis(50));
        client.write_all(SET).await.unwrap();
        sleep(Duration::from_millis(1)).await;
        net.relay("n").hang_up();
        assert!(client.write_all(SET).await.is_err());
        assert_eq!(node.commands(), 0);
        sleep(Duration::from_millis(100)).await;
        assert_eq!((node.commands(), node.connections()), (1, 0));
        assert_eq!(net.relay("n").connections(), 0);
    }
}
