//! Tests across modules: a server that misbehaves per item, and the conformance suite every
//! connector passes as part of a whole sink on librdkafka's mock cluster.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod conformance;
mod order;
mod routing;
mod server;
mod status;
mod tls;
mod transforming;
mod whole;

pub(crate) use conformance::{elastic, settings};
pub(crate) use server::{Server, Trick};
