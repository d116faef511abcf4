//! The conformance suite: whole sinks between librdkafka's mock cluster and a server that misbehaves, with every connector.

use std::{collections::BTreeMap, time::Duration};

use logmill_config::{
    ConfigFile,
    kafka::{Compression, KafkaConfig},
    sinks::{self, DeadLetters, Output, Retry, Sink, SinksConfig},
};
use logmill_daemon::context::Context;
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::{Header, Headers, OwnedHeaders},
    mocking::MockCluster,
    producer::{DefaultProducerContext, FutureProducer, FutureRecord},
};

use super::{
    conformance,
    server::{Server, Trick},
};
use crate::{clock, ledger::Ledger};

const PATIENCE: Duration = Duration::from_secs(40);

/// What a sink delivers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum To {
    Elasticsearch,
    Webhook,
    WebhookInBatches,
}

/// Those that a server takes, and refuses.
const EVERY: [To; 3] = [To::Elasticsearch, To::Webhook, To::WebhookInBatches];

impl To {
    fn output(self, url: &str) -> Output {
        match self {
            To::Elasticsearch => Output::Elasticsearch(conformance::settings(url)),
            To::Webhook => Output::Webhook(webhook(url, 1)),
            To::WebhookInBatches => Output::Webhook(webhook(url, 20)),
        }
    }
}

pub(super) fn webhook(url: &str, batch: usize) -> sinks::Webhook {
    let text = format!(
        "sinks: [{{ name: a, topics: [t], webhook: {{ url: '{url}/hook/events', batch: {batch}, linger: 20ms, timeout: 1s }} }}]"
    );
    let config = SinksConfig::parse_with("s", &text, &|_| None).unwrap();
    let Output::Webhook(webhook) = config.sinks[0].output.clone() else { panic!() };
    webhook
}

pub(super) struct Stage {
    to: To,
    pub(super) cluster: MockCluster<'static, DefaultProducerContext>,
    pub(super) server: Server,
    pub(super) producer: FutureProducer,
    pub(super) context: Context,
    running: Option<tokio::task::JoinHandle<()>>,
}

impl Stage {
    pub(super) async fn new(to: To, partitions: i32) -> Self {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("logs", partitions, 1).unwrap();
        cluster.create_topic("logs.dead", 1, 1).unwrap();
        let producer = ClientConfig::new()
            .set("bootstrap.servers", cluster.bootstrap_servers())
            .set("linger.ms", "1")
            .create()
            .unwrap();
        Stage { to, cluster, server: Server::start().await, producer, context: Context::new(), running: None }
    }

    pub(super) fn config(&self) -> SinksConfig {
        let sink = Sink {
            name: "app".into(),
            topics: vec!["logs".into()],
            group: "g".into(),
            instance_id: None,
            start: sinks::Start::Earliest,
            decode: sinks::Decode::Json,
            when: None,
            transform: None,
            enrich: None,
            output: self.to.output(&self.server.url),
            retry: Retry { initial: Duration::from_millis(10), max: Duration::from_millis(100) },
            dead_letters: DeadLetters { topic: "logs.dead".into(), alarm_per_minute: 100 },
        };
        SinksConfig {
            kafka: KafkaConfig {
                brokers: vec![self.cluster.bootstrap_servers()],
                compression: Compression::None,
                properties: BTreeMap::new(),
            },
            sinks: vec![sink],
            buffer_bytes: 8 << 20,
            metrics: ([127, 0, 0, 1], 0).into(),
            shutdown_timeout: Duration::from_secs(8),
        }
    }

    pub(super) fn start(&mut self) {
        self.start_with(self.config());
    }

    pub(super) fn start_with(&mut self, config: SinksConfig) {
        self.context = Context::new();
        let context = self.context.clone();
        self.running = Some(tokio::spawn(async move { crate::run(config, context).await.unwrap() }));
    }

    pub(super) async fn stop(&mut self) {
        self.context.stop.cancel();
        self.running.take().unwrap().await.unwrap();
    }

    pub(super) async fn produce(&self, partition: i32, id: u128, value: &str) {
        self.produce_keyed(partition, id, "k", value).await;
    }

    pub(super) async fn produce_keyed(&self, partition: i32, id: u128, key: &str, value: &str) {
        let id = id.to_be_bytes();
        let headers = OwnedHeaders::new().insert(Header { key: "logmill-id", value: Some(&id[..]) });
        let record = FutureRecord::to("logs").partition(partition).key(key).payload(value).headers(headers);
        self.producer.send(record, Duration::from_secs(10)).await.unwrap();
    }

