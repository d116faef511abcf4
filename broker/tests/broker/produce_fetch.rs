//! Records in and out: order, pipelining, long polls, offsets by time, idempotence, refusals.

use std::time::Duration;

use logmill_protocol::{
    ErrorCode,
    codec::RecordsOut,
    messages::{
        fetch::{FetchResponse, FetchTopic},
        init_producer_id::{InitProducerIdRequest, InitProducerIdResponse},
        list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic},
        produce::ProduceResponse,
    },
};

use crate::client::{Client, TestBroker, batch, batch_of, config, fetch_request, produce_request, values};

async fn started(topic: &str) -> (tempfile::TempDir, TestBroker, Client) {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(dir.path()).await;
    let mut client = broker.client().await;
    client.create_topic(topic, 2).await;
    (dir, broker, client)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_version_produces_and_fetches() {
    let (_dir, broker, mut client) = started("t").await;
    let id = client.metadata("t").await.topics[0].topic_id;
    let mut offset = 0;
    for version in 0..=13 {
        let value = format!("v{version}");
        let bytes = batch(&[&value]);
        let mut request = produce_request("t", 0, -1, &bytes);
        request.topic_data[0].topic_id = id;
        let response: ProduceResponse<'_> = client.call(version, &request).await;
        let answer = &response.responses[0].partition_responses[0];
        assert_eq!((answer.error_code, answer.base_offset), (ErrorCode::None, offset), "version {version}");
        offset += 1;
    }
    for version in 4..=18 {
        let mut request = fetch_request("t", 0, 3, 0, 1 << 20);
        request.topics[0].topic_id = id;
        let response: FetchResponse<'_> = client.call(version, &request).await;
        let data = &response.responses[0].partitions[0];
        assert_eq!((data.error_code, data.high_watermark), (ErrorCode::None, offset), "version {version}");
        assert_eq!(values(&data.records).len(), 11, "version {version}");
    }
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_produces_are_answered_in_order() {
    let (_dir, broker, mut client) = started("t").await;
    const REQUESTS: i32 = 200;
    let batches: Vec<_> = (0..REQUESTS).map(|i| batch(&[&i.to_string()])).collect();
    for bytes in &batches {
        client.send(9, &produce_request("t", 0, 1, bytes)).await;
    }
    for i in 0..REQUESTS {
        // The first request of this connection created the topic.
        let response: ProduceResponse<'_> = client.receive(9, i + 2).await;
        assert_eq!(response.responses[0].partition_responses[0].base_offset, i64::from(i));
    }
    let (values, high_watermark) = client.fetch("t", 0, 0, 0).await;
    assert_eq!(high_watermark, i64::from(REQUESTS));
    assert_eq!(values, (0..REQUESTS).map(|i| i.to_string()).collect::<Vec<_>>());
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_acks_there_is_no_answer() {
    let (_dir, broker, mut client) = started("t").await;
    client.send(9, &produce_request("t", 0, 0, &batch(&["silent"]))).await;
    // The answer to this one comes first.
    assert_eq!(client.produce("t", 0, &batch(&["loud"])).await, Ok(1));
    assert_eq!(client.fetch("t", 0, 0, 0).await.0, ["silent", "loud"]);
    client.send(9, &produce_request("nowhere", 0, 0, &batch(&["lost"]))).await;
    assert_eq!(client.receive_bytes().await, None, "the only way to tell of a failure is to close");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_poll_ends_with_the_first_record() {
    let (_dir, broker, mut client) = started("t").await;
    let mut reader = broker.client().await;
    let polling = tokio::spawn(async move { reader.fetch("t", 1, 0, 15_000).await });
    tokio::time::sleep(Duration::from_millis(30)).await;
    let start = tokio::time::Instant::now();
    client.produce("t", 1, &batch(&["news"])).await.unwrap();
    assert_eq!(polling.await.unwrap(), (vec!["news".to_owned()], 1));
    assert!(start.elapsed() < Duration::from_secs(5));
    // And with the time when nothing comes.
    let start = tokio::time::Instant::now();
    assert_eq!(client.fetch("t", 1, 1, 120).await, (Vec::new(), 1));
    assert!(start.elapsed() >= Duration::from_millis(100));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sizes_bound_a_fetch_but_the_first_batch_is_whole() {
    let (_dir, broker, mut client) = started("t").await;
    let long = "x".repeat(1000);
    for partition in [0, 0, 0, 1] {
        client.produce("t", partition, &batch(&[&long])).await.unwrap();
    }
    let sizes = async |client: &mut Client, partition_max: i32, max_bytes: i32| -> Vec<usize> {
        let mut request = fetch_request("t", 0, 0, 0, partition_max);
        let mut other = request.topics[0].partitions[0].clone();
        other.partition = 1;
        request.topics[0].partitions.push(other);
        request.max_bytes = max_bytes;
        let response: FetchResponse<'_> = client.call(12, &request).await;
        response.responses[0].partitions.iter().map(|data| values(&data.records).len()).collect()
    };
    assert_eq!(sizes(&mut client, 1 << 20, 1 << 20).await, [3, 1]);
    assert_eq!(sizes(&mut client, 2500, 1 << 20).await, [2, 1]);
    assert_eq!(sizes(&mut client, 1, 1 << 20).await, [1, 0]);
    assert_eq!(sizes(&mut client, 1 << 20, 1).await, [1, 0]);
    assert_eq!(sizes(&mut client, 1 << 20, 3500).await, [3, 0]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_stay_with_their_partition() {
    let (_dir, broker, mut client) = started("t").await;
    client.produce("t", 0, &batch(&["a"])).await.unwrap();
    let mut request = fetch_request("t", 0, 7, 10_000, 1 << 20);
    let mut unknown = request.topics[0].partitions[0].clone();
    unknown.partition = 9;
    request.topics[0].partitions.push(unknown);
    request.topics.push(FetchTopic { topic: "nowhere", ..request.topics[0].clone() });
    let response: FetchResponse<'_> = client.call(12, &request).await;
    let codes: Vec<_> =
        response.responses.iter().flat_map(|topic| topic.partitions.iter().map(|data| data.error_code)).collect();
    let unknown = ErrorCode::UnknownTopicOrPartition;
    assert_eq!(codes, [ErrorCode::OffsetOutOfRange, unknown, unknown, unknown]);
    assert_eq!(response.responses[0].partitions[0].records, RecordsOut::Empty);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_batches_are_refused_by_kafkas_codes() {
    let (_dir, broker, mut client) = started("t").await;
    let mut flipped = batch(&["a"]);
    *flipped.last_mut().unwrap() ^= 1;
    assert_eq!(client.produce("t", 0, &flipped).await, Err(ErrorCode::CorruptMessage));
    let twice = [batch(&["a"]), batch(&["b"])].concat();
    assert_eq!(client.produce("t", 0, &twice).await, Err(ErrorCode::InvalidRecord));
    let mut old = batch(&["a"]);
    old[16] = 1;
    assert_eq!(client.produce("t", 0, &old).await, Err(ErrorCode::InvalidRecord));
    let large = "x".repeat(1_100_000);
    assert_eq!(client.produce("t", 0, &batch(&[&large])).await, Err(ErrorCode::MessageTooLarge));
    assert_eq!(client.produce("t", 0, &[]).await, Err(ErrorCode::InvalidRecord));
    assert_eq!(client.produce("t", 5, &batch(&["a"])).await, Err(ErrorCode::UnknownTopicOrPartition));
    let response: ProduceResponse<'_> = client.call(9, &produce_request("t", 0, 2, &batch(&["a"]))).await;
    assert_eq!(response.responses[0].partition_responses[0].error_code, ErrorCode::InvalidRequiredAcks);
    assert_eq!(client.fetch("t", 0, 0, 0).await, (Vec::new(), 0));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_batch_is_stored_once_also_after_a_restart() {
    let (dir, broker, mut client) = started("t").await;
    let request = InitProducerIdRequest { transaction_timeout_ms: 1000, ..Default::default() };
    let first: InitProducerIdResponse = client.call(4, &request).await;
    let second: InitProducerIdResponse = client.call(4, &request).await;
    assert_eq!((first.error_code, first.producer_epoch), (ErrorCode::None, 0));
    assert!(second.producer_id > first.producer_id);
    let id = first.producer_id;
    let one = batch_of(&["a", "b"], Some((id, 0, 0)));
    let two = batch_of(&["c"], Some((id, 0, 2)));
    assert_eq!(client.produce("t", 0, &one).await, Ok(0));
    assert_eq!(client.produce("t", 0, &two).await, Ok(2));
    assert_eq!(client.produce("t", 0, &one).await, Ok(0));
    assert_eq!(client.produce("t", 0, &two).await, Ok(2));
    let gap = batch_of(&["e"], Some((id, 0, 9)));
    assert_eq!(client.produce("t", 0, &gap).await, Err(ErrorCode::OutOfOrderSequenceNumber));
    broker.stop().await;

    let broker = TestBroker::start(dir.path()).await;
    let mut client = broker.client().await;
    assert_eq!(client.produce("t", 0, &two).await, Ok(2));
    assert_eq!(client.produce("t", 0, &batch_of(&["d"], Some((id, 0, 3)))).await, Ok(3));
    assert_eq!(client.fetch("t", 0, 0, 0).await.0, ["a", "b", "c", "d"]);
    let third: InitProducerIdResponse = client.call(4, &request).await;
    assert!(third.producer_id > second.producer_id, "no id is given twice");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offsets_at_the_ends_and_by_time() {
    let (_dir, broker, mut client) = started("t").await;
    client.produce("t", 0, &batch(&["a", "b"])).await.unwrap();
    for (timestamp, first, expected) in
        [(-1, 1, 2), (-2, 1, 0), (-3, 7, 0), (-4, 8, 0), (-5, 9, -1), (-6, 11, -1), (0, 1, 0), (i64::MAX, 1, -1)]
    {
        let partitions = vec![ListOffsetsPartition { timestamp, ..Default::default() }];
        let topics = vec![ListOffsetsTopic { name: "t", partitions }];
        let request = ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
        for version in 1..=11 {
            let response: ListOffsetsResponse<'_> = client.call(version, &request).await;
            let found = &response.topics[0].partitions[0];
            let expected =
                if version < first { (ErrorCode::UnsupportedVersion, -1) } else { (ErrorCode::None, expected) };
            assert_eq!((found.error_code, found.offset), expected, "{timestamp}, version {version}");
        }
    }
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn below_the_free_space_reserve_produces_are_put_off() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path(), "");
    config.free_space_reserve = 1 << 62;
    let broker = TestBroker::with(config).await.unwrap();
    let mut client = broker.client().await;
    client.create_topic("t", 1).await;
    // An error that every client retries, knowing that nothing was written.
    assert_eq!(client.produce("t", 0, &batch(&["a"])).await, Err(ErrorCode::NotEnoughReplicas));
    assert_eq!(client.fetch("t", 0, 0, 0).await, (Vec::new(), 0));
    broker.stop().await;
}
