//! Peers that speak something else, or worse: the broker closes their connections, keeps its memory and serves the others.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{PATIENCE, TestBroker, batch, config};

/// Anonymous memory of this process in bytes.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Sends bytes and waits until the broker closes; `false` if it does not.
async fn closes(broker: &TestBroker, bytes: &[u8], half_close: bool) -> bool {
    let mut stream = broker.client().await.stream;
    // The broker may close while we still send.
    drop(stream.write_all(bytes).await);
    if half_close {
        drop(stream.shutdown().await);
    }
    let mut sink = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut sink)).await.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lengths_that_no_request_has_close_the_connection() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(dir.path()).await;
    for bytes in [
        &[0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0][..],
        &[0xff; 64],
        &[0; 64],
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        // A client that speaks TLS.
        &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03],
    ] {
        assert!(closes(&broker, bytes, false).await, "{bytes:?}");
    }
    let mut client = broker.client().await;
    client.create_topic("t", 1).await;
    assert_eq!(client.produce("t", 0, &batch(&["still here"])).await, Ok(0));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claimed_lengths_and_counts_reserve_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(dir.path()).await;
    // Warm.
    broker.client().await.create_topic("t", 1).await;
    let before = memory();
    // Claims 100 MB each and sends next to nothing.
    let mut open = Vec::new();
    for _ in 0..100 {
        let mut stream = broker.client().await.stream;
        stream.write_all(&[0x05, 0xf5, 0xe1, 0, 0, 3]).await.unwrap();
        open.push(stream);
    }
    // Metadata version 1 with two thousand million topics, Produce and Fetch likewise.
    for (key, version) in [(3i16, 1i16), (0, 3), (1, 4), (2, 1), (19, 2), (20, 1), (32, 1)] {
        let mut body = Vec::new();
        body.extend(key.to_be_bytes());
        body.extend(version.to_be_bytes());
        body.extend([0, 0, 0, 1, 0xff, 0xff]);
        body.extend([0x7f; 40]);
        let frame = [&(body.len() as u32).to_be_bytes()[..], &body].concat();
        assert!(closes(&broker, &frame, true).await, "api {key}");
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let grown = memory().saturating_sub(before);
    assert!(grown < 24 << 20, "{grown} bytes more");
    drop(open);
    let mut client = broker.client().await;
    assert_eq!(client.produce("t", 0, &batch(&["still here"])).await, Ok(0));
    broker.stop().await;
}

/// Those who hold the request budget by sending nothing hold up large requests only for a while, small ones not at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_bytes_do_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::with(config(dir.path(), "")).await.unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..400 {
        let len = random.usize(0..300);
        let mut body: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(len).collect();
        // Mostly past the outer checks: a real length, a served key and version.
        if round % 4 != 0 && body.len() >= 12 {
            let (key, max) = [
                (0, 13),
                (1, 18),
                (2, 11),
                (3, 13),
                (18, 4),
                (19, 7),
                (20, 6),
                (22, 5),
                (32, 4),
                (37, 3),
                (60, 2),
                (75, 0),
            ][random.usize(0..12)];
            body[..4].copy_from_slice(&[0, key, 0, random.u8(0..=max)]);
            body[8..10].copy_from_slice(&[0xff, 0xff]);
        }
        let frame = [&(body.len() as u32).to_be_bytes()[..], &body].concat();
        assert!(closes(&broker, &frame, true).await, "round {round}: {frame:?}");
    }
    let mut client = broker.client().await;
    client.create_topic("after", 1).await;
    assert_eq!(client.produce("after", 0, &batch(&["still here"])).await, Ok(0));
    broker.stop().await;
}
