//! Starting and stopping: one clear error for what cannot be, a restart that keeps everything, health and metrics.

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use logmill_broker::Error;

use crate::client::{TestBroker, batch, config};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_keeps_topics_records_and_the_cluster_id() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(dir.path()).await;
    let mut client = broker.client().await;
    client.create_topic("kept", 2).await;
    assert_eq!(client.produce("kept", 1, &batch(&["a", "b"])).await, Ok(0));
    let before = client.metadata("kept").await;
    broker.stop().await;

    let broker = TestBroker::start(dir.path()).await;
    let mut client = broker.client().await;
    let after = client.metadata("kept").await;
    assert_eq!((&before.cluster_id, &before.topics), (&after.cluster_id, &after.topics));
    assert_eq!(client.fetch("kept", 1, 0, 0).await, (vec!["a".to_owned(), "b".to_owned()], 2));
    assert_eq!(client.produce("kept", 1, &batch(&["c"])).await, Ok(2));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_directory_has_one_broker() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(dir.path()).await;
    let second = TestBroker::with(config(dir.path(), "")).await;
    let error = second.err().expect("the directory is locked");
    assert!(matches!(error, Error::DataDirLocked { .. }), "{error}");
    assert!(error.to_string().contains("in use by another broker"), "{error}");
    broker.stop().await;
    TestBroker::start(dir.path()).await.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path(), "");
    config.listeners[0].listen = address;
    let error = TestBroker::with(config).await.err().expect("the port is taken").to_string();
    assert!(error.starts_with(&format!("cannot listen on {address}: ")), "{error}");
    assert!(error.contains("another program listens there"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unusable_data_directory_and_a_wrong_topic_setting_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "x").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
    let error = TestBroker::with(config(&file.join("data"), "")).await.err().unwrap().to_string();
    assert!(error.contains("file/data"), "{error}");

    let wrong = config(&dir.path().join("data"), "topics: { config: { segment.size: 5 } }");
    let error = TestBroker::with(wrong).await.err().unwrap().to_string();
    assert!(error.contains("Unknown topic config name: segment.size"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_and_metrics_tell_what_happens() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(dir.path()).await;
    let context = broker.context.clone();
    assert!(context.health.is_ready());
    let mut client = broker.client().await;
    client.create_topic("counted", 1).await;
    client.produce("counted", 0, &batch(&["a", "b", "c"])).await.unwrap();
    client.fetch("counted", 0, 0, 0).await;
    let gathered = |name: &str| -> f64 {
        let family = context.metrics.gather().into_iter().find(|family| family.name() == name).unwrap();
        let metric = &family.get_metric()[0];
        metric.get_counter().get_value() + metric.get_gauge().get_value()
    };
    assert_eq!(gathered("logmill_broker_messages_in_total"), 3.0);
    assert!(gathered("logmill_broker_bytes_in_total") > 61.0);
    assert_eq!(gathered("logmill_broker_bytes_in_total"), gathered("logmill_broker_bytes_out_total"));
    assert_eq!(gathered("logmill_broker_connections"), 1.0);
    assert!(gathered("logmill_broker_commits_total") >= 1.0);
    assert!(gathered("logmill_broker_log_bytes") > 61.0);
    assert_eq!(gathered("logmill_broker_partition_count"), 1.0);
    assert_eq!(gathered("logmill_broker_leader_count"), 1.0);
    assert_eq!(gathered("logmill_broker_under_min_isr_partition_count"), 0.0);
    assert_eq!(gathered("logmill_broker_fetch_requests_total"), 1.0);
    let families = context.metrics.gather();
    let family = |name: &str| families.iter().find(|family| family.name() == name).unwrap().get_metric();
    let flushes = family("logmill_broker_log_flush_seconds")[0].get_histogram();
    assert_eq!(flushes.get_sample_count() as f64, gathered("logmill_broker_commits_total"));
    assert!(flushes.get_bucket().last().unwrap().cumulative_count() >= 1 && flushes.get_sample_sum() > 0.0);
    let time_of = |api: &str, stage: &str| {
        let has = |value| move |label: &prometheus::proto::LabelPair| label.value() == value;
        let of = |metric: &&prometheus::proto::Metric| {
            metric.get_label().iter().any(has(api)) && metric.get_label().iter().any(has(stage))
        };
        let metric = family("logmill_broker_request_stage_seconds_total").iter().find(of).unwrap();
        metric.get_counter().get_value()
    };
    for (api, stage) in [
        ("Produce", "local"),
        ("Produce", "remote"),
        ("Produce", "response_send"),
        ("Fetch", "local"),
        ("Fetch", "response_queue"),
    ] {
        assert!(time_of(api, stage) > 0.0, "{api} {stage}");
    }
    assert_eq!(time_of("Fetch", "remote"), 0.0, "there was something to read");
    broker.stop().await;
    assert!(!context.health.is_ready());
}

/// A client that waits for records must not hold up the stop.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_ends_long_polls() {
    let dir = tempfile::tempdir().unwrap();
    let broker = TestBroker::start(dir.path()).await;
    let mut client = broker.client().await;
    client.create_topic("quiet", 1).await;
    let polling = tokio::spawn(async move { client.fetch("quiet", 0, 0, 60_000).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let start = tokio::time::Instant::now();
    broker.stop().await;
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert_eq!(polling.await.unwrap().0, Vec::<String>::new());
}
