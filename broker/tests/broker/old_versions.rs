//! A client of the 0.9 age: message sets in, message sets out. And fetch sessions, key checks, compression by the broker.

use logmill_protocol::{
    ErrorCode,
    codec::RecordsOut,
    compression::Compression,
    messages::{
        create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse},
        fetch::{FetchRequest, FetchResponse},
        produce::ProduceResponse,
    },
    records::{Batch, Batches, DownConverter, up_convert},
};

use crate::client::{TestBroker, batch, fetch_request, produce_request, values};

async fn started(config: &[(&str, &str)]) -> (tempfile::TempDir, TestBroker, crate::client::Client) {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(dir.path()).await;
    let mut client = broker.client().await;
    let configs = config.iter().map(|&(name, value)| CreatableTopicConfig { name, value: Some(value) }).collect();
    let topic = CreatableTopic { name: "t", num_partitions: 3, replication_factor: 1, configs, ..Default::default() };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 5000, validate_only: false };
    let response: CreateTopicsResponse<'_> = client.call(7, &request).await;
    assert_eq!(response.topics[0].error_code, ErrorCode::None, "{:?}", response.topics[0].error_message);
    (dir, broker, client)
}

fn message_set(magic: i8, values: &[&str]) -> Vec<u8> {
    let bytes = batch(values);
    let mut converter = DownConverter::new(magic, 0, 1 << 20);
    converter.push(&Batch::split(&bytes).unwrap().0, 1 << 20).unwrap();
    converter.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn version_0_produces_and_fetches_beside_the_newest() {
    let (_dir, broker, mut client) = started(&[]).await;
    for (version, magic) in [(0, 0), (1, 0), (2, 1)] {
        let set = message_set(magic, &["a", "b"]);
        let response: ProduceResponse<'_> = client.call(version, &produce_request("t", 0, -1, &set)).await;
        let answer = &response.responses[0].partition_responses[0];
        assert_eq!((answer.error_code, answer.base_offset), (ErrorCode::None, i64::from(version) * 2));
    }
    let refused: ProduceResponse<'_> = client.call(3, &produce_request("t", 0, -1, &message_set(1, &["a"]))).await;
    assert_eq!(refused.responses[0].partition_responses[0].error_code, ErrorCode::InvalidRecord);
    assert_eq!(client.produce("t", 0, &batch(&["new"])).await, Ok(6));
    assert_eq!(client.fetch("t", 0, 0, 0).await, (["a", "b", "a", "b", "a", "b", "new"].map(String::from).to_vec(), 7));
    for version in 0..=3 {
        // From the middle of a batch on.
        let response: FetchResponse<'_> = client.call(version, &fetch_request("t", 0, 3, 0, 1 << 20)).await;
        let data = &response.responses[0].partitions[0];
        assert_eq!((data.error_code, data.high_watermark), (ErrorCode::None, 7));
        let RecordsOut::Bytes(set) = &data.records else { panic!("no records in version {version}") };
        assert_eq!(set[16], u8::from(version > 1), "the magic of version {version}");
        assert_eq!(i64::from_be_bytes(*set.first_chunk::<8>().unwrap()), 3);
        let converted = up_convert(set, 1 << 20).unwrap();
        assert_eq!(values(&RecordsOut::Bytes(converted.into())), ["b", "a", "b", "new"]);
    }
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fetch_session_answers_what_is_new() {
    let (_dir, broker, mut client) = started(&[]).await;
    client.produce("t", 0, &batch(&["a"])).await.unwrap();
    let mut full = fetch_request("t", 0, 0, 0, 1 << 20);
    full.session_epoch = 0;
    let mut others = vec![full.topics[0].partitions[0].clone(); 2];
    (others[0].partition, others[1].partition) = (1, 2);
    full.topics[0].partitions.append(&mut others);
    let first: FetchResponse<'_> = client.call(12, &full).await;
    assert!(first.session_id > 0);
    assert_eq!(first.responses[0].partitions.len(), 3);
    let id = first.session_id;
    let mut epoch = 0;
    let mut next = |topics| {
        epoch += 1;
        FetchRequest { session_id: id, session_epoch: epoch, min_bytes: 1, topics, ..Default::default() }
    };
    let mut moved = fetch_request("t", 0, 1, 0, 1 << 20).topics;
    let second: FetchResponse<'_> = client.call(12, &next(std::mem::take(&mut moved))).await;
    assert_eq!((second.session_id, second.error_code, second.responses.len()), (id, ErrorCode::None, 0));
    client.produce("t", 2, &batch(&["b"])).await.unwrap();
    let third: FetchResponse<'_> = client.call(12, &next(Vec::new())).await;
    let told: Vec<_> = third.responses.iter().flat_map(|t| &t.partitions).map(|p| p.partition_index).collect();
    assert_eq!(told, [2]);
    assert_eq!(values(&third.responses[0].partitions[0].records), ["b"]);
    let wrong = FetchRequest { session_id: id, session_epoch: 9, ..Default::default() };
    let response: FetchResponse<'_> = client.call(12, &wrong).await;
    assert_eq!(response.error_code, ErrorCode::InvalidFetchSessionEpoch);
    let unknown = FetchRequest { session_id: id ^ 1, session_epoch: 1, ..Default::default() };
    let response: FetchResponse<'_> = client.call(12, &unknown).await;
    assert_eq!(response.error_code, ErrorCode::FetchSessionIdNotFound);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_asks_for_keys_compression_and_replicas() {
    let (_dir, broker, mut client) = started(&[("cleanup.policy", "compact")]).await;
    let response: ProduceResponse<'_> = client.call(9, &produce_request("t", 0, -1, &batch(&["a", "b"]))).await;
    let answer = &response.responses[0].partition_responses[0];
    let places: Vec<_> = answer.record_errors.iter().map(|error| error.batch_index).collect();
    assert_eq!((answer.error_code, places), (ErrorCode::InvalidRecord, vec![0, 1]));
    broker.stop().await;

    let (_dir, broker, mut client) = started(&[("compression.type", "zstd")]).await;
    client.produce("t", 0, &batch(&["a", "b"])).await.unwrap();
    let response: FetchResponse<'_> = client.call(12, &fetch_request("t", 0, 0, 0, 1 << 20)).await;
    let RecordsOut::Bytes(bytes) = &response.responses[0].partitions[0].records else { panic!("no records") };
    let stored = Batches::new(bytes).next().unwrap().unwrap();
    assert_eq!(stored.header.attributes.compression(), Ok(Compression::Zstd));
    broker.stop().await;

    let (_dir, broker, mut client) = started(&[("min.insync.replicas", "2")]).await;
    assert_eq!(client.produce("t", 0, &batch(&["a"])).await, Err(ErrorCode::NotEnoughReplicas));
    let response: ProduceResponse<'_> = client.call(9, &produce_request("t", 0, 1, &batch(&["a"]))).await;
    assert_eq!(response.responses[0].partition_responses[0].error_code, ErrorCode::None);
    broker.stop().await;
}
