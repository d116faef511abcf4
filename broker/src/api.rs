//! Request handlers: one file per API key, found through [`dispatch`].

mod api_versions;
mod authorized;
mod create_topics;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_topic_partitions;
pub(crate) mod dispatch;
mod fetch;
mod init_producer_id;
mod list_offsets;
mod list_partition_reassignments;
mod metadata;
mod produce;
pub(crate) mod request;
