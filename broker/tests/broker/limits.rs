//! What a client meets that is too old, too slow, or asks for more than it may.

use std::time::Duration;

use logmill_protocol::{
    ErrorCode,
    compression::Compression,
    messages::{
        create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse},
        fetch::FetchResponse,
        list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic},
        produce::ProduceResponse,
    },
    records::{BatchBuilder, NewRecord},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::client::{Client, PATIENCE, TestBroker, batch, config, fetch_request, produce_request};

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

/// Waits until so many connections or requests were refused for this reason.
async fn until_refused(broker: &TestBroker, reason: &str, times: f64) {
    let refused = || metric(broker, "logmill_broker_refused_total", reason);
    let seen = async {
        while refused() != Some(times) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, seen).await.unwrap_or_else(|_| panic!("{reason}: {:?} instead of {times}", refused()));
}

/// The value of a counter or gauge with this label; "" for one without labels.
fn metric(broker: &TestBroker, name: &str, label: &str) -> Option<f64> {
    let families = broker.context.metrics.gather();
    let family = families.iter().find(|family| family.name() == name)?;
    let has = |metric: &&prometheus::proto::Metric| {
        let mut labels = metric.get_label().iter().map(|pair| pair.value());
        if label.is_empty() { labels.next().is_none() } else { labels.any(|value| value == label) }
    };
    let metric = family.get_metric().iter().find(has)?;
    Some(metric.get_counter().get_value() + metric.get_gauge().get_value())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_over_the_limit_ends_its_connection_unread() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::with(config(dir.path(), "limits: { max_request_bytes: 64KiB }\n")).await.unwrap();
    let mut client = broker.client().await;
    client.create_topic("t", 1).await;
    client.send(9, &produce_request("t", 0, -1, &batch(&[&"v".repeat(65 << 10)]))).await;
    assert_eq!(client.receive_bytes().await, None);
    until_refused(&broker, "frame", 1.0).await;
    assert_eq!(broker.client().await.produce("t", 0, &batch(&["v"])).await, Ok(0));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_over_the_limit_are_closed_at_once_and_find_room_later() {
    for (limit, reason) in [
        ("max_connections: 2", "too_many_connections"),
        ("max_connections_per_address: 2", "too_many_connections_of_address"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let broker = TestBroker::with(config(dir.path(), &format!("limits: {{ {limit} }}\n"))).await.unwrap();
        let mut first = broker.client().await;
        first.create_topic("t", 1).await;
        let mut second = broker.client().await;
        second.metadata("t").await;
        assert_eq!(broker.client().await.receive_bytes().await, None, "{reason}");
        until_refused(&broker, reason, 1.0).await;
        drop(second);
        let gone = async {
            while metric(&broker, "logmill_broker_connections", "") != Some(1.0) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, gone).await.expect("the second connection ends");
        broker.client().await.metadata("t").await;
        broker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::with(config(dir.path(), "limits: { idle_timeout: 1s }\n")).await.unwrap();
    let mut client = broker.client().await;
    client.create_topic("t", 1).await;
    assert_eq!(client.receive_bytes().await, None);
    until_refused(&broker, "idle", 1.0).await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_unfolds_to_more_than_it_may_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::with(config(dir.path(), "limits: { max_decompressed_bytes: 1MiB }\n")).await.unwrap();
    let mut client = broker.client().await;
    create(&mut client, "compression.type", "lz4").await;
    let unfolding = |bytes: usize| {
        let mut builder = BatchBuilder::new(Compression::Gzip);
        builder.push(NewRecord { timestamp: 1, value: Some(&vec![0; bytes]), ..NewRecord::default() });
        builder.build().unwrap()
    };
    assert_eq!(client.produce("t", 0, &unfolding(2 << 20)).await, Err(ErrorCode::MessageTooLarge));
    until_refused(&broker, "decompressed", 1.0).await;
    assert_eq!(client.produce("t", 0, &unfolding(500 << 10)).await, Ok(0));
    assert_eq!(metric(&broker, "logmill_broker_produce_requests_total", "t"), Some(2.0));
    assert_eq!(metric(&broker, "logmill_broker_failed_produce_requests_total", "t"), Some(1.0));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_requests_wait_for_the_memory_of_others() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::with(config(dir.path(), "limits: { max_in_flight_bytes: 1MiB }\n")).await.unwrap();
    let mut client = broker.client().await;
    client.create_topic("t", 1).await;
    let large = batch(&[&"v".repeat(700 << 10)]);
    // Half of a request that is longer than its sender gets to say.
    let mut held = broker.client().await;
    held.stream.write_all(&(900u32 << 10).to_be_bytes()).await.unwrap();
    held.stream.write_all(&[0; 1000]).await.unwrap();
    let (bytes, waits) = ("logmill_broker_in_flight_bytes", "logmill_broker_in_flight_waits_total");
    let until = async |name: &str, value: f64| {
        let seen = async {
            while metric(&broker, name, "") != Some(value) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, seen).await.unwrap_or_else(|_| panic!("{name} is {:?}", metric(&broker, name, "")));
    };
    until(bytes, f64::from(900 << 10)).await;
    client.send(9, &produce_request("t", 0, -1, &large)).await;
    until(waits, 1.0).await;
    // Small ones pass.
    broker.client().await.metadata("t").await;
    drop(held);
    let response: ProduceResponse<'_> = client.receive_next(9).await;
    assert_eq!(response.responses[0].partition_responses[0].error_code, ErrorCode::None);
    until(bytes, 0.0).await;
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
    until_refused(&broker, "slow_reader", 1.0).await;
    let mut rest = Vec::new();
    let _ = client.stream.read_to_end(&mut rest).await;
    assert!(rest.len() < 18_000_000, "{} bytes came", rest.len());
    // Others are served.
    assert_eq!(broker.client().await.fetch("t", 0, 19, 0).await.1, 20);
    broker.stop().await;
}