    pub(super) async fn until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let deadline = clock::now() + PATIENCE;
        while !condition() {
            assert!(clock::now() < deadline, "waited in vain until {what}; health {:?}", self.context.health.parts());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The committed offset and ledger of each partition.
    pub(super) async fn committed(&self, partitions: i32) -> Vec<(Option<i64>, Ledger)> {
        let brokers = self.cluster.bootstrap_servers();
        tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer =
                ClientConfig::new().set("bootstrap.servers", brokers).set("group.id", "g").create().unwrap();
            let mut list = TopicPartitionList::new();
            list.add_partition_range("logs", 0, partitions - 1);
            let list = consumer.committed_offsets(list, Duration::from_secs(10)).unwrap();
            let read = |e: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
                let offset = if let Offset::Offset(offset) = e.offset() { Some(offset) } else { None };
                (offset, Ledger::from_metadata(e.metadata().as_bytes()).unwrap_or_default())
            };
            list.elements().iter().map(read).collect()
        })
        .await
        .unwrap()
    }

    pub(super) async fn dead_letters(&self, count: usize) -> Vec<BTreeMap<String, String>> {
        let brokers = self.cluster.bootstrap_servers();
        tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer =
                ClientConfig::new().set("bootstrap.servers", brokers).set("group.id", "d").create().unwrap();
            let mut list = TopicPartitionList::new();
            list.add_partition_offset("logs.dead", 0, Offset::Beginning).unwrap();
            consumer.assign(&list).unwrap();
            let deadline = clock::now() + PATIENCE;
            let mut letters = Vec::new();
            while letters.len() < count {
                assert!(clock::now() < deadline, "{letters:?}");
                let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) else { continue };
                let mut letter: BTreeMap<String, String> = message
                    .headers()
                    .unwrap()
                    .iter()
                    .map(|h| (h.key.to_owned(), String::from_utf8_lossy(h.value.unwrap()).into_owned()))
                    .collect();
                letter.insert("value".into(), String::from_utf8_lossy(message.payload().unwrap()).into_owned());
                letter.insert("key".into(), String::from_utf8_lossy(message.key().unwrap()).into_owned());
                letters.push(letter);
            }
            letters
        })
        .await
        .unwrap()
    }
}

pub(super) fn document(n: u128, more: &str) -> String {
    format!("{{\"@timestamp\":\"2026-11-21T00:00:{:02}Z\",\"n\":{n}{more}}}", n % 60)
}

