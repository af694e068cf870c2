//! TCP transport for `pbft-actors`: frames, handshake, links and the Network actor.
//!
//! ```no_run
//! use pbft_net::{Listen, Tcp, TcpConfig};
//!
//! let replicas: Vec<String> = (7000..7004).map(|port| format!("127.0.0.1:{port}")).collect();
//! let of_replica_2 = Tcp::new(TcpConfig::replica(Listen::At(replicas[2].clone()), replicas.clone()));
//! let of_a_client = Tcp::new(TcpConfig::client(replicas));
//! ```
//!
//! Both go to the builder of a replica or client as its transport, which starts them within the
//! actix system. A connection that a transport refuses, and a message that it drops, is counted under
//! a fixed word by its `Gate`; what an operator can mend is also said in the log, with the cure.
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
#[cfg(any(test, feature = "fuzz"))]
#[doc(hidden)]
pub mod fuzz;
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
