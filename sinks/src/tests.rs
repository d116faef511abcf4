//! Tests across modules: a server that misbehaves per item, and the conformance suite every
//! connector passes as part of a whole sink on librdkafka's mock cluster.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod conformance;
mod server;
mod whole;

pub(crate) use conformance::settings;
pub(crate) use server::{Server, Trick};
