//! A private network for the containers of one cluster, and their addresses in it. The containers'
//! servers do not live here; removing containers and network does.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use super::{RUN_LABEL, engine};
use crate::error::Error;
use crate::port;
use crate::reaper::{self, Run};

const NODE_PORT: u16 = 6379;
const SUBNET_TRIES: usize = 10;
const DRAWS: usize = 100;

/// Removes itself and the containers in it when it is dropped.
#[derive(Debug)]
pub(crate) struct Network {
    name: String,
    label: String,
    size: usize,
    gateway: Ipv4Addr,
    hosts: Vec<Ipv4Addr>,
}

impl Network {
    /// Makes a network for that many containers.
    pub(crate) async fn create(size: usize) -> Result<Self, Error> {
        sweep().await;
        let run = Run::current()?;
        run.uses_containers()?;
        let name = format!("quorlock-{}-{}", run.id(), run.next_serial());
        let label = format!("{RUN_LABEL}={}", run.id());
        let mut network =
            Self { name, label, size, gateway: Ipv4Addr::UNSPECIFIED, hosts: Vec::new() };
        let subnet = network.create_with_chosen_subnet().await?;
        network.gateway = subnet.gateway;
        network.hosts = subnet
            .draw_hosts(size)
            .ok_or_else(|| network.failed(format!("{subnet} is too small")))?;
        Ok(network)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn label(&self) -> String {
        self.label.clone()
    }

    pub(crate) fn container(&self, index: usize) -> String {
        format!("{}-node-{index}", self.name)
    }

    /// Where a container is to be: reached by its own address where this machine is the network's
    /// gateway (Linux), else through a port that the engine publishes.
    pub(crate) fn place(&self, index: usize) -> Result<Place, Error> {
        let address = self.hosts[index];
        if TcpListener::bind((self.gateway, 0)).is_ok() {
            return Ok(Place { address, published: None });
        }
        let published = port::free_loopback()
            .ok_or_else(|| self.failed("no loopback port is free".to_owned()))?;
        Ok(Place { address, published: Some(published) })
    }

    /// The engine gives addresses for good only in a network whose subnet was named when it was
    /// made. So it chooses one, and gets it back as a wish. Somebody else may take it in between:
    /// then once more.
    async fn create_with_chosen_subnet(&self) -> Result<Subnet, Error> {
        for _ in 1..SUBNET_TRIES {
            if let Ok(subnet) = self.try_create().await {
                return Ok(subnet);
            }
        }
        self.try_create().await
    }

    async fn try_create(&self) -> Result<Subnet, Error> {
        self.create_network(&[]).await?;
        let format = "{{range .IPAM.Config}}{{.Subnet}} {{.Gateway}}\n{{end}}";
        let chosen = engine::run(&["network", "inspect", "--format", format, &self.name]).await?;
        engine::run(&["network", "rm", &self.name]).await?;
        let subnet = chosen.lines().find_map(Subnet::parse);
        let subnet = subnet.ok_or_else(|| self.failed(format!("no IPv4 subnet in {chosen:?}")))?;
        let (range, gateway) = (subnet.to_string(), subnet.gateway.to_string());
        self.create_network(&["--subnet", &range, "--gateway", &gateway]).await?;
        Ok(subnet)
    }

    async fn create_network(&self, more: &[&str]) -> Result<(), Error> {
        let args = [&["network", "create", "--label", &self.label], more, &[&self.name]].concat();
        engine::run(&args).await.map(drop)
    }

    fn failed(&self, output: String) -> Error {
        Error::Engine { command: format!("network {}", self.name), output }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let containers: Vec<_> = (0..self.size).map(|index| self.container(index)).collect();
        let mut args = vec!["rm", "--force", "--volumes"];
        args.extend(containers.iter().map(String::as_str));
        // What the engine does not remove now is left to the reaper.
        let _ = engine::run_now(&args);
        let _ = engine::run_now(&["network", "rm", &self.name]);
    }
}

/// Removes what runs have left whose process and reaper were both killed, once.
async fn sweep() {
    static SWEPT: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();
    let sweeping = async {
        let format = format!("{{{{.Label {RUN_LABEL:?}}}}}");
        let filter = format!("label={RUN_LABEL}");
        let containers =
            engine::run(&["ps", "--all", "--filter", &filter, "--format", &format]).await;
        let networks =
            engine::run(&["network", "ls", "--filter", &filter, "--format", &format]).await;
        let mut seen: Vec<String> = [containers, networks]
            .into_iter()
            .flatten()
            .flat_map(|s| s.lines().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        seen.sort();
        seen.dedup();
        reaper::sweep_containers(seen.iter().map(String::as_str));
    };
    SWEPT.get_or_init(|| sweeping).await;
}

/// Where a container is, and how this process reaches it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    address: Ipv4Addr,
    published: Option<SocketAddr>,
}

impl Place {
    pub(crate) fn addr(self) -> SocketAddr {
        self.published.unwrap_or_else(|| (IpAddr::V4(self.address), NODE_PORT).into())
    }

