//! Connections: bounded frames in, responses in order out, straight from files where possible.

pub(crate) mod connection;
pub(crate) mod connections;
pub(crate) mod frame;
pub(crate) mod listener;
pub(crate) mod write;
