//! What administrators do to records and ask of logs: deletion up to an offset, sizes on disk, ends of leader epochs.

use logmill_protocol::{
    ErrorCode,
    messages::{
        delete_records::{DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopic},
        describe_log_dirs::{
            DescribableLogDirTopic, DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeLogDirsResult,
        },
        fetch::FetchResponse,
        list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic},
        offset_for_leader_epoch::{
            OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition, OffsetForLeaderTopic,
        },
    },
};

use crate::client::{Client, TestBroker, batch, config, fetch_request};

async fn delete(client: &mut Client, topic: &str, partition_index: i32, offset: i64) -> Result<i64, ErrorCode> {
    let partitions = vec![DeleteRecordsPartition { partition_index, offset }];
    let request =
        DeleteRecordsRequest { topics: vec![DeleteRecordsTopic { name: topic, partitions }], timeout_ms: 5000 };
    let response: DeleteRecordsResponse<'_> = client.call(2, &request).await;
    let answer = &response.topics[0].partitions[0];
    if answer.error_code.is_none() {
        return Ok(answer.low_watermark);
    }
    assert_eq!(answer.low_watermark, -1);
    Err(answer.error_code)
}

async fn offset(client: &mut Client, topic: &str, timestamp: i64) -> i64 {
    let partitions = vec![ListOffsetsPartition { timestamp, ..Default::default() }];
    let topics = vec![ListOffsetsTopic { name: topic, partitions }];
    let response: ListOffsetsResponse<'_> = client.call(7, &ListOffsetsRequest { topics, ..Default::default() }).await;
    let partition = &response.topics[0].partitions[0];
    assert_eq!(partition.error_code, ErrorCode::None);
    partition.offset
}

async fn log_dir(
    client: &mut Client,
    version: i16,
    topics: Option<Vec<(&str, Vec<i32>)>>,
) -> DescribeLogDirsResult<'static> {
    let of = |(topic, partitions)| DescribableLogDirTopic { topic, partitions };
    let topics = topics.map(|topics| topics.into_iter().map(of).collect());
    let response: DescribeLogDirsResponse<'static> = client.call(version, &DescribeLogDirsRequest { topics }).await;
    assert_eq!((response.error_code, response.results.len()), (ErrorCode::None, 1));
    response.results.into_iter().next().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_records_are_gone_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let small = "topics: { config: { segment.bytes: 400 } }";
    let broker = TestBroker::with(config(dir.path(), small)).await.unwrap();
    let mut client = broker.client().await;
    client.create_topic("t", 2).await;
    let values = |range: std::ops::Range<i64>| range.map(|n| format!("value {n}")).collect::<Vec<_>>();
    for n in 0..50 {
        assert_eq!(client.produce("t", 0, &batch(&[&format!("value {n}")])).await, Ok(n));
    }
    let before = log_dir(&mut client, 4, None).await;
    for (offset, expected) in [
        (51, Err(ErrorCode::OffsetOutOfRange)),
        (-2, Err(ErrorCode::OffsetOutOfRange)),
        (20, Ok(20)),
        // It never goes back.
        (3, Ok(20)),
    ] {
        assert_eq!(delete(&mut client, "t", 0, offset).await, expected, "offset {offset}");
    }
    assert_eq!((offset(&mut client, "t", -2).await, offset(&mut client, "t", -1).await), (20, 50));
    assert_eq!(offset(&mut client, "t", 0).await, 20, "the first record from the beginning of time on");
    let response: FetchResponse<'_> = client.call(12, &fetch_request("t", 0, 19, 0, 1 << 20)).await;
    assert_eq!(response.responses[0].partitions[0].error_code, ErrorCode::OffsetOutOfRange);
    let mut seen = Vec::new();
    while seen.len() < 30 {
        let next = 20 + i64::try_from(seen.len()).unwrap();
        seen.extend(client.fetch("t", 0, next, 0).await.0);
    }
    assert_eq!(seen, values(20..50));
    let after = log_dir(&mut client, 4, None).await;
    let size = |result: &DescribeLogDirsResult<'_>| result.topics[0].partitions[0].partition_size;
    assert!(size(&after) < size(&before) * 3 / 4, "whole segments go: {} of {}", size(&after), size(&before));
    broker.stop().await;

    let broker = TestBroker::with(config(dir.path(), small)).await.unwrap();
    let mut client = broker.client().await;
    assert_eq!((offset(&mut client, "t", -2).await, offset(&mut client, "t", -1).await), (20, 50));
    // The high watermark.
    assert_eq!(delete(&mut client, "t", 0, -1).await, Ok(50));
    assert_eq!((offset(&mut client, "t", -2).await, offset(&mut client, "t", -1).await), (50, 50));
    assert_eq!(client.produce("t", 0, &batch(&["new"])).await, Ok(50));
    assert_eq!(delete(&mut client, "t", 1, -1).await, Ok(0), "an unused partition");

    for (topic, partition, expected) in [
        ("nope", 0, ErrorCode::UnknownTopicOrPartition),
        ("t", 7, ErrorCode::UnknownTopicOrPartition),
        ("t", -1, ErrorCode::UnknownTopicOrPartition),
    ] {
        assert_eq!(delete(&mut client, topic, partition, 0).await, Err(expected));
    }
    broker.stop().await;

    let compacted = config(dir.path(), "topics: { config: { cleanup.policy: compact } }");
    let broker = TestBroker::with(compacted).await.unwrap();
    assert_eq!(delete(&mut broker.client().await, "t", 0, -1).await, Err(ErrorCode::PolicyViolation));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_data_directory_is_described() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(dir.path()).await;
    let mut client = broker.client().await;
    client.create_topic("a", 2).await;
    client.create_topic("b", 1).await;
    client.produce("a", 1, &batch(&["x"])).await.unwrap();
    for version in 0..=4 {
        let result = log_dir(&mut client, version, None).await;
        assert_eq!((result.error_code, &*result.log_dir), (ErrorCode::None, dir.path().to_str().unwrap()));
        let told = version >= 4;
        assert_eq!((result.total_bytes > 0, result.usable_bytes > 0), (told, told));
        assert!(result.usable_bytes <= result.total_bytes);
        let found: Vec<_> = result
            .topics
            .iter()
            .flat_map(|t| t.partitions.iter().map(|p| (&*t.name, p.partition_index, p.partition_size > 0)))
            .collect();
        assert_eq!(found, [("a", 0, false), ("a", 1, true), ("b", 0, false)]);
    }
    let file = std::fs::metadata(dir.path().join("a-1/00000000000000000000.log")).unwrap().len();
    let some = log_dir(&mut client, 4, Some(vec![("a", vec![1, 1, 9, -1]), ("nope", vec![0]), ("b", vec![])])).await;
    assert_eq!(some.topics.len(), 1);
    let partitions: Vec<_> = some.topics[0].partitions.iter().map(|p| (p.partition_index, p.partition_size)).collect();
    assert_eq!(partitions, [(1, i64::try_from(file).unwrap())]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leader_epochs_have_ends() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(dir.path()).await;
    let mut client = broker.client().await;
    client.create_topic("t", 2).await;
    client.produce("t", 0, &batch(&["a", "b"])).await.unwrap();
    let mut ask = async |version: i16, partition, current_leader_epoch, leader_epoch| {
        let partitions = vec![OffsetForLeaderPartition { partition, current_leader_epoch, leader_epoch }];
        let topics = vec![OffsetForLeaderTopic { topic: "t", partitions }];
        let request = OffsetForLeaderEpochRequest { replica_id: -1, topics };
        let response: OffsetForLeaderEpochResponse<'_> = client.call(version, &request).await;
        let answer = &response.topics[0].partitions[0];
        (answer.error_code, answer.leader_epoch, answer.end_offset)
    };
    for version in 1..=4 {
        assert_eq!(ask(version, 0, -1, 0).await, (ErrorCode::None, 0, 2));
    }
    assert_eq!(ask(0, 0, -1, 0).await, (ErrorCode::None, -1, 2));
    assert_eq!(ask(4, 1, 0, 0).await, (ErrorCode::None, 0, 0), "nothing is written yet");
    assert_eq!(ask(4, 0, 0, 5).await, (ErrorCode::None, -1, -1));
    assert_eq!(ask(4, 0, 3, 0).await, (ErrorCode::UnknownLeaderEpoch, -1, -1));
    assert_eq!(ask(4, 9, 0, 0).await, (ErrorCode::UnknownTopicOrPartition, -1, -1));
    broker.stop().await;
}

