//! What the sinks say of themselves while a destination is away, and once it is back.

use std::time::Duration;

use serde_json::Value;

use super::whole::{Stage, To, document};
use crate::clock;

async fn told(stage: &Stage) -> Vec<Value> {
    let text = stage.context.pages.answer("status.json").await.unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Asks until the partitions are as wished for.
async fn until(stage: &Stage, what: &str, holds: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let deadline = clock::now() + Duration::from_secs(40);
    loop {
        let partitions = told(stage).await;
        if holds(&partitions) {
            return partitions;
        }
        assert!(clock::now() < deadline, "waited in vain until {what}: {partitions:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn sum(partitions: &[Value], field: &str) -> u64 {
    partitions.iter().filter_map(|p| p[field].as_u64()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lag_grows_while_nothing_is_fetched_and_the_last_error_stays() {
    let mut stage = Stage::new(To::Elasticsearch, 2).await;
    let long = format!(",\"x\":\"{}\"", "y".repeat(5000));
    for n in 0..600u128 {
        stage.produce((n % 2) as i32, n, &document(n, &long)).await;
    }
    let mut config = stage.config();
    config.buffer_bytes = 2 << 20;
    stage.server.set_all(Some((503, "x")));
    stage.start_with(config);
    let waits = |partitions: &[Value]| {
        partitions.len() == 2 && partitions.iter().all(|p| p["state"].as_str().unwrap().starts_with("waits for unav"))
    };
    until(&stage, "both wait and age", |p| waits(p) && p.iter().all(|p| p["lag_seconds"].as_u64() >= Some(1))).await;
    // Reading is paused by now: these are seen all the same.
    for n in 600..640u128 {
        stage.produce((n % 2) as i32, n, &document(n, &long)).await;
    }
    let partitions = until(&stage, "all are known", |p| sum(p, "lag") == 640).await;
    let in_flight = sum(&partitions, "in_flight");
    assert!(in_flight > 0 && in_flight < 600, "{partitions:?}");
    assert!(partitions.iter().all(|p| p["committed"].is_null() && p["end"] == 320), "{partitions:?}");
    let metrics = stage.context.metrics.gather();
    let gauge = |name: &str| {
        let family = metrics.iter().find(|f| f.name() == name).unwrap();
        family.get_metric()[0].get_gauge().get_value()
    };
    assert!(gauge("logmill_sinks_lag_records") >= 600.0 && gauge("logmill_sinks_lag_seconds") >= 1.0);

    stage.server.set_all(None);
    let caught_up = |p: &[Value]| p.iter().all(|p| p["state"] == "caught up" && p["committed"] == 320);
    let partitions = until(&stage, "both have caught up", caught_up).await;
    assert_eq!((sum(&partitions, "lag"), sum(&partitions, "lag_seconds"), sum(&partitions, "in_flight")), (0, 0, 0));
    for partition in &partitions {
        assert!(partition["last_error"].as_str().unwrap().contains("503"), "{partition}");
        assert!(partition["last_error_at"].as_str().unwrap().ends_with('Z'), "{partition}");
    }
    let table = stage.context.pages.answer("status").await.unwrap();
    assert_eq!(table.lines().count(), 4, "{table}");
    stage.stop().await;
}