pub(super) fn sum(committed: &[(Option<i64>, Ledger)]) -> Ledger {
    let mut sum = Ledger::default();
    for (_, ledger) in committed {
        assert!(ledger.adds_up());
        sum.records += ledger.records;
        sum.indexed += ledger.indexed;
        sum.duplicate += ledger.duplicate;
        sum.filtered += ledger.filtered;
        sum.dead_lettered += ledger.dead_lettered;
        sum.expired += ledger.expired;
    }
    sum
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_arrives_the_bad_are_buried_and_the_ledger_goes_on() {
    for to in EVERY {
        everything_arrives(to).await;
    }
}

async fn everything_arrives(to: To) {
    let mut stage = Stage::new(to, 2).await;
    for n in 0..200u128 {
        let more = match n {
            50 => ",\"bad\":true",
            51..=55 => ",\"retry\":3",
            _ => "",
        };
        stage.produce((n % 2) as i32, n, &document(n, more)).await;
    }
    stage.produce(0, 1000, "no json").await;
    stage.produce(1, 7, &document(7, "")).await;
    for trick in [
        Trick::Refuse(429, "es_rejected_execution_exception"),
        Trick::BreakOff,
        Trick::OneTooFew,
        Trick::Refuse(503, "x"),
    ] {
        stage.server.trick(trick);
    }
    stage.start();
    stage.until("199 documents are there", || stage.server.count() == 199).await;
    let letters = stage.dead_letters(2).await;
    stage.stop().await;
    let committed = stage.committed(2).await;
    assert_eq!(committed.iter().map(|c| c.0).collect::<Vec<_>>(), [Some(101), Some(101)]);
    let ledger = sum(&committed);
    assert_eq!((ledger.records, ledger.dead_lettered, ledger.expired, ledger.filtered), (202, 2, 0, 0));
    match to {
        To::Elasticsearch => {
            assert!(ledger.indexed <= 199 && 199 <= ledger.indexed + ledger.duplicate, "{ledger:?}");
        }
        // A receiver does not say what it had already.
        To::Webhook | To::WebhookInBatches => assert_eq!(ledger.indexed, 200, "{ledger:?}"),
    }

    let classes: Vec<_> = letters.iter().map(|l| l["logmill-error-class"].as_str()).collect();
    assert!(classes.contains(&"decode") && classes.contains(&"document"), "{letters:?}");
    for letter in &letters {
        assert_eq!((letter["logmill-error-sink"].as_str(), letter["logmill-error-topic"].as_str()), ("app", "logs"));
        assert_eq!(letter["key"], "k");
        let offset =
            if letter["logmill-error-class"] == "decode" { ("no json", "100") } else { ("{\"@timestamp\"", "25") };
        assert!(letter["value"].starts_with(offset.0));
        assert_eq!(letter["logmill-error-offset"], offset.1);
    }

    // A second life goes on with the counts of the first.
    stage.produce(0, 5000, &document(5000, "")).await;
    stage.start();
    stage.until("the new document is there", || stage.server.count() == 200).await;
    stage.stop().await;
    let after = sum(&stage.committed(2).await);
    assert_eq!((after.records, after.dead_lettered), (203, 2));
    let metrics = stage.context.metrics.gather();
    let total: f64 = metrics
        .iter()
        .filter(|f| f.name() == "logmill_sinks_records_total")
        .flat_map(|f| f.get_metric())
        .map(|m| m.get_counter().get_value())
        .sum();
    assert_eq!(total as u64, 203, "the metric is the ledger's");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destination_that_refuses_pauses_with_an_alarm_and_loses_nothing() {
    for to in EVERY {
        refused(to).await;
    }
}

async fn refused(to: To) {
    let mut stage = Stage::new(to, 1).await;
    for n in 0..50u128 {
        stage.produce(0, n, &document(n, "")).await;
    }
    stage.server.set_all(Some((403, "cluster_block_exception")));
    stage.start();
    stage
        .until("the alarm is raised", || stage.context.health.parts().get("sink app").is_some_and(Result::is_err))
        .await;
    let words = stage.context.health.parts().remove("sink app").unwrap().unwrap_err();
    assert!(words.contains("403"), "{to:?}: {words}");
    assert_eq!(stage.committed(1).await, [(None, Ledger::default())], "nothing is committed while it waits");
    stage.server.set_all(None);
    stage.until("all is indexed", || stage.server.count() == 50).await;
    stage.until("the alarm is over", || stage.context.health.is_ready()).await;
    stage.stop().await;
    let committed = stage.committed(1).await;
    assert_eq!(committed[0].0, Some(50));
    assert_eq!((committed[0].1.indexed, committed[0].1.records), (50, 50));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_begins_at_the_end_skips_what_was_there_and_nothing_after() {
    let mut stage = Stage::new(To::Elasticsearch, 2).await;
    for n in 0..20u128 {
        stage.produce((n % 2) as i32, n, &document(n, "")).await;
    }
    let mut config = stage.config();
    config.sinks[0].start = sinks::Start::Latest;
    stage.start_with(config.clone());
    let mut begun = Vec::new();
    while begun.iter().filter(|(offset, _)| *offset == Some(10)).count() < 2 {
        begun = stage.committed(2).await;
    }
    // The beginning is kept before anything came: it is no new end after a restart.
    stage.stop().await;
    stage.produce(0, 100, &document(100, "")).await;
    stage.start_with(config);
    stage.until("the new one is there", || stage.server.count() == 1).await;
    stage.stop().await;
    let ledger = sum(&stage.committed(2).await);
    assert_eq!((ledger.records, ledger.indexed, ledger.expired), (1, 1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_sink_stops_no_other_and_a_stop_in_an_outage_is_quick() {
    for to in EVERY {
        beside_a_bad_one(to).await;
    }
}

async fn beside_a_bad_one(to: To) {
    let mut stage = Stage::new(to, 1).await;
    for n in 0..20u128 {
        stage.produce(0, n, &document(n, "")).await;
    }
    let mut config = stage.config();
    let mut bad = config.sinks[0].clone();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    bad.name = "bad".into();
    bad.group = "bad".into();
    bad.output = to.output(&format!("http://{closed}"));
    config.sinks.insert(0, bad);
    stage.start_with(config);
    stage.until("the good one has all", || stage.server.count() == 20).await;
    stage.until("the bad one says so", || stage.context.health.parts()["sink bad"].is_err()).await;
    assert_eq!(stage.context.health.parts()["sink app"], Ok(()));
    let start = clock::now();
    stage.stop().await;
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    assert_eq!(stage.committed(1).await[0].0, Some(20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_too_large_are_halved_down_to_the_one_record() {
    for to in EVERY {
        too_large(to).await;
    }
}

async fn too_large(to: To) {
    let mut stage = Stage::new(to, 1).await;
    let long = format!(",\"x\":\"{}\"", "y".repeat(3000));
    for n in 0..30u128 {
        stage.produce(0, n, &document(n, if n == 9 { &long } else { "" })).await;
    }
    stage.server.endpoint.lock().max_body = Some(1000);
    stage.start();
    stage.until("all but one are there", || stage.server.count() == 29).await;
    let letters = stage.dead_letters(1).await;
    assert_eq!(
        (letters[0]["logmill-error-class"].as_str(), letters[0]["logmill-error-offset"].as_str()),
        ("too_large", "9")
    );
    stage.stop().await;
    assert_eq!(stage.committed(1).await[0].0, Some(30));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_failed_is_sent_again() {
    for to in EVERY {
        let mut stage = Stage::new(to, 1).await;
        for n in 0..60u128 {
            stage.produce(0, n, &document(n, if n % 10 == 3 { ",\"retry\":2" } else { "" })).await;
        }
        stage.start();
        stage.until("all are there", || stage.server.count() == 60).await;
        stage.stop().await;
        let sent = stage.server.endpoint.lock().requests.concat();
        let times = |n: u128| {
            let id = if to == To::Elasticsearch { id_text(n) } else { n.to_string() };
            sent.iter().filter(|sent| **sent == id).count()
        };
        assert_eq!((times(3), times(53)), (3, 3), "{to:?}");
        // A webhook takes a batch as a whole, so that its other events are sent again with it.
        if to != To::WebhookInBatches {
            assert!((0..60).filter(|n| n % 10 != 3).all(|n| times(n) == 1), "{to:?}");
        }
    }
}

fn id_text(n: u128) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.encode(n.to_be_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_holds_no_more_than_the_budget() {
    for to in EVERY {
        let mut stage = Stage::new(to, 1).await;
        let long = format!(",\"x\":\"{}\"", "y".repeat(5000));
        let (total, budget) = (600u128, 2 << 20);
        for n in 0..total {
            stage.produce(0, n, &document(n, &long)).await;
        }
        let mut config = stage.config();
        config.buffer_bytes = budget;
        stage.server.set_all(Some((503, "x")));
        stage.start_with(config);
        stage
            .until("the alarm is raised", || stage.context.health.parts().get("sink app").is_some_and(Result::is_err))
            .await;
        let held = || {
            let families = stage.context.metrics.gather();
            let buffer = families.iter().find(|f| f.name() == "logmill_sinks_buffer_bytes");
            buffer.map_or(0.0, |f| f.get_metric()[0].get_gauge().get_value())
        };
        stage.until("something is held", || held() > 0.0).await;
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_millis(600)).await;
            assert!(held() < budget as f64, "{to:?}: {}", held());
        }
        assert_eq!(stage.committed(1).await[0].0, None, "{to:?}");
        stage.server.set_all(None);
        stage.until("all are there", || stage.server.count() == total as usize).await;
        stage.stop().await;
        assert_eq!(stage.committed(1).await[0].0, Some(total as i64), "{to:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_takes_everything_once_its_directory_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("later/app.ndjson");
    let mut stage = Stage::new(To::Elasticsearch, 2).await;
    for n in 0..300u128 {
        stage.produce((n % 2) as i32, n, &document(n, "")).await;
    }
    stage.produce(0, 1000, "no json").await;
    let mut config = stage.config();
    config.sinks[0].output = Output::File(sinks::File {
        path: path.clone(),
        max_bytes: 8192,
        max_age: Duration::from_secs(3600),
        compression: sinks::FileCompression::None,
        linger: Duration::from_millis(20),
    });
    stage.start_with(config.clone());
    stage
        .until("the alarm is raised", || stage.context.health.parts().get("sink app").is_some_and(Result::is_err))
        .await;
    let words = stage.context.health.parts().remove("sink app").unwrap().unwrap_err();
    assert!(words.contains("later/app.ndjson: No such file"), "{words}");
    assert_eq!(stage.committed(2).await[0].0, None);
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    stage.dead_letters(1).await;
    stage.until("all is committed", || stage.context.health.is_ready()).await;
    stage.stop().await;
    let ledger = sum(&stage.committed(2).await);
    assert_eq!((ledger.records, ledger.indexed, ledger.dead_lettered), (301, 300, 1));
    let mut last = [-1i64; 2];
    let mut files: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|p| !p.ends_with("app.ndjson.lock"));
    // The one being written has no time behind its name: it is the last.
    files.sort_by_key(|p| (p == &path, p.clone()));
    assert!(!files.is_empty());
    let mut lines = 0;
    for line in
        files.iter().flat_map(|p| std::fs::read_to_string(p).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
    {
        let event: serde_json::Value = serde_json::from_str(&line).unwrap();
        let n = event["n"].as_i64().unwrap();
        assert!(std::mem::replace(&mut last[(n % 2) as usize], n) < n, "{n} out of order");
        lines += 1;
    }
    assert_eq!(lines, 300);
}
