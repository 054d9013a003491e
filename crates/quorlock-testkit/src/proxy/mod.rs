//! A proxy inside the test process that stands in front of any node and makes the network's faults.
//! What a fault means to a lock is not known here.
//!
//! One relay serves TCP ([`Proxy`]) and in-memory pipes ([`PipeNet`](crate::embedded::PipeNet)). Per
//! connection and direction it is a delay line. What is at its head meets the weather of that moment:
//! it passes, it waits ([`Relay::hold`]) or it is lost ([`Relay::partition`]). Two rules:
//!
//! 1. **Order is kept.** A later chunk never overtakes an earlier one, whatever the delays were.
//! 2. **A gap is for ever.** Where one chunk was lost, everything behind it in that direction of that
//!    connection is lost too, also after [`Relay::repair`]: a TCP stream cannot go on behind a gap, and a
//!    reply must never be taken for the answer to another request.

mod count;
mod flow;
pub(crate) mod listen;
mod relay;
mod tcp;
mod weather;
pub(crate) mod wire;

pub use relay::Relay;
pub use tcp::Proxy;
pub use weather::Direction;
pub(crate) use weather::Fate;
