//! Topics with their ids, partition counts and settings, what was altered of brokers, producer-id blocks and the cluster's id: an image that only durable changes alter.

pub(crate) mod broker_config;
pub(crate) mod change;
pub(crate) mod embedded;
pub(crate) mod image;
pub(crate) mod producer_ids;
pub(crate) mod store;
pub(crate) mod topic_config;
pub(crate) mod topic_name;
