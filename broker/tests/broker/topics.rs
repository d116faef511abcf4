//! Topics: creation with all its refusals, automatic creation, deletion, more partitions, descriptions.

use std::collections::BTreeSet;

use logmill_protocol::{
    ErrorCode,
    messages::{
        api_versions::{ApiVersionsRequest, ApiVersionsResponse},
        create_partitions::{CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic},
        create_topics::{
            CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse,
        },
        delete_topics::{DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse},
        describe_cluster::{DescribeClusterRequest, DescribeClusterResponse},
        describe_configs::{DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResponse},
        describe_topic_partitions::{
            Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicRequest,
        },
        metadata::{MetadataRequest, MetadataResponse},
    },
};

use crate::client::{Client, TestBroker, batch, config};

async fn create(client: &mut Client, topics: Vec<CreatableTopic<'_>>, validate_only: bool) -> Vec<ErrorCode> {
    let request = CreateTopicsRequest { topics, timeout_ms: 5000, validate_only };
    let response: CreateTopicsResponse<'_> = client.call(7, &request).await;
    response.topics.iter().map(|topic| topic.error_code).collect()
}

fn topic(name: &str) -> CreatableTopic<'_> {
    CreatableTopic { name, num_partitions: 1, replication_factor: 1, ..Default::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_are_created_or_refused_by_kafkas_codes() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(dir.path()).await;
    let mut client = broker.client().await;
    client.create_topic("there", 1).await;
    client.create_topic("a.b", 1).await;
    let setting = |name, value| vec![CreatableTopicConfig { name, value }];
    let assigned = |broker_ids| vec![CreatableReplicaAssignment { partition_index: 0, broker_ids }];
    let by_hand = CreatableTopic { num_partitions: -1, replication_factor: -1, ..topic("by-hand") };
    let cases = [
        (topic("there"), ErrorCode::TopicAlreadyExists),
        (topic("bad name"), ErrorCode::InvalidTopicException),
        (topic("a_b"), ErrorCode::InvalidTopicException),
        (topic("__consumer_offsets"), ErrorCode::InvalidTopicException),
        (CreatableTopic { num_partitions: 0, ..topic("x") }, ErrorCode::InvalidPartitions),
        (CreatableTopic { num_partitions: i32::MAX, ..topic("x") }, ErrorCode::InvalidPartitions),
        (CreatableTopic { replication_factor: 3, ..topic("x") }, ErrorCode::InvalidReplicationFactor),
        (CreatableTopic { replication_factor: 0, ..topic("x") }, ErrorCode::InvalidReplicationFactor),
        (CreatableTopic { configs: setting("foo", Some("1")), ..topic("x") }, ErrorCode::InvalidConfig),
        (CreatableTopic { configs: setting("retention.ms", None), ..topic("x") }, ErrorCode::InvalidConfig),
        (CreatableTopic { assignments: assigned(vec![1]), ..topic("x") }, ErrorCode::InvalidRequest),
        (CreatableTopic { assignments: assigned(vec![2]), ..by_hand.clone() }, ErrorCode::InvalidReplicaAssignment),
        (CreatableTopic { assignments: assigned(vec![1]), ..by_hand }, ErrorCode::None),
        (CreatableTopic { num_partitions: -1, replication_factor: -1, ..topic("defaults") }, ErrorCode::None),
    ];
    for (topic, expected) in cases {
        let what = format!("{topic:?}");
        assert_eq!(create(&mut client, vec![topic], false).await, [expected], "{what}");
    }
    assert_eq!(create(&mut client, vec![topic("only-checked")], true).await, [ErrorCode::None]);
    assert_eq!(create(&mut client, vec![topic("twice"), topic("twice")], false).await, [ErrorCode::InvalidRequest]);
    let all: MetadataResponse<'_> = client.call(12, &MetadataRequest { topics: None, ..Default::default() }).await;
    let names: Vec<_> = all.topics.iter().map(|topic| topic.name.clone().unwrap()).collect();
    assert_eq!(names, ["a.b", "by-hand", "defaults", "there"]);
    assert_eq!(all.topics[2].partitions.len(), 4);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_creates_topics_where_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(dir.path()).await;
    let mut client = broker.client().await;
    let answer = client.metadata("fresh").await;
    assert_eq!(answer.topics[0].error_code, ErrorCode::None);
    assert_eq!(answer.topics[0].partitions.len(), 4);
    assert_eq!(
        (answer.brokers[0].host.as_ref(), answer.brokers[0].port),
        ("127.0.0.1", i32::from(broker.address.port()))
    );
    assert_eq!(client.produce("fresh", 3, &batch(&["a"])).await, Ok(0));
    assert_eq!(client.metadata("bad name").await.topics[0].error_code, ErrorCode::InvalidTopicException);
    for version in 0..=13 {
        let answer: MetadataResponse<'_> =
            client.call(version, &MetadataRequest { topics: Some(vec![]), ..Default::default() }).await;
        assert_eq!(answer.topics.len(), usize::from(version == 0), "version {version}");
    }
    broker.stop().await;

    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::with(config(dir.path(), "topics: { auto_create: false }")).await.unwrap();
    let answer = broker.client().await.metadata("fresh").await;
    assert_eq!(answer.topics[0].error_code, ErrorCode::UnknownTopicOrPartition);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_topic_is_gone_and_its_name_free() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(dir.path()).await;
    let mut client = broker.client().await;
    client.create_topic("t", 3).await;
    client.produce("t", 2, &batch(&["old"])).await.unwrap();
    let old_id = client.metadata("t").await.topics[0].topic_id;
    let delete = async |client: &mut Client, state: DeleteTopicState<'_>| -> ErrorCode {
        let request = DeleteTopicsRequest { topics: vec![state], timeout_ms: 5000, ..Default::default() };
        let response: DeleteTopicsResponse<'_> = client.call(6, &request).await;
        response.responses[0].error_code
    };
    let by_name = DeleteTopicState { name: Some("t"), ..Default::default() };
    assert_eq!(delete(&mut client, by_name.clone()).await, ErrorCode::None);
    assert_eq!(delete(&mut client, by_name).await, ErrorCode::UnknownTopicOrPartition);
    let by_id = DeleteTopicState { topic_id: old_id, ..Default::default() };
    assert_eq!(delete(&mut client, by_id).await, ErrorCode::UnknownTopicId);
    client.create_topic("t", 3).await;
    assert_ne!(client.metadata("t").await.topics[0].topic_id, old_id);
    assert_eq!(client.fetch("t", 2, 0, 0).await, (Vec::new(), 0));
    assert_eq!(client.produce("t", 2, &batch(&["new"])).await, Ok(0));
    broker.stop().await;

    let broker = TestBroker::start(dir.path()).await;
    assert_eq!(broker.client().await.fetch("t", 2, 0, 0).await.0, ["new"]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_are_added_but_never_taken() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(dir.path()).await;
    let mut client = broker.client().await;
    client.create_topic("t", 2).await;
    client.produce("t", 1, &batch(&["kept"])).await.unwrap();
    for (count, expected) in [
        (1, ErrorCode::InvalidPartitions),
        (2, ErrorCode::InvalidPartitions),
        (5, ErrorCode::None),
        (5, ErrorCode::InvalidPartitions),
    ] {
        let topics = vec![CreatePartitionsTopic { name: "t", count, assignments: None }];
        let request = CreatePartitionsRequest { topics, timeout_ms: 5000, validate_only: false };
        let response: CreatePartitionsResponse<'_> = client.call(3, &request).await;
        assert_eq!(response.results[0].error_code, expected, "to {count}");
    }
    assert_eq!(client.produce("t", 4, &batch(&["new"])).await, Ok(0));
    assert_eq!(client.fetch("t", 1, 0, 0).await.0, ["kept"]);
    broker.stop().await;
    let broker = TestBroker::start(dir.path()).await;
    assert_eq!(broker.client().await.metadata("t").await.topics[0].partitions.len(), 5);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_are_described_page_by_page() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(dir.path()).await;
    let mut client = broker.client().await;
    for (name, partitions) in [("a", 3), ("b", 1), ("c", 4)] {
        client.create_topic(name, partitions).await;
    }
    let mut seen = BTreeSet::new();
    let mut cursor: Option<(String, i32)> = None;
    for _ in 0..10 {
        let from = cursor.clone();
        let request = DescribeTopicPartitionsRequest {
            topics: ["c", "a", "b", "nope"].map(|name| TopicRequest { name }).to_vec(),
            response_partition_limit: 2,
            cursor: from
                .as_ref()
                .map(|(topic_name, partition_index)| Cursor { topic_name, partition_index: *partition_index }),
        };
        let page: DescribeTopicPartitionsResponse<'_> = client.call(0, &request).await;
        for topic in &page.topics {
            let name = topic.name.clone().unwrap();
            assert_eq!(topic.error_code.is_none(), name != "nope");
            for partition in &topic.partitions {
                assert!(seen.insert((name.to_string(), partition.partition_index)), "twice");
            }
        }
        cursor = page.next_cursor.map(|cursor| (cursor.topic_name.to_string(), cursor.partition_index));
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(cursor, None);
    assert_eq!(seen.len(), 8);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_and_cluster_are_described() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::with(config(dir.path(), "topics: { retention: 1h }")).await.unwrap();
    let mut client = broker.client().await;
    let configs = vec![CreatableTopicConfig { name: "segment.bytes", value: Some("1048576") }];
    assert_eq!(create(&mut client, vec![CreatableTopic { configs, ..topic("t") }], false).await, [ErrorCode::None]);
    let resource = |resource_type, resource_name| DescribeConfigsResource {
        resource_type,
        resource_name,
        configuration_keys: None,
    };
    let request = DescribeConfigsRequest {
        resources: vec![resource(2, "t"), resource(2, "nope"), resource(4, "1"), resource(4, "9"), resource(77, "")],
        include_synonyms: true,
        include_documentation: true,
    };
    let response: DescribeConfigsResponse<'_> = client.call(4, &request).await;
    let codes: Vec<_> = response.results.iter().map(|result| result.error_code).collect();
    let invalid = ErrorCode::InvalidRequest;
    assert_eq!(codes, [ErrorCode::None, ErrorCode::UnknownTopicOrPartition, ErrorCode::None, invalid, invalid]);
    let of = |result: usize, name: &str| {
        let found = response.results[result].configs.iter().find(|config| config.name == name).unwrap();
        (found.value.clone().unwrap().to_string(), found.config_source)
    };
    assert_eq!(of(0, "segment.bytes"), ("1048576".to_owned(), 1));
    assert_eq!(of(0, "retention.ms"), ("3600000".to_owned(), 4));
    assert_eq!(of(0, "cleanup.policy"), ("delete".to_owned(), 5));
    assert_eq!(of(2, "num.partitions"), ("4".to_owned(), 4));
    let cluster: DescribeClusterResponse<'_> =
        client.call(2, &DescribeClusterRequest { endpoint_type: 1, ..Default::default() }).await;
    assert_eq!((cluster.brokers.len(), cluster.brokers[0].broker_id, cluster.cluster_id.len()), (1, 1, 22));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_are_told_and_unknown_ones_answered() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(dir.path()).await;
    let mut client = broker.client().await;
    for version in 0..=4 {
        let response: ApiVersionsResponse<'_> = client.call(version, &ApiVersionsRequest::default()).await;
        assert_eq!(response.error_code, ErrorCode::None);
        let produce = &response.api_keys[0];
        assert_eq!((produce.api_key, produce.min_version, produce.max_version), (0, 0, 13));
    }
    let mut unknown = vec![0, 0, 0, 10, 0, 18, 0, 99, 0, 0, 0, 7, 0xff, 0xff];
    tokio::io::AsyncWriteExt::write_all(&mut client.stream, &unknown).await.unwrap();
    let response: ApiVersionsResponse<'_> = client.receive(0, 7).await;
    assert_eq!(response.error_code, ErrorCode::UnsupportedVersion);
    assert!(!response.api_keys.is_empty());
    // Any other unknown version ends the connection.
    unknown[5] = 3;
    tokio::io::AsyncWriteExt::write_all(&mut client.stream, &unknown).await.unwrap();
    assert_eq!(client.receive_bytes().await, None);
    broker.stop().await;
}
