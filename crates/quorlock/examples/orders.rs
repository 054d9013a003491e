//! A web service on two machines, with a lock for each order: however often and wherever a customer presses the button, one
//! request charges the order, and the others wait for it and see that it is paid.
//!
//! `cargo run -p quorlock-testkit --bin nodes -- 5 cargo run -p quorlock --example orders`

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::{Router, http::StatusCode, routing::post};
use futures::future::try_join_all;
use quorlock::{Error as LockError, Redlock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// One machine; the number stands for a database that both use: how often the order was charged.
type Machine = (Redlock, Arc<AtomicU32>);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let nodes = std::env::var("QUORLOCK_NODES").map_err(|_| "set QUORLOCK_NODES=URL,URL,...")?;
    let charges = Arc::new(AtomicU32::new(0));
    let (mut servers, mut machines) = (JoinSet::new(), Vec::new());
    for _ in 0..2 {
        let redlock = Redlock::builder(nodes.split(',')).ttl(Duration::from_secs(10)).build()?;
        let machine: Machine = (redlock.clone(), Arc::clone(&charges));
        let service = Router::new().route("/orders/{id}/pay", post(pay)).with_state(machine);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        machines.push((listener.local_addr()?, redlock));
        servers.spawn(axum::serve(listener, service).into_future());
    }
    let pressed = machines.iter().cycle().take(6).map(|(address, _)| press(*address));
    for answer in try_join_all(pressed).await? {
        println!("{}", answer.lines().last().unwrap_or_default());
        assert!(answer.starts_with("HTTP/1.1 200"), "it is charged or paid: {answer}");
    }
    assert_eq!(charges.load(Relaxed), 1, "it is charged once");
    for (_, redlock) in machines {
        redlock.close(Duration::from_secs(1)).await?;
    }
    Ok(())
}

/// Where the customer hangs up, this is dropped, and the lock is given back.
async fn pay(
    State((redlock, charges)): State<Machine>,
    Path(order): Path<u32>,
) -> Result<&'static str, (StatusCode, String)> {
    let request = redlock.lock(format!("order:{order}")).wait_for(Duration::from_secs(5));
    let guard = request.await.map_err(refuse)?;
    let said = guard.run(async {
        if charges.load(Relaxed) > 0 {
            return "it is paid";
        }
        // The bank takes its time.
        tokio::time::sleep(Duration::from_millis(100)).await;
        charges.fetch_add(1, Relaxed);
        "charged"
    });
    // The customer need not wait until the nodes have confirmed the release: the guard is dropped.
    said.await.map_err(refuse)
}

/// That another request is at it is no failure of ours.
fn refuse(error: LockError) -> (StatusCode, String) {
    let is_held = matches!(error, LockError::Held { .. });
    let status = if is_held { StatusCode::CONFLICT } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, error.to_string())
}

async fn press(machine: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(machine).await?;
    let head = "Host: localhost\r\nContent-Length: 0\r\nConnection: close";
    stream.write_all(format!("POST /orders/42/pay HTTP/1.1\r\n{head}\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
