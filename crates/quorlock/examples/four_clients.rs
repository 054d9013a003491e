//! Four clients want the same lock at the same moment, again and again, and give up after a while: each time one has it, and
//! three hear that it is held.
//!
//! `cargo run -p quorlock-testkit --bin nodes -- 5 cargo run -p quorlock --example four_clients`

use std::error::Error;
use std::time::Duration;

use futures::future::join_all;
use quorlock::{Error as LockError, Redlock};
use tokio::time::sleep;

/// How long each client tries; long enough for one of four that ask at the same moment.
const PATIENCE: Duration = Duration::from_millis(500);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let nodes = std::env::var("QUORLOCK_NODES").map_err(|_| "set QUORLOCK_NODES=URL,URL,...")?;
    // Each with connections of its own, as if it were a process of its own.
    let client = |_| Redlock::builder(nodes.split(',')).ttl(Duration::from_secs(10)).build();
    let clients: Vec<Redlock> = (0..4).map(client).collect::<Result<_, _>>()?;

    for round in 1..=4 {
        let asked = clients.iter().map(|client| client.lock("test").wait_for(PATIENCE));
        let answers = join_all(asked.map(IntoFuture::into_future)).await;

        // The winner's guard is among them, so it has the lock until the others have given up.
        let mut winners = 0;
        for (number, answer) in answers.iter().enumerate() {
            match answer {
                Ok(guard) => {
                    winners += 1;
                    println!("round {round}: client {number} has it for {:?}", guard.valid_for());
                }
                Err(LockError::Held { waited, .. }) => {
                    println!("round {round}: client {number} gave up after {waited:?}");
                }
                // Too few nodes, for one: not the same as a no.
                Err(error) => return Err(error.clone().into()),
            }
        }
        assert_eq!(winners, 1, "one has it, and not two at a time");
        // Gives it back.
        drop(answers);
        sleep(Duration::from_millis(100)).await;
    }
    for client in clients {
        client.close(Duration::from_secs(1)).await?;
    }
    Ok(())
}
