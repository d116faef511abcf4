//! Tests of whole logs, on the simulated disk and on a real one.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod appending;
mod fixture;
mod opening;
mod reading;
