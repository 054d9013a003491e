//! A node's URL, read and normalised: where to connect, as whom, and the node's name. Connects nowhere.

use std::net::IpAddr;
use std::path::PathBuf;

use redis::{ConnectionAddr, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo};

use crate::invalid::InvalidInput;
use crate::quorum::MAX_NODES;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// A host name or address, and a port.
    Tcp {
        /// Lower case, without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// The same, behind TLS.
    Tls {
        /// Lower case, without brackets; also the name that the certificate must show.
        host: String,
        /// The port.
        port: u16,
    },
    /// A Unix socket.
    Unix {
        /// The path of the socket.
        path: PathBuf,
    },
}

/// A server, a database on it, and the credentials for it.
#[derive(Clone)]
pub(crate) struct Address {
    pub(super) server: Server,
    pub(super) login: RedisConnectionInfo,
}

impl Address {
    /// Reads a URL: `redis://` and `rediss://` (also `valkey`), `unix://`.
    fn parse(index: usize, url: &str) -> Result<Self, InvalidInput> {
        let bad = |reason: String| InvalidInput::BadUrl { index, reason };
        // Read as plain TCP: TLS is our own stream, not that of redis-rs.
        let (plain, tls) = match url.split_once("://") {
            Some(("rediss" | "valkeys", rest)) => (format!("redis://{rest}"), true),
            _ => (url.to_owned(), false),
        };
        if tls && !cfg!(feature = "tls") {
            return Err(bad("TLS needs quorlock's feature `tls`".to_owned()));
        }
        if tls && plain.contains('#') {
            return Err(bad("a fragment (`#insecure`) is not supported".to_owned()));
        }
        // Without the words of redis-rs: its error repeats a part of the URL, and that can be a password.
        let info = plain.as_str().into_connection_info().map_err(|_| {
            let expected = "expected redis://[user:password@]host[:port][/db]";
            bad(format!("it cannot be read; {expected}"))
        })?;
        let server = match info.addr().clone() {
            ConnectionAddr::Tcp(host, port) => {
                let host = normalised(&host).ok_or_else(|| bad("it names no host".to_owned()))?;
                if tls { Server::Tls { host, port } } else { Server::Tcp { host, port } }
            }
            ConnectionAddr::Unix(path) => Server::Unix { path },
            _ => return Err(bad("this kind of address is not supported".to_owned())),
        };
        if info.redis_settings().db() < 0 {
            return Err(bad("a database number is not below zero".to_owned()));
        }
        let login = info.redis_settings().clone();
        // Only in the newer one does a server tell of changes; the URL may ask for the older one.
        let login = match url.split_once('?') {
            Some((_, query)) if query.contains("protocol=") => login,
            _ => login.set_protocol(ProtocolVersion::RESP3),
        };
        Ok(Self { server, login })
    }

    pub(crate) fn db(&self) -> i64 {
        self.login.db()
    }

    /// `host:port/db`.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.server_name(), self.login.db())
    }

    /// `host:port`, the same for every database and with or without TLS.
    fn server_name(&self) -> String {
        match &self.server {
            Server::Tcp { host, port } | Server::Tls { host, port } if host.contains(':') => {
                format!("[{host}]:{port}")
            }
            Server::Tcp { host, port } | Server::Tls { host, port } => format!("{host}:{port}"),
            Server::Unix { path } => path.display().to_string(),
        }
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Address").field(&self.name()).finish()
    }
}

/// A host name ends in no dot and knows no case; an address has one spelling.
fn normalised(host: &str) -> Option<String> {
    let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    if host.is_empty() {
        return None;
    }
    Some(match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().to_string(),
        Err(_) => host.to_ascii_lowercase(),
    })
}

