//! Finding a loopback port for a server. Who listens on it does not live here.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// Below what systems give to outgoing connections. A port from among those could be taken while
/// its node is down, even by a client that tries to reach the node: a connection to a dead port of
/// that range may meet itself.
const CANDIDATES: std::ops::Range<u16> = 15_000..30_000;
const TRIES: usize = 1_000;

/// A loopback address that nobody listens on now. Somebody else may find it too: try another one if
/// it is taken.
pub(crate) fn free_loopback() -> Option<SocketAddr> {
    std::iter::repeat_with(|| {
        SocketAddr::from((Ipv4Addr::LOCALHOST, rand::random_range(CANDIDATES)))
    })
    .take(TRIES)
    .find(|addr| TcpListener::bind(addr).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_can_be_listened_on() {
        let addr = free_loopback().expect("one of many ports is free");
        TcpListener::bind(addr).expect("it was free a moment ago");
    }
}
