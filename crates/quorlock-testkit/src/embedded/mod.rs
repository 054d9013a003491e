//! A node inside the test process that speaks RESP and runs the library's own Lua files. What is tested with
//! it is not known here.
//!
//! **A test double, never a lock server**: it keeps nothing, knows only the commands that a lock needs, and is
//! held to the real server by a differential test (`tests/differential.rs`).
//!
//! A node is reached over loopback TCP ([`EmbeddedNode::tcp`]) or over in-memory pipes
//! ([`EmbeddedNode::pipe`], [`PipeNet`]). Its clock is tokio's, so that pipes work under paused time.
//!
//! Whatever happens inside a node happens under one lock, one command after the other, as in the real server's
//! event loop; faults are changes of the same state. So every verb is a plain function and has taken effect
//! when it returns.

mod changes;
pub(crate) mod clock;
mod command;
mod facts;
mod faults;
mod keyspace;
mod node;
mod pipe_net;
mod reply;
mod script;
mod server;
mod session;
mod tracking;
mod transport;
mod view;

pub use clock::ClockJump;
pub use facts::{Mode, Role};
pub use node::EmbeddedNode;
pub use pipe_net::PipeNet;
pub use reply::Reply;
