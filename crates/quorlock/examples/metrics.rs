//! Serves what happens to locks as Prometheus reads it, takes some, and prints what a scrape gets.
//!
//! `cargo run -p quorlock-testkit --bin nodes -- 5 cargo run -p quorlock --features metrics --example metrics`; on a port of
//! its own, or on that of `QUORLOCK_METRICS`, such as `127.0.0.1:9464`.

use std::error::Error;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use quorlock::{MetricsObserver, Redlock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let nodes = std::env::var("QUORLOCK_NODES").map_err(|_| "set QUORLOCK_NODES=URL,URL,...")?;
    let address = address()?;
    // Before the observer is made, which describes its metrics to whoever is installed by then.
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full("quorlock_acquire_margin".into()), &[0.0, 1.0, 2.0])?
        .with_http_listener(address)
        .install()?;
    let redlock = Redlock::builder(nodes.split(','))
        .ttl(Duration::from_secs(10))
        .observer(MetricsObserver::new())
        .build()?;

    for invoice in 0..20 {
        redlock.lock(format!("invoice:{invoice}")).await?.release().await?;
    }
    let held = redlock.lock("cron:nightly").await?;
    let denied = redlock.try_lock("cron:nightly").await?;
    assert!(denied.is_none(), "it is held");

    println!("{}", scrape(address).await?);
    held.release().await?;
    redlock.close(Duration::from_secs(1)).await?;
    Ok(())
}

/// What was asked for, else a loopback port that is free now.
fn address() -> Result<SocketAddr, Box<dyn Error>> {
    match std::env::var("QUORLOCK_METRICS") {
        Ok(address) => Ok(address.parse()?),
        // The exporter does not tell which port it got, so it is told one.
        Err(_) => Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?),
    }
}

/// What Prometheus would get now, without the lines that only describe it.
async fn scrape(address: SocketAddr) -> Result<String, Box<dyn Error>> {
    let mut stream = TcpStream::connect(address).await?;
    let request = "GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n";
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let metrics = answer.lines().filter(|line| line.starts_with("quorlock_"));
    let metrics: Vec<_> = metrics.collect();
    if metrics.is_empty() {
        return Err(format!("no metrics in: {answer}").into());
    }
    Ok(metrics.join("\n"))
}
