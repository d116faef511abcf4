//! Settings of a topic altered by name while it is written to: each does what it says from then on.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use logmill_protocol::{
    ErrorCode,
    codec::RecordsOut,
    compression::Compression,
    messages::{
        delete_records::{DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopic},
        fetch::FetchResponse,
        produce::ProduceResponse,
    },
    records::{BatchBuilder, Batches, NewRecord},
};

use crate::{
    client::{Client, PATIENCE, TestBroker, batch, config, fetch_request, produce_request},
    configs::alter_topic,
};

async fn set(client: &mut Client, name: &str, value: &str) {
    assert_eq!(alter_topic(client, "t", &[(name, 0, Some(value))]).await, ErrorCode::None, "{name}");
}

async fn unset(client: &mut Client, name: &str) {
    assert_eq!(alter_topic(client, "t", &[(name, 1, None)]).await, ErrorCode::None, "{name}");
}

fn now() -> i64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64
}

fn of_time(timestamp: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.push(NewRecord { timestamp, value: Some(&[b'x'; 100]), ..NewRecord::default() });
    builder.build().unwrap()
}

/// Files of the partition with this extension, by their base offsets.
fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let all = std::fs::read_dir(dir.join("t-0")).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = all.filter(|path| path.extension().is_some_and(|found| found == extension)).collect();
    found.sort();
    found
}

async fn started(more: &str) -> (tempfile::TempDir, TestBroker, Client) {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::with(config(dir.path(), more)).await.unwrap();
    let mut client = broker.client().await;
    client.create_topic("t", 1).await;
    client.produce("t", 0, &of_time(now())).await.unwrap();
    (dir, broker, client)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_produced_is_checked_and_stored_as_the_topic_says_now() {
    let (_dir, broker, mut client) = started("").await;
    let old = of_time(now() - 10_000);
    client.produce("t", 0, &old).await.unwrap();
    set(&mut client, "message.timestamp.before.max.ms", "1000").await;
    assert_eq!(client.produce("t", 0, &old).await, Err(ErrorCode::InvalidTimestamp));
    unset(&mut client, "message.timestamp.before.max.ms").await;
    let early = of_time(now() + 60_000);
    client.produce("t", 0, &early).await.unwrap();
    set(&mut client, "message.timestamp.after.max.ms", "1000").await;
    assert_eq!(client.produce("t", 0, &early).await, Err(ErrorCode::InvalidTimestamp));

    let before = now();
    set(&mut client, "message.timestamp.type", "LogAppendTime").await;
    let response: ProduceResponse<'_> = client.call(9, &produce_request("t", 0, -1, &early)).await;
    assert!((before..=now()).contains(&response.responses[0].partition_responses[0].log_append_time_ms));

    set(&mut client, "compression.type", "zstd").await;
    let at = client.produce("t", 0, &batch(&["a", "b"])).await.unwrap();
    let response: FetchResponse<'_> = client.call(12, &fetch_request("t", 0, at, 0, 1 << 20)).await;
    let RecordsOut::Bytes(bytes) = &response.responses[0].partitions[0].records else { panic!("no records") };
    let stored = Batches::new(bytes).next().unwrap().unwrap();
    assert_eq!(stored.header.attributes.compression(), Ok(Compression::Zstd));

    set(&mut client, "min.insync.replicas", "2").await;
    assert_eq!(client.produce("t", 0, &batch(&["a"])).await, Err(ErrorCode::NotEnoughReplicas));
    set(&mut client, "min.insync.replicas", "1").await;
    set(&mut client, "cleanup.policy", "compact").await;
    assert_eq!(client.produce("t", 0, &batch(&["no key"])).await, Err(ErrorCode::InvalidRecord));
    set(&mut client, "cleanup.policy", "delete").await;
    client.produce("t", 0, &batch(&["no key"])).await.unwrap();
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_are_closed_indexed_reserved_and_deleted_as_the_topic_says_now() {
    let (dir, broker, mut client) = started("").await;
    let dir = dir.path();
    let produce = async |client: &mut Client, count: i64| {
        for _ in 0..count {
            client.produce("t", 0, &of_time(now())).await.unwrap();
        }
    };
    let logs = || files(dir, "log").len();
    produce(&mut client, 20).await;
    assert_eq!(logs(), 1);
    set(&mut client, "segment.bytes", "1500").await;
    produce(&mut client, 20).await;
    assert!((3..6).contains(&logs()), "{}", logs());
    // Closed without an entry, since each has fewer bytes than are between two.
    let entries = |path: &PathBuf| std::fs::metadata(path.with_extension("index")).unwrap().len() / 8;
    assert_eq!(entries(&files(dir, "log")[1]), 0);
    set(&mut client, "index.interval.bytes", "200").await;
    let before = logs();
    produce(&mut client, 20).await;
    assert!(entries(&files(dir, "log")[before]) > 1);

    set(&mut client, "segment.bytes", "8388608").await;
    set(&mut client, "segment.ms", "1").await;
    let before = logs();
    tokio::time::sleep(Duration::from_millis(3)).await;
    produce(&mut client, 1).await;
    assert_eq!(logs(), before + 1);
    set(&mut client, "segment.ms", "604800000").await;

    let reserved = || files(dir, "log").last().unwrap().metadata().unwrap().blocks() * 512;
    assert!(reserved() < 1 << 20, "{}", reserved());
    set(&mut client, "preallocate", "true").await;
    set(&mut client, "segment.bytes", "4194304").await;
    set(&mut client, "segment.ms", "1").await;
    tokio::time::sleep(Duration::from_millis(3)).await;
    produce(&mut client, 1).await;
    assert!(reserved() >= 4 << 20, "{}", reserved());
    assert!(files(dir, "log").last().unwrap().metadata().unwrap().len() < 1000);

    let delete = async |client: &mut Client, offset| {
        let partitions = vec![DeleteRecordsPartition { partition_index: 0, offset }];
        let topics = vec![DeleteRecordsTopic { name: "t", partitions }];
        let response: DeleteRecordsResponse<'_> =
            client.call(2, &DeleteRecordsRequest { topics, timeout_ms: 5000 }).await;
        assert_eq!(response.topics[0].partitions[0].error_code, ErrorCode::None);
    };
    let before = logs();
    delete(&mut client, 30).await;
    let kept = files(dir, "deleted").len();
    assert!(logs() < before && kept > 0, "a minute is the default");
    set(&mut client, "file.delete.delay.ms", "0").await;
    delete(&mut client, 50).await;
    let gone = async {
        while files(dir, "deleted").len() > kept {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.unwrap();
    assert_eq!(files(dir, "deleted").len(), kept);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_synced_as_often_as_the_topic_says_now() {
    let (_dir, broker, mut client) = started("durability: page-cache\n").await;
    let commits = |broker: &TestBroker| {
        let families = broker.context.metrics.gather();
        let family = families.iter().find(|family| family.name() == "logmill_broker_commits_total").unwrap();
        family.get_metric()[0].get_counter().get_value()
    };
    // The first names of a log are synced whatever its settings.
    let before = commits(&broker);
    client.produce("t", 0, &batch(&["a"])).await.unwrap();
    assert_eq!(commits(&broker), before);
    set(&mut client, "flush.messages", "1").await;
    client.produce("t", 0, &batch(&["b"])).await.unwrap();
    assert!(commits(&broker) > before);
    broker.stop().await;
}
