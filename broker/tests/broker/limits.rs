//! What a client meets that is too old, or too slow.

use logmill_protocol::{
    ErrorCode,
    messages::{
        create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse},
        fetch::FetchResponse,
        list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic},
    },
};
use tokio::{io::AsyncReadExt, time::timeout};

use crate::client::{Client, PATIENCE, TestBroker, batch, config, fetch_request};

async fn create(client: &mut Client, name: &str, value: &str) {
    let configs = vec![CreatableTopicConfig { name, value: Some(value) }];
    let topic = CreatableTopic { name: "t", num_partitions: 1, replication_factor: 1, configs, ..Default::default() };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 5000, validate_only: false };
    let response: CreateTopicsResponse<'_> = client.call(7, &request).await;
    assert_eq!(response.topics[0].error_code, ErrorCode::None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_fetches_are_not_given_zstd() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(dir.path()).await;
    let mut client = broker.client().await;
    create(&mut client, "compression.type", "zstd").await;
    client.produce("t", 0, &batch(&["a"])).await.unwrap();
    for (version, expected) in
        [(1, ErrorCode::UnsupportedCompressionType), (9, ErrorCode::UnsupportedCompressionType), (10, ErrorCode::None)]
    {
        let response: FetchResponse<'_> = client.call(version, &fetch_request("t", 0, 0, 0, 1000)).await;
        assert_eq!(response.responses[0].partitions[0].error_code, expected, "version {version}");
    }
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn version_0_lists_several_offsets() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(dir.path()).await;
    let mut client = broker.client().await;
    create(&mut client, "segment.bytes", "200").await;
    for n in 0..5 {
        client.produce("t", 0, &batch(&[&"v".repeat(100 + n)])).await.unwrap();
    }
    for (timestamp, max_num_offsets, expected) in [
        (-1, 1, &[5][..]),
        (-1, 3, &[5, 4, 3]),
        (-1, 100, &[5, 4, 3, 2, 1, 0]),
        (-2, 9, &[0]),
        (0, 9, &[]),
        (-1, -1, &[]),
    ] {
        let partitions = vec![ListOffsetsPartition { timestamp, max_num_offsets, ..Default::default() }];
        let topics = vec![ListOffsetsTopic { name: "t", partitions }];
        let request = ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
        let response: ListOffsetsResponse<'_> = client.call(0, &request).await;
        let found = &response.topics[0].partitions[0];
        assert_eq!((found.error_code, &found.old_style_offsets[..]), (ErrorCode::None, expected), "{timestamp}");
    }
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_no_response_is_cut_off_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::with(config(dir.path(), "limits: { slow_reader_timeout: 200ms }\n")).await.unwrap();
    let mut client = broker.client().await;
    client.create_topic("t", 1).await;
    let value = "v".repeat(900_000);
    for _ in 0..20 {
        client.produce("t", 0, &batch(&[&value])).await.unwrap();
    }
    client.send(12, &fetch_request("t", 0, 0, 0, i32::MAX)).await;
    let cut_off = || {
        let families = broker.context.metrics.gather();
        let refused = families.iter().find(|family| family.name() == "logmill_broker_refused_total");
        let slow =
            |metric: &&prometheus::proto::Metric| metric.get_label().iter().any(|label| label.value() == "slow_reader");
        refused.and_then(|family| family.get_metric().iter().find(slow).map(|metric| metric.get_counter().get_value()))
    };
    let seen = async {
        while cut_off() != Some(1.0) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, seen).await.expect("the connection is closed");
    let mut rest = Vec::new();
    let _ = client.stream.read_to_end(&mut rest).await;
    assert!(rest.len() < 18_000_000, "{} bytes came", rest.len());
    // Others are served.
    assert_eq!(broker.client().await.fetch("t", 0, 19, 0).await.1, 20);
    broker.stop().await;
}
