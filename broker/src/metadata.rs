//! Topics with their ids, partition counts and settings, producer-id blocks and the cluster's id: an image that only durable changes alter.

pub(crate) mod change;
pub(crate) mod embedded;
pub(crate) mod image;
pub(crate) mod producer_ids;
pub(crate) mod store;
pub(crate) mod topic_config;
pub(crate) mod topic_name;
