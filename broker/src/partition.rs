//! Partitions: a log with its high watermark, its waiters and what clients may do to it.

pub(crate) mod collector;
pub(crate) mod data_dirs;
pub(crate) mod error;
pub(crate) mod fetch_sessions;
pub(crate) mod incoming;
pub(crate) mod partitions;
pub(crate) mod replica;
pub(crate) mod waiters;
