//! The broker as clients see it: started on a free port, spoken to with the raw protocol.
#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub)]

mod alterations;
mod client;
mod configs;
mod group_deletion;
mod groups;
mod hostile;
mod limits;
mod old_versions;
mod one_node;
mod produce_fetch;
mod records;
mod retention;
mod start;
mod topics;