    pub(crate) fn address(self) -> String {
        self.address.to_string()
    }

    /// The argument of `--publish`. A port of our choice: one of the engine's choice changes at
    /// every start.
    pub(crate) fn publish(self) -> Option<String> {
        self.published.map(|published| format!("{published}:{NODE_PORT}"))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Subnet {
    base: Ipv4Addr,
    bits: u32,
    gateway: Ipv4Addr,
}

impl Subnet {
    /// Reads `172.18.0.0/16 172.18.0.1`.
    fn parse(line: &str) -> Option<Self> {
        let (range, gateway) = line.trim().split_once(' ')?;
        let (base, bits) = range.split_once('/')?;
        let subnet = Self {
            base: base.parse().ok()?,
            bits: bits.parse().ok()?,
            gateway: gateway.parse().ok()?,
        };
        (subnet.bits <= 30).then_some(subnet)
    }

    /// Draws neighbouring addresses. The engine gives a subnet to the next network as soon as it is
    /// free again: a client that still looks for the old nodes should not meet the new ones.
    fn draw_hosts(self, count: usize) -> Option<Vec<Ipv4Addr>> {
        let count = u32::try_from(count).ok()?;
        let last_first =
            (1_u32 << (32 - self.bits)).checked_sub(1 + count).filter(|last| *last > 1)?;
        let host = |offset| Ipv4Addr::from_bits(self.base.to_bits() + offset);
        std::iter::repeat_with(|| rand::random_range(1..=last_first))
            .take(DRAWS)
            .map(|first| (first..first + count).map(host).collect::<Vec<_>>())
            .find(|hosts| !hosts.contains(&self.gateway))
    }
}

impl std::fmt::Display for Subnet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.base, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_from_the_subnet_that_the_engine_chose() {
        for (line, bits) in [("172.18.0.0/16 172.18.0.1", 16), ("10.1.2.16/28 10.1.2.20", 28)] {
            let subnet = Subnet::parse(line).expect("the engine prints it so");
            assert!(line.starts_with(&subnet.to_string()));
            for _ in 0..50 {
                let hosts = subnet.draw_hosts(5).expect("there is room for five");
                let network = |host: &Ipv4Addr| host.to_bits() >> (32 - bits);
                assert!(
                    hosts.iter().all(|host| network(host) == network(&subnet.base)),
                    "{hosts:?}"
                );
                assert!(
                    !hosts.contains(&subnet.gateway) && !hosts.contains(&subnet.base),
                    "{hosts:?}"
                );
                assert!(
                    !hosts.iter().any(|host| host.to_bits().trailing_ones() >= 32 - bits),
                    "{hosts:?}"
                );
            }
        }
    }

    #[test]
    fn a_subnet_without_room_is_noticed() {
        let subnet = Subnet::parse("10.1.2.16/30 10.1.2.17").expect("the engine prints it so");
        assert_eq!(subnet.draw_hosts(5), None);
        assert_eq!(subnet.draw_hosts(2), None);
    }

    #[test]
    fn a_subnet_of_another_kind_is_not_taken() {
        assert_eq!(Subnet::parse("fd00::/64 fd00::1"), None);
        assert_eq!(Subnet::parse("172.18.0.0/16 "), None);
    }
}
