//! Which requests are served, in which versions, and by whom.
//!
//! A handler is `async fn handle(broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused>`. Add a line to [`SERVED`] and to
//! [`dispatch`] together, and only for what really works: clients choose by it.

use std::sync::Arc;

use logmill_protocol::ApiKey;

use super::request::{Outcome, Refused, Request};
use crate::broker::Broker;

/// An API with the versions it is served in.
pub(crate) struct Served {
    pub(crate) key: ApiKey,
    pub(crate) min: i16,
    pub(crate) max: i16,
}

const fn served(key: ApiKey, min: i16, max: i16) -> Served {
    Served { key, min, max }
}

/// In the order of their numbers.
pub(crate) const SERVED: &[Served] = &[
    served(ApiKey::Produce, 0, 13),
    served(ApiKey::Fetch, 0, 18),
    served(ApiKey::ListOffsets, 0, 11),
    served(ApiKey::Metadata, 0, 13),
    // Version 10 of OffsetCommit and OffsetFetch names topics by id.
    served(ApiKey::OffsetCommit, 0, 9),
    served(ApiKey::OffsetFetch, 0, 9),
    served(ApiKey::FindCoordinator, 0, 6),
    served(ApiKey::JoinGroup, 0, 9),
    served(ApiKey::Heartbeat, 0, 4),
    served(ApiKey::LeaveGroup, 0, 5),
    served(ApiKey::SyncGroup, 0, 5),
    served(ApiKey::DescribeGroups, 0, 6),
    served(ApiKey::ListGroups, 0, 5),
    served(ApiKey::ApiVersions, 0, 4),
    served(ApiKey::CreateTopics, 0, 7),
    served(ApiKey::DeleteTopics, 0, 6),
    served(ApiKey::DeleteRecords, 0, 2),
    served(ApiKey::InitProducerId, 0, 5),
    served(ApiKey::OffsetForLeaderEpoch, 0, 4),
    served(ApiKey::DescribeConfigs, 0, 4),
    served(ApiKey::AlterConfigs, 0, 2),
    served(ApiKey::DescribeLogDirs, 0, 4),
    served(ApiKey::CreatePartitions, 0, 3),
    served(ApiKey::DeleteGroups, 0, 2),
    served(ApiKey::ElectLeaders, 0, 2),
    served(ApiKey::IncrementalAlterConfigs, 0, 1),
    served(ApiKey::AlterPartitionReassignments, 0, 0),
    served(ApiKey::ListPartitionReassignments, 0, 0),
    served(ApiKey::OffsetDelete, 0, 0),
    served(ApiKey::DescribeCluster, 0, 2),
    served(ApiKey::DescribeProducers, 0, 0),
    served(ApiKey::ListConfigResources, 0, 1),
    served(ApiKey::DescribeTopicPartitions, 0, 0),
];

/// Whether this version of this API is served.
pub(crate) fn is_served(key: ApiKey, version: i16) -> bool {
    SERVED.iter().any(|api| api.key == key && (api.min..=api.max).contains(&version))
}

pub(crate) async fn dispatch(broker: &Arc<Broker>, request: Request) -> Result<Outcome, Refused> {
    let (api, version) = (request.api_key, request.version);
    // An unknown version of ApiVersions is answered, so that the client can choose another.
    if !is_served(api, version) && api != ApiKey::ApiVersions {
        return Err(Refused::Unsupported { api, version });
    }
    match api {
        ApiKey::AlterConfigs => super::alter_configs::handle(broker, request).await,
        ApiKey::AlterPartitionReassignments => super::alter_partition_reassignments::handle(broker, request).await,
        ApiKey::ApiVersions => super::api_versions::handle(broker, request).await,
        ApiKey::CreatePartitions => super::create_partitions::handle(broker, request).await,
        ApiKey::CreateTopics => super::create_topics::handle(broker, request).await,
        ApiKey::DeleteGroups => super::delete_groups::handle(broker, request).await,
        ApiKey::DeleteRecords => super::delete_records::handle(broker, request).await,
        ApiKey::DeleteTopics => super::delete_topics::handle(broker, request).await,
        ApiKey::DescribeCluster => super::describe_cluster::handle(broker, request).await,
        ApiKey::DescribeConfigs => super::describe_configs::handle(broker, request).await,
        ApiKey::DescribeGroups => super::describe_groups::handle(broker, request).await,
        ApiKey::DescribeLogDirs => super::describe_log_dirs::handle(broker, request).await,
        ApiKey::DescribeProducers => super::describe_producers::handle(broker, request).await,
        ApiKey::DescribeTopicPartitions => super::describe_topic_partitions::handle(broker, request).await,
        ApiKey::ElectLeaders => super::elect_leaders::handle(broker, request).await,
        ApiKey::Fetch => Box::pin(super::fetch::handle(broker, request)).await,
        ApiKey::FindCoordinator => super::find_coordinator::handle(broker, request).await,
        ApiKey::Heartbeat => super::heartbeat::handle(broker, request).await,
        ApiKey::IncrementalAlterConfigs => super::incremental_alter_configs::handle(broker, request).await,
        ApiKey::InitProducerId => super::init_producer_id::handle(broker, request).await,
        ApiKey::JoinGroup => super::join_group::handle(broker, request).await,
        ApiKey::LeaveGroup => super::leave_group::handle(broker, request).await,
        ApiKey::ListConfigResources => super::list_config_resources::handle(broker, request).await,
        ApiKey::ListGroups => super::list_groups::handle(broker, request).await,
        ApiKey::ListOffsets => super::list_offsets::handle(broker, request).await,
        ApiKey::ListPartitionReassignments => super::list_partition_reassignments::handle(broker, request).await,
        ApiKey::Metadata => super::metadata::handle(broker, request).await,
        ApiKey::OffsetCommit => super::offset_commit::handle(broker, request).await,
        ApiKey::OffsetDelete => super::offset_delete::handle(broker, request).await,
        ApiKey::OffsetFetch => super::offset_fetch::handle(broker, request).await,
        ApiKey::OffsetForLeaderEpoch => super::offset_for_leader_epoch::handle(broker, request).await,
        ApiKey::Produce => super::produce::handle(broker, request).await,
        ApiKey::SyncGroup => super::sync_group::handle(broker, request).await,
        _ => Err(Refused::Unsupported { api, version }),
    }
}
