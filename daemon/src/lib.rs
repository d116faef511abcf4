//! What the daemons share: tracing set-up, metrics and health over HTTP, signals, graceful stop, sd_notify.

pub mod context;
