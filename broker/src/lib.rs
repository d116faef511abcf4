//! The broker: speaks Kafka's protocol to any Kafka client; an acknowledgement means that the records are on disk.
//!
//! Layers, each using only those before it: clock, settings, error, metrics → metadata, security → partition → cluster
//! → coordinator → broker → api (one file per API key) → net → server.

mod api;
mod broker;
mod clock;
mod cluster;
mod coordinator;
mod error;
mod metadata;
mod metrics;
mod net;
mod partition;
mod server;
mod settings;

pub use error::Error;
pub use logmill_log::dump;
pub use server::{RunningBroker, run};
