//! What tools for clusters ask a single node: elections, reassignments, producers, what has settings, features.

use logmill_protocol::{
    ErrorCode,
    messages::{
        alter_partition_reassignments::{
            AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ReassignablePartition,
            ReassignableTopic,
        },
        api_versions::{ApiVersionsRequest, ApiVersionsResponse},
        describe_producers::{DescribeProducersRequest, DescribeProducersResponse, TopicRequest},
        elect_leaders::{ElectLeadersRequest, ElectLeadersResponse, TopicPartitions},
        list_config_resources::{ListConfigResourcesRequest, ListConfigResourcesResponse},
    },
};

use crate::client::{TestBroker, batch_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_only_replica_leads_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(dir.path()).await;
    let mut client = broker.client().await;
    client.create_topic("t", 1).await;
    for version in 0..=2 {
        let topics = vec![
            TopicPartitions { topic: "t", partitions: vec![0, 1] },
            TopicPartitions { topic: "nope", partitions: vec![0] },
        ];
        let request = ElectLeadersRequest { topic_partitions: Some(topics), ..Default::default() };
        let response: ElectLeadersResponse<'_> = client.call(version, &request).await;
        let results: Vec<_> = response.replica_election_results.iter().flat_map(|t| &t.partition_result).collect();
        let codes: Vec<_> = results.iter().map(|result| result.error_code).collect();
        let unknown = ErrorCode::UnknownTopicOrPartition;
        assert_eq!(codes, [ErrorCode::ElectionNotNeeded, unknown, unknown], "version {version}");
        let all: ElectLeadersResponse<'_> = client.call(version, &ElectLeadersRequest::default()).await;
        assert_eq!((all.error_code, all.replica_election_results.len()), (ErrorCode::None, 0));
    }
    let wrong = ElectLeadersRequest { election_type: 7, ..Default::default() };
    let response: ElectLeadersResponse<'_> = client.call(2, &wrong).await;
    assert_eq!(response.error_code, ErrorCode::InvalidRequest);

    let partition = |partition_index, replicas| ReassignablePartition { partition_index, replicas };
    let partitions =
        vec![partition(0, Some(vec![1])), partition(0, Some(vec![2])), partition(0, None), partition(4, None)];
    let topics = vec![ReassignableTopic { name: "t", partitions }];
    let request = AlterPartitionReassignmentsRequest { topics, ..Default::default() };
    let response: AlterPartitionReassignmentsResponse<'_> = client.call(0, &request).await;
    let codes: Vec<_> = response.responses[0].partitions.iter().map(|p| p.error_code).collect();
    let expected = [
        ErrorCode::None,
        ErrorCode::InvalidReplicaAssignment,
        ErrorCode::NoReassignmentInProgress,
        ErrorCode::UnknownTopicOrPartition,
    ];
    assert_eq!(codes, expected);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn producers_settings_and_features_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(dir.path()).await;
    let mut client = broker.client().await;
    client.create_topic("t", 2).await;
    client.produce("t", 0, &batch_of(&["a", "b"], Some((7, 3, 0)))).await.unwrap();
    client.produce("t", 0, &batch_of(&["c"], Some((5, 0, 0)))).await.unwrap();
    client.produce("t", 0, &batch_of(&["d"], None)).await.unwrap();
    let topics = vec![TopicRequest { name: "t", partition_indexes: vec![0, 1, 2] }];
    let response: DescribeProducersResponse<'_> = client.call(0, &DescribeProducersRequest { topics }).await;
    let partitions = &response.topics[0].partitions;
    let codes: Vec<_> = partitions.iter().map(|p| p.error_code).collect();
    assert_eq!(codes, [ErrorCode::None, ErrorCode::None, ErrorCode::UnknownTopicOrPartition]);
    let active: Vec<_> = partitions[0]
        .active_producers
        .iter()
        .map(|p| (p.producer_id, p.producer_epoch, p.last_sequence, p.current_txn_start_offset, p.last_timestamp > 0))
        .collect();
    assert_eq!(active, [(5, 0, 0, -1, true), (7, 3, 1, -1, true)]);
    assert!(partitions[1].active_producers.is_empty());

    let mut list = async |version, resource_types: Vec<i8>| {
        let request = ListConfigResourcesRequest { resource_types };
        let response: ListConfigResourcesResponse<'_> = client.call(version, &request).await;
        let names = response.config_resources.iter().map(|r| (r.resource_type, r.resource_name.to_string()));
        (response.error_code, names.collect::<Vec<_>>())
    };
    let (topic, one) = ((2, "t".to_owned()), "1".to_owned());
    assert_eq!(list(0, vec![]).await, (ErrorCode::None, vec![]));
    assert_eq!(list(1, vec![2]).await, (ErrorCode::None, vec![topic.clone()]));
    assert_eq!(list(1, vec![]).await, (ErrorCode::None, vec![topic, (4, one.clone()), (8, one)]));
    assert_eq!(list(1, vec![99]).await, (ErrorCode::UnsupportedVersion, vec![]));

    let response: ApiVersionsResponse<'_> = client.call(4, &ApiVersionsRequest::default()).await;
    let finalized: Vec<_> = response.finalized_features.iter().map(|f| (&*f.name, f.max_version_level)).collect();
    assert_eq!(finalized, [("metadata.version", 27)]);
    assert!(response.finalized_features_epoch > 0);
    broker.stop().await;
}
