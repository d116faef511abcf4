//! What makes the agent stop: every variant names the place and what was expected.

use std::{io, path::PathBuf};

/// A fatal error of [`crate::run`]. Anything that may pass (a broker away, a file unreadable) is waited out instead.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error("cannot use the state directory {}: {source}", path.display())]
    StateDir { path: PathBuf, source: io::Error },
    #[error("another agent is running on the state directory {}: stop it, or give this one its own `state_dir`", path.display())]
    Locked { path: PathBuf },
    #[error("cannot write the checkpoint {}: {source}", path.display())]
    Checkpoint { path: PathBuf, source: io::Error },
    #[error("input `{input}`: cannot use its spool below the state directory: {source}")]
    Spool { input: String, source: io::Error },
    #[error("input `{input}`: bad glob `{glob}`: {source}")]
    Glob { input: String, glob: String, source: globset::Error },
    #[error("input `{input}`: cannot resolve `{glob}` against the working directory: {source}")]
    WorkingDirectory { input: String, glob: String, source: io::Error },
    #[error("input `{input}`: bad regular expression: {source}")]
    Pattern { input: String, source: regex::Error },
    #[error("input `{input}`: transform: {reason}")]
    Transform { input: String, reason: String },
    #[error("cannot set up the kafka producer: {0}")]
    Producer(#[from] rdkafka::error::KafkaError),
    #[error("cannot register metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error("cannot start the reading thread: {0}")]
    Thread(io::Error),
    #[error("cannot watch for changes: {0}")]
    Watch(io::Error),
    #[error("stopped before all was read and acknowledged; the next start goes on from there")]
    Interrupted,
    #[error("input `{input}`: cannot read standard input to its end: {source}")]
    StandardInput { input: String, source: io::Error },
    #[error("the reading thread ended unexpectedly; the log above says why")]
    Panicked,
}
