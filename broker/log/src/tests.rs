//! Tests of whole logs, on the simulated disk and on a real one.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod ahead;
mod appending;
mod compaction;
mod compaction_crash;
mod corruption;
mod crash;
mod dumping;
mod failing;
mod fixture;
mod flushing;
mod full_disk;
mod model;
mod opening;
mod reading;
mod side_by_side;
mod transactions;
mod verifying;
mod workload;
