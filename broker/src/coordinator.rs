//! Coordinators: consumer groups and their offsets. (Transactions and the newer group protocol join them here.)

pub(crate) mod group;
pub(crate) mod groups;
mod load;
mod member;
mod metadata;
pub(crate) mod metrics;
pub(crate) mod offsets;
mod records;
mod store;
mod timers;

pub(crate) use member::Protocol;
