//! Tails files into Kafka topics without losing or doubling a line.
//!
//! One line's life: discover → identify → read → frame → parse → transform → produce → delivery report → checkpoint.

mod checkpoint;
mod clock;
mod discover;
mod dry_run;
mod engine;
mod error;
mod feed;
mod frame;
mod identity;
mod in_flight;
mod ledger;
mod limit;
mod line_id;
mod metrics;
mod produce;
mod record;
mod rest;
mod run;
mod source;
mod state_dir;
mod status;
mod tracked;
mod transform;
mod wake;

pub use dry_run::{FilePreview, InputPreview, dry_run};
pub use error::AgentError;
pub use run::run;
pub use transform::{mistakes, warnings};