/// Reads all URLs, and refuses two that lead to one server.
///
/// # Errors
///
/// None, too many, one that cannot be read, two of one server.
pub(crate) fn parse_all(urls: &[String]) -> Result<Vec<Address>, InvalidInput> {
    match urls.len() {
        0 => return Err(InvalidInput::NoNodes),
        count if count > MAX_NODES => return Err(InvalidInput::TooManyNodes { count }),
        _ => {}
    }
    let mut addresses: Vec<Address> = Vec::with_capacity(urls.len());
    for (index, url) in urls.iter().enumerate() {
        let address = Address::parse(index, url)?;
        for other in &addresses {
            if other.server_name() == address.server_name() {
                return Err(match other.login.db() == address.login.db() {
                    true => InvalidInput::DuplicateNode { node: address.name() },
                    false => InvalidInput::MixedDatabases { server: address.server_name() },
                });
            }
        }
        addresses.push(address);
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(urls: &[&str]) -> Result<Vec<String>, InvalidInput> {
        let urls: Vec<String> = urls.iter().map(|url| (*url).to_owned()).collect();
        parse_all(&urls).map(|all| all.iter().map(Address::name).collect())
    }

    #[test]
    fn a_node_is_named_without_credentials() {
        let urls =
            ["redis://user:secret@Node-1.", "redis://[::1]:7000/3", "unix:///run/redis.sock"];
        assert_eq!(names(&urls).unwrap(), ["node-1:6379/0", "[::1]:7000/3", "/run/redis.sock/0"]);
        let address = Address::parse(0, urls[0]).unwrap();
        assert!(!format!("{address:?}").contains("secret"));
    }

    #[test]
    fn the_same_database_of_the_same_server_is_one_node_however_it_is_written() {
        for (a, b) in [
            ("redis://a", "redis://A:6379/0"),
            ("redis://a.", "redis://user:pw@a"),
            ("redis://[::1]", "redis://[0:0:0:0:0:0:0:1]"),
            ("redis://127.0.0.1", "redis://[::ffff:127.0.0.1]"),
            ("unix:///x", "unix:///x"),
        ] {
            let both = names(&[a, b]);
            assert!(matches!(both, Err(InvalidInput::DuplicateNode { .. })), "{a} {b}: {both:?}");
        }
    }

    #[test]
    fn two_databases_of_one_server_are_refused() {
        let both = names(&["redis://a/1", "redis://a/2"]);
        assert!(matches!(both, Err(InvalidInput::MixedDatabases { .. })), "{both:?}");
    }

    #[test]
    fn a_bad_url_is_refused_and_its_password_not_repeated() {
        for url in [
            "",
            "a",
            "http://a",
            "redis://",
            "redis://u:secret@a:port",
            "redis://:secret@a/x",
            // A comma is missing between two of them.
            "redis://a/?protocol=resp3redis://:secret@b",
        ] {
            let error = names(&[url]).unwrap_err();
            assert!(matches!(error, InvalidInput::BadUrl { index: 0, .. }), "{url}: {error:?}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn there_is_at_least_one_node_and_not_more_than_can_be_asked() {
        assert!(matches!(names(&[]), Err(InvalidInput::NoNodes)));
        let many: Vec<String> = (0..65).map(|i| format!("redis://n{i}")).collect();
        assert!(matches!(parse_all(&many), Err(InvalidInput::TooManyNodes { count: 65 })));
        assert_eq!(parse_all(&many[..64]).unwrap().len(), 64);
    }

    #[test]
    #[cfg(not(feature = "tls"))]
    fn tls_without_the_feature_says_which_feature() {
        let error = names(&["rediss://a"]).unwrap_err();
        assert!(error.to_string().contains("`tls`"), "{error}");
    }

    #[test]
    #[cfg(feature = "tls")]
    fn tls_is_another_way_to_the_same_server() {
        assert!(names(&["rediss://a", "rediss://b"]).is_ok());
        assert!(matches!(
            names(&["rediss://a", "redis://a"]),
            Err(InvalidInput::DuplicateNode { .. })
        ));
    }
}
