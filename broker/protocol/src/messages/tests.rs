//! Tests over every message and version: against an independent codec, against hostile bytes, against known bytes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod corpus;
mod differential;
mod hostile;
mod known_bytes;

/// Calls `$call!` with `module: Request, Response;` of every API.
macro_rules! for_every_api {
    ($call:ident) => {
        $call! {
            produce: ProduceRequest, ProduceResponse;
            fetch: FetchRequest, FetchResponse;
            list_offsets: ListOffsetsRequest, ListOffsetsResponse;
            metadata: MetadataRequest, MetadataResponse;
            offset_commit: OffsetCommitRequest, OffsetCommitResponse;
            offset_fetch: OffsetFetchRequest, OffsetFetchResponse;
            find_coordinator: FindCoordinatorRequest, FindCoordinatorResponse;
            join_group: JoinGroupRequest, JoinGroupResponse;
            heartbeat: HeartbeatRequest, HeartbeatResponse;
            leave_group: LeaveGroupRequest, LeaveGroupResponse;
            sync_group: SyncGroupRequest, SyncGroupResponse;
            describe_groups: DescribeGroupsRequest, DescribeGroupsResponse;
            list_groups: ListGroupsRequest, ListGroupsResponse;
            sasl_handshake: SaslHandshakeRequest, SaslHandshakeResponse;
            api_versions: ApiVersionsRequest, ApiVersionsResponse;
            create_topics: CreateTopicsRequest, CreateTopicsResponse;
            delete_topics: DeleteTopicsRequest, DeleteTopicsResponse;
            delete_records: DeleteRecordsRequest, DeleteRecordsResponse;
            init_producer_id: InitProducerIdRequest, InitProducerIdResponse;
            offset_for_leader_epoch: OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse;
            add_partitions_to_txn: AddPartitionsToTxnRequest, AddPartitionsToTxnResponse;
            add_offsets_to_txn: AddOffsetsToTxnRequest, AddOffsetsToTxnResponse;
            end_txn: EndTxnRequest, EndTxnResponse;
            write_txn_markers: WriteTxnMarkersRequest, WriteTxnMarkersResponse;
            txn_offset_commit: TxnOffsetCommitRequest, TxnOffsetCommitResponse;
            describe_configs: DescribeConfigsRequest, DescribeConfigsResponse;
            alter_configs: AlterConfigsRequest, AlterConfigsResponse;
            describe_log_dirs: DescribeLogDirsRequest, DescribeLogDirsResponse;
            sasl_authenticate: SaslAuthenticateRequest, SaslAuthenticateResponse;
            create_partitions: CreatePartitionsRequest, CreatePartitionsResponse;
            delete_groups: DeleteGroupsRequest, DeleteGroupsResponse;
            elect_leaders: ElectLeadersRequest, ElectLeadersResponse;
            incremental_alter_configs: IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse;
            alter_partition_reassignments: AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse;
            list_partition_reassignments: ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse;
            offset_delete: OffsetDeleteRequest, OffsetDeleteResponse;
            describe_cluster: DescribeClusterRequest, DescribeClusterResponse;
            describe_producers: DescribeProducersRequest, DescribeProducersResponse;
            list_config_resources: ListConfigResourcesRequest, ListConfigResourcesResponse;
            describe_topic_partitions: DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse;
        }
    };
}
use for_every_api;

/// Cut into the texts of random values; has characters of one to four bytes.
const TEXT: &str = "logs.app-1_ä€😀 the quick brown fox jumps over the lazy dog";

macro_rules! names {
    ($($api:ident: $($message:ident),*;)*) => { const LISTED: &[&str] = &[$(stringify!($api)),*]; };
}

for_every_api!(names);

/// So that each is held against the other codec, and fed hostile bytes.
#[test]
fn every_file_of_messages_is_listed() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/messages");
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        // Records of a topic, which have a test of their own.
        let other = ["tests", "consumer_offsets"].contains(&name);
        assert!(other || LISTED.contains(&name), "for_every_api does not name {name}");
    }
}
