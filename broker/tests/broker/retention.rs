//! Retention altered by name on a topic that is written to: segments go with the next look, and no more once it is taken back.

use std::{path::Path, time::Duration};

use logmill_protocol::{
    ErrorCode,
    compression::Compression,
    records::{BatchBuilder, NewRecord},
};

use crate::{
    client::{Client, PATIENCE, TestBroker, batch},
    configs::alter_topic,
};

/// Segments of a topic of one partition.
fn segments(dir: &Path, topic: &str) -> usize {
    let entries = std::fs::read_dir(dir.join(format!("{topic}-0"))).unwrap();
    entries.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|found| found == "log")).count()
}

async fn alter(client: &mut Client, topic: &str, name: &str, value: Option<&str>) {
    let operation = i8::from(value.is_none());
    assert_eq!(alter_topic(client, topic, &[(name, operation, value)]).await, ErrorCode::None, "{name}");
}

async fn produce(client: &mut Client, topic: &str) {
    for _ in 0..40 {
        client.produce(topic, 0, &batch(&["a record of which a dozen fill a segment"; 2])).await.unwrap();
    }
}

/// The time comes when the broker looks at what may go.
async fn look() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(301)).await;
    tokio::time::resume();
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "{what}");
}

// One thread: its time can be moved.
#[tokio::test]
async fn what_has_no_timestamp_is_as_old_as_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(dir.path()).await;
    let mut client = broker.client().await;
    client.create_topic("a", 1).await;
    let mut builder = BatchBuilder::new(Compression::None);
    builder.push(NewRecord { timestamp: -1, value: Some(b"of before Kafka 0.10"), ..NewRecord::default() });
    client.produce("a", 0, &builder.build().unwrap()).await.unwrap();
    let segment = std::fs::File::options().write(true).open(dir.path().join("a-0/00000000000000000000.log")).unwrap();
    segment.set_modified(std::time::UNIX_EPOCH).unwrap();
    alter(&mut client, "a", "retention.ms", Some("60000")).await;
    look().await;
    until("what is too old goes", || segments(dir.path(), "a") == 0).await;
    broker.stop().await;
}

// One thread: its time can be moved.
#[tokio::test]
async fn old_segments_go_as_the_topic_says_now() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(dir.path()).await;
    let mut client = broker.client().await;
    let dir = dir.path();
    for topic in ["a", "b"] {
        client.create_topic(topic, 1).await;
        alter(&mut client, topic, "segment.bytes", Some("1500")).await;
        produce(&mut client, topic).await;
        assert!(segments(dir, topic) >= 4);
    }
    let all = segments(dir, "b");
    alter(&mut client, "a", "retention.bytes", Some("1500")).await;
    look().await;
    until("what is too much goes", || segments(dir, "a") == 2).await;
    assert_eq!(segments(dir, "b"), all);

    alter(&mut client, "a", "retention.bytes", None).await;
    produce(&mut client, "a").await;
    let kept = segments(dir, "a");
    // The logs are looked at by their names: when these have gone, the others were looked at.
    alter(&mut client, "b", "retention.ms", Some("1")).await;
    look().await;
    until("what is too old goes", || segments(dir, "b") == 0).await;
    assert_eq!(segments(dir, "a"), kept);

    alter(&mut client, "b", "retention.ms", None).await;
    produce(&mut client, "b").await;
    let kept = segments(dir, "b");
    alter(&mut client, "a", "retention.ms", Some("1")).await;
    look().await;
    until("what is too old goes", || segments(dir, "a") == 0).await;
    produce(&mut client, "a").await;
    assert_eq!(segments(dir, "b"), kept);
    broker.stop().await;
}
