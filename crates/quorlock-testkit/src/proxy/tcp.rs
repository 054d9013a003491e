//! The proxy over TCP: a listener in front of one address. The fault verbs are the relay's.

use std::io;
use std::net::SocketAddr;
use std::ops::Deref;

use tokio::net::TcpStream;

use super::listen::{Listening, Port};
use super::relay::Relay;
use super::wire::Stream;

/// A TCP proxy on a loopback port of its own, in front of one node. It *is* a [`Relay`] that listens: all its
/// verbs and counters are there. Everything ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    relay: Relay,
    port: Port,
    _listening: Listening,
}

impl Proxy {
    /// Starts a proxy in front of this address.
    ///
    /// # Errors
    /// Where no loopback port can be had.
    pub async fn start(upstream: SocketAddr) -> io::Result<Self> {
        let relay = Relay::new();
        let weak = relay.downgrade();
        let (port, listening) = Port::open(move |client| {
            if let Some(relay) = weak.upgrade() {
                let connect = async move { TcpStream::connect(upstream).await.map(Stream::Tcp) };
                relay.join(Stream::Tcp(client), connect);
            }
        })?;
        Ok(Self { relay, port, _listening: listening })
    }

    /// Where the proxy listens.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// The same as a Redis URL.
    pub fn url(&self) -> String {
        format!("redis://{}", self.addr())
    }
}

impl Deref for Proxy {
    type Target = Relay;

    fn deref(&self) -> &Relay {
        &self.relay
    }
}
