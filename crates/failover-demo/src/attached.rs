//! A node that was there before the demo: it is only ever asked, rid of what the demo has written, and frozen for a moment
//! by `CLIENT PAUSE`, which heals by itself. And that only on this machine.

use std::{net::Ipv4Addr, time::Duration};

use redis::{Client, ConnectionAddr, aio::MultiplexedConnection};

use crate::error::{Error, Result};

/// How long a node may take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// One node that is not the demo's own.
#[derive(Debug)]
pub(crate) struct Attached {
    url: String,
    client: Client,
}

impl Attached {
    /// All nodes that the URLs name, each of which has answered.
    ///
    /// # Errors
    ///
    /// A URL is none, or a node does not answer.
    pub(crate) async fn all(urls: &[String]) -> Result<Vec<Self>> {
        let mut nodes = Vec::new();
        for (number, url) in urls.iter().enumerate() {
            let client =
                Client::open(url.as_str()).map_err(|e| format!("--nodes, node {number}: {e}"))?;
            let node = Self { url: url.clone(), client };
            node.until_it_answers()
                .await
                .map_err(|e| format!("node {number} does not answer: {e}"))?;
            nodes.push(node);
        }
        Ok(nodes)
    }

    /// Its URL, with its password if it has one: not for printing.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Why it must not be frozen, if so.
    pub(crate) fn why_not_freeze(&self) -> Option<String> {
        let elsewhere = match self.client.get_connection_info().addr() {
            ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => {
                let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
                let here =
                    address.map_or(host == "localhost", |ip| ip.to_canonical().is_loopback());
                (!here).then_some(host)
            }
            _ => None,
        };
        elsewhere.map(|host| format!("{host} is another machine: only {} is", Ipv4Addr::LOCALHOST))
    }

    /// Makes it answer nobody for that long.
    ///
    /// # Errors
    ///
    /// It does not answer, or it refuses.
    pub(crate) async fn freeze(&self, how_long: Duration) -> Result<()> {
        let mut pause = redis::cmd("CLIENT");
        pause.arg("PAUSE").arg(how_long.as_millis().to_string()).arg("ALL");
        self.ask(&pause).await
    }

    /// Waits for the end of a freeze.
    ///
    /// # Errors
    ///
    /// It does not end in time.
    pub(crate) async fn until_it_answers(&self) -> Result<()> {
        self.ask::<String>(&redis::cmd("PING")).await.map(drop)
    }

    /// The value of a key.
    ///
    /// # Errors
    ///
    /// It does not answer.
    pub(crate) async fn value(&self, key: &str) -> Result<Option<String>> {
        self.ask(redis::cmd("GET").arg(key)).await
    }

    /// Deletes a key that is the demo's own, and says whether it was there.
    ///
    /// # Errors
    ///
    /// It does not answer.
    pub(crate) async fn delete(&self, key: &str) -> Result<bool> {
        self.ask(redis::cmd("DEL").arg(key)).await
    }

    /// Its keys that begin as given.
    ///
    /// # Errors
    ///
    /// It does not answer.
    pub(crate) async fn keys(&self, beginning: &str) -> Result<Vec<String>> {
        self.ask(redis::cmd("KEYS").arg(format!("{beginning}*"))).await
    }

    async fn ask<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Result<T> {
        let answer = async {
            let mut connection: MultiplexedConnection = self.connect().await?;
            Ok::<T, Error>(command.query_async(&mut connection).await?)
        };
        tokio::time::timeout(ANSWERS_WITHIN, answer)
            .await
            .map_err(|_| format!("no answer within {ANSWERS_WITHIN:?}"))?
    }

    async fn connect(&self) -> Result<MultiplexedConnection> {
        // The driver's own limit is shorter than a freeze: the one around it decides.
        let patient = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(ANSWERS_WITHIN))
            .set_response_timeout(Some(ANSWERS_WITHIN));
        Ok(self.client.get_multiplexed_async_connection_with_config(&patient).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why_not(url: &str) -> Option<String> {
        let client = Client::open(url).expect("a URL");
        Attached { url: url.to_owned(), client }.why_not_freeze()
    }

    #[test]
    fn only_nodes_on_this_machine_are_frozen() {
        for here in ["redis://127.0.0.1:7001", "redis://localhost", "redis://[::1]:7001"] {
            assert_eq!(why_not(here), None, "{here}");
        }
        for elsewhere in ["redis://192.0.2.1", "redis://redis.example"] {
            assert!(why_not(elsewhere).is_some(), "{elsewhere}");
        }
    }
}
