//! Tests across modules: a server that misbehaves per item, the conformance suite of connectors, and whole sinks against
//! librdkafka's mock cluster.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod conformance;
mod server;
mod whole;
