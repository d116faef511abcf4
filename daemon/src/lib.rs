//! What the daemons share: tracing set-up, metrics and health over HTTP, signals, graceful stop, sd_notify.
//!
//! A daemon's `main.rs` is one call of [`daemon_main`]; what it does there is its `run(config, context)`, which
//! `logmill up` calls as well.

mod cli;
pub mod clock;
pub mod context;
pub mod exit;
pub mod generate;
pub mod http;
pub mod listen;
pub mod logs;
mod notify;
pub mod pages;
pub mod probe;
mod process;
pub mod progress;
mod reload;
mod run;
mod signals;
pub mod throttle;
mod version;

pub use cli::{Daemon, Extras, daemon_main, daemon_main_with};
pub use context::{Context, Health};
pub use pages::Pages;
pub use progress::{Progress, Pulse};
pub use reload::{Reload, Reloads};
pub use run::{run_main, runtime};
pub use signals::Signals;
pub use throttle::Throttle;
pub use version::VERSION;
