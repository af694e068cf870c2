//! TCP transport for `pbft-actors`: frames, handshake, links and the Network actor.
//!
//! | module | is |
//! |---|---|
//! | `tcp` | [`Tcp`], what an embedder gives to a replica or client |
//! | `network` | the [`Network`] actor: owns listener, dialers and the table of links |
//! | `listener`, `dialer` | how connections come about; `admission`, `backoff` keep them few |
//! | `handshake` | drives the handshake of `pbft_actors::message` over a socket |
//! | `link`, `links`, `queue` | an authenticated connection, the table of them, what waits to be written |
//! | `codec`, `socket`, `ephemeral` | length-prefixed frames, socket options, X25519 |
//! | `limits` | every limit by its name |

mod admission;
mod backoff;
mod codec;
mod dialer;
mod ephemeral;
mod handshake;
mod limits;
mod link;
mod links;
mod listener;
mod network;
mod queue;
mod shared;
mod socket;
mod tcp;

pub use limits::TcpLimits;
pub use network::Network;
pub use tcp::{Listen, Tcp, TcpConfig};
