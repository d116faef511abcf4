//! A broker to test, and a client that speaks the protocol directly.

use std::{net::SocketAddr, path::Path, time::Duration};

use logmill_broker::{Error, RunningBroker};
use logmill_config::{ConfigFile, broker::BrokerConfig};
use logmill_daemon::context::Context;
use logmill_protocol::{
    ApiMessage, ErrorCode, Reader, ResponseHeader,
    codec::RecordsOut,
    compression::Compression,
    framing,
    messages::{
        create_topics::{CreatableTopic, CreateTopicsRequest, CreateTopicsResponse},
        fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic},
        metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse},
        produce::{PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData},
    },
    records::{BatchBuilder, Batches, NewRecord},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn config(dir: &Path, more: &str) -> BrokerConfig {
    let text = format!("data_dir: {}\nlisteners: [ {{ listen: \"127.0.0.1:0\" }} ]\n{more}", dir.display());
    let mut config = BrokerConfig::parse("broker.yaml", &text).unwrap();
    // Tests may run on a nearly full disk.
    config.free_space_reserve = 0;
    config
}

pub struct TestBroker {
    pub address: SocketAddr,
    pub context: Context,
    running: RunningBroker,
}

impl TestBroker {
    pub async fn start(dir: &Path) -> Self {
        Self::with(config(dir, "")).await.unwrap()
    }

    pub async fn with(config: BrokerConfig) -> Result<Self, Error> {
        let context = Context::new();
        let running = RunningBroker::start(config, context.clone()).await?;
        Ok(Self { address: running.addresses()[0], context, running })
    }

    pub async fn client(&self) -> Client {
        Client { stream: TcpStream::connect(self.address).await.unwrap(), correlation_id: 0 }
    }

    pub async fn stop(self) {
        self.context.stop.cancel();
        timeout(PATIENCE, self.running.wait()).await.expect("the broker stops").unwrap();
    }
}

pub struct Client {
    pub stream: TcpStream,
    correlation_id: i32,
}

impl Client {
    pub async fn send<'a, M: ApiMessage<'a>>(&mut self, version: i16, request: &M) {
        self.correlation_id += 1;
        let frame = framing::encode_request(self.correlation_id, Some("test"), version, request).unwrap();
        self.stream.write_all(&frame.bytes).await.unwrap();
    }

    /// The next response's bytes; `None` if the broker closed the connection.
    pub async fn receive_bytes(&mut self) -> Option<Vec<u8>> {
        timeout(PATIENCE, async {
            let mut length = [0; 4];
            self.stream.read_exact(&mut length).await.ok()?;
            let mut body = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
            self.stream.read_exact(&mut body).await.ok()?;
            Some(body)
        })
        .await
        .expect("an answer in time")
    }

    /// Decoded and leaked, so that responses can borrow: tests are short.
    pub async fn receive<M: ApiMessage<'static>>(&mut self, version: i16, correlation_id: i32) -> M {
        let body: &'static [u8] = self.receive_bytes().await.expect("the connection stays open").leak();
        let mut reader = Reader::new(body);
        let header = ResponseHeader::decode(&mut reader, M::KEY, version).unwrap();
        assert_eq!(header.correlation_id, correlation_id);
        let response = M::decode(&mut reader, version).unwrap();
        reader.finish().unwrap();
        response
    }

    /// The answer to the last request sent.
    pub async fn receive_next<M: ApiMessage<'static>>(&mut self, version: i16) -> M {
        self.receive(version, self.correlation_id).await
    }

    pub async fn call<'a, Q: ApiMessage<'a>, A: ApiMessage<'static>>(&mut self, version: i16, request: &Q) -> A {
        self.send(version, request).await;
        self.receive(version, self.correlation_id).await
    }

    pub async fn create_topic(&mut self, name: &str, partitions: i32) {
        let topic = CreatableTopic { name, num_partitions: partitions, replication_factor: 1, ..Default::default() };
        let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 5000, validate_only: false };
        let response: CreateTopicsResponse<'_> = self.call(7, &request).await;
        assert_eq!(response.topics[0].error_code, ErrorCode::None, "{:?}", response.topics[0].error_message);
    }

    pub async fn metadata(&mut self, topic: &str) -> MetadataResponse<'static> {
        let topics = Some(vec![MetadataRequestTopic { name: Some(topic), ..Default::default() }]);
        self.call(12, &MetadataRequest { topics, ..Default::default() }).await
    }

    /// Produces one batch; gives the base offset.
    pub async fn produce(&mut self, topic: &str, partition: i32, batch: &[u8]) -> Result<i64, ErrorCode> {
        let response: ProduceResponse<'_> = self.call(9, &produce_request(topic, partition, -1, batch)).await;
        let answer = &response.responses[0].partition_responses[0];
        if answer.error_code.is_none() { Ok(answer.base_offset) } else { Err(answer.error_code) }
    }

    /// The values from `offset` on, and the high watermark.
    pub async fn fetch(&mut self, topic: &str, partition: i32, offset: i64, max_wait_ms: i32) -> (Vec<String>, i64) {
        let response: FetchResponse<'_> =
            self.call(12, &fetch_request(topic, partition, offset, max_wait_ms, i32::MAX)).await;
        assert_eq!((response.error_code, response.session_id), (ErrorCode::None, 0));
        let data = &response.responses[0].partitions[0];
        assert_eq!(data.error_code, ErrorCode::None);
        (values(&data.records), data.high_watermark)
    }
}

pub fn produce_request<'a>(topic: &'a str, index: i32, acks: i16, batch: &'a [u8]) -> ProduceRequest<'a> {
    let partition_data = vec![PartitionProduceData { index, records: Some(batch) }];
    let topic_data = vec![TopicProduceData { name: topic, partition_data, ..Default::default() }];
    ProduceRequest { acks, timeout_ms: 10_000, topic_data, ..Default::default() }
}

pub fn fetch_request(
    topic: &str,
    partition: i32,
    fetch_offset: i64,
    max_wait_ms: i32,
    partition_max_bytes: i32,
) -> FetchRequest<'_> {
    let partitions = vec![FetchPartition { partition, fetch_offset, partition_max_bytes, ..Default::default() }];
    let topics = vec![FetchTopic { topic, partitions, ..Default::default() }];
    FetchRequest { max_wait_ms, min_bytes: 1, topics, ..Default::default() }
}

pub fn values(records: &RecordsOut<'_>) -> Vec<String> {
    let RecordsOut::Bytes(bytes) = records else { return Vec::new() };
    let mut all = Vec::new();
    for batch in Batches::new(bytes) {
        let batch = batch.unwrap();
        batch.check_crc().unwrap();
        let data = batch.decompress(1 << 20).unwrap();
        for record in batch.records_in(&data) {
            all.push(String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap());
        }
    }
    all
}

pub fn batch(values: &[&str]) -> Vec<u8> {
    batch_of(values, None)
}

/// `producer` is id, epoch and first sequence.
pub fn batch_of(values: &[&str], producer: Option<(i64, i16, i32)>) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None);
    if let Some((id, epoch, sequence)) = producer {
        builder = builder.producer(id, epoch, sequence);
    }
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64;
    for value in values {
        builder.push(NewRecord { timestamp: now, key: None, value: Some(value.as_bytes()), headers: &[] });
    }
    builder.build().unwrap()
}