/// Of a closed segment, turned while nobody looks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_records_are_refused_and_those_beside_them_served() {
    let dir = tempfile::tempdir().unwrap();
    let small = "topics: { config: { segment.bytes: 400 } }";
    let broker = TestBroker::with(config(dir.path(), small)).await.unwrap();
    let mut client = broker.client().await;
    client.create_topic("t", 1).await;
    for n in 0..20 {
        client.produce("t", 0, &batch(&[&format!("record {n}")])).await.unwrap();
    }
    broker.stop().await;
    let path = dir.path().join("t-0/00000000000000000000.log");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(8).position(|window| window == b"record 2").unwrap();
    bytes[at + 7] = b'7';
    std::fs::write(&path, bytes).unwrap();

    let broker = TestBroker::with(config(dir.path(), small)).await.unwrap();
    let mut client = broker.client().await;
    let corrupt = |broker: &TestBroker| {
        let families = broker.context.metrics.gather();
        let family = families.iter().find(|family| family.name() == "logmill_broker_corrupt_partitions").unwrap();
        family.get_metric()[0].get_gauge().get_value()
    };
    assert_eq!(client.fetch("t", 0, 3, 0).await.0[0], "record 3");
    assert_eq!(
        (client.fetch("t", 0, 0, 0).await.0, corrupt(&broker)),
        (vec!["record 0".into(), "record 1".into()], 0.0)
    );
    for version in [0, 3, 12] {
        let response: FetchResponse<'_> = client.call(version, &fetch_request("t", 0, 2, 0, 1 << 20)).await;
        let data = &response.responses[0].partitions[0];
        assert_eq!(data.error_code, ErrorCode::CorruptMessage, "version {version}");
        assert!(crate::client::values(&data.records).is_empty());
    }
    assert_eq!(corrupt(&broker), 1.0);
    assert!(broker.context.health.is_ready(), "all others are served");
    broker.stop().await;
}
