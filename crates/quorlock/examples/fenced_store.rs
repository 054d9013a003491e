//! The paused holder, on a real store: one process holds the lock, stalls until it is lost, and writes all the same, while
//! another has had the lock since. Once without fencing tokens, once with.
//!
//! `cargo run -p quorlock-testkit --bin nodes -- 5 cargo run -p quorlock --example fenced_store`, or with nodes of your own
//! in `QUORLOCK_NODES=redis://a,redis://b,redis://c`.

use std::error::Error;
use std::time::Duration;

use quorlock::{FencingToken, Redlock};
use rusqlite::{Connection, params};

/// Changes nothing where the row has seen a larger token: see docs/fencing.md.
const WRITE: &str = "UPDATE invoices SET state = ?1, fence = ?2 WHERE id = ?3 AND fence <= ?2";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let nodes = std::env::var("QUORLOCK_NODES").map_err(|_| "set QUORLOCK_NODES=URL,URL,...")?;
    // Short, so that the one who stalls has not to stall for long.
    let client = || Redlock::builder(nodes.split(',')).ttl(Duration::from_millis(300)).build();
    let (alice, bob) = (client()?, client()?);
    let store = Connection::open_in_memory()?;
    store.execute_batch(
        "CREATE TABLE invoices (id INTEGER PRIMARY KEY, state TEXT, fence INTEGER NOT NULL DEFAULT 0);
         INSERT INTO invoices (id, state) VALUES (42, 'open'), (43, 'open');",
    )?;

    println!("without fencing tokens:");
    let late = alice.lock("invoice:42").without_keeper().await?;
    late.lost().await;
    let guard = bob.lock("invoice:42").await?;
    store.execute("UPDATE invoices SET state = 'paid by Bob' WHERE id = 42", [])?;
    guard.release().await?;
    // Alice was paused here, and does not look again.
    store.execute("UPDATE invoices SET state = 'paid by Alice' WHERE id = 42", [])?;
    println!("  the store says: {}", state(&store, 42)?);
    drop(late);

    println!("with fencing tokens:");
    let late = alice.lock("invoice:43").without_keeper().fenced().await?;
    late.lost().await;
    let guard = bob.lock("invoice:43").fenced().await?;
    write(&store, 43, "paid by Bob", guard.fencing_token())?;
    guard.release().await?;
    let refused = write(&store, 43, "paid by Alice", late.fencing_token());
    println!("  Alice hears: {}", refused.err().ok_or("the old write was accepted")?);
    println!("  the store says: {}", state(&store, 43)?);

    for redlock in [alice, bob] {
        redlock.close(Duration::from_secs(1)).await?;
    }
    Ok(())
}

fn write(
    store: &Connection,
    id: i64,
    state: &str,
    token: FencingToken,
) -> Result<(), Box<dyn Error>> {
    // At most 2^53, so it fits.
    let fence = i64::try_from(token.get())?;
    match store.execute(WRITE, params![state, fence, id])? {
        1 => {
            println!("  {token} writes: {state}");
            Ok(())
        }
        _ => Err(format!("{token} is refused: somebody else held the lock since").into()),
    }
}

fn state(store: &Connection, id: i64) -> rusqlite::Result<String> {
    store.query_row("SELECT state FROM invoices WHERE id = ?1", [id], |row| row.get(0))
}
