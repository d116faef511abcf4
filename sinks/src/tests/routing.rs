//! One topic, several sinks, each with its condition: every record comes where it belongs, and the counts are exact.

use logmill_config::{
    ConfigFile,
    sinks::{Elasticsearch, Output, SinksConfig},
};

use super::{
    conformance,
    whole::{Stage, To, document, sum},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conditions_share_a_topic_out() {
    let mut stage = Stage::new(To::Elasticsearch, 2).await;
    for n in 0..120u128 {
        let level = if n % 3 == 0 { "error" } else { "info" };
        stage.produce((n % 2) as i32, n, &document(n, &format!(",\"log\":{{\"level\":\"{level}\"}}"))).await;
    }
    stage.produce(0, 500, "no json").await;
    let mut config = stage.config();
    let first = config.sinks[0].clone();
    let text = "sinks:
      - { name: app, topics: [t], when: { equals: { log.level: error } }, webhook: { url: 'http://h' } }
      - { name: rest, topics: [t], when: { not: { equals: { log.level: error } } }, webhook: { url: 'http://h' } }";
    let conditions = SinksConfig::parse_with("s", text, &|_| None).unwrap();
    config.sinks = conditions
        .sinks
        .into_iter()
        .map(|with| {
            let index = if with.name == "app" { "errors" } else { "others" };
            let output = Elasticsearch { index: index.into(), ..conformance::settings(&stage.server.url) };
            let group = if with.name == "app" { "g" } else { "rest" };
            let output = Output::Elasticsearch(output);
            logmill_config::sinks::Sink {
                name: with.name,
                when: with.when,
                group: group.into(),
                output,
                ..first.clone()
            }
        })
        .collect();
    stage.start_with(config);
    stage.until("all are there", || stage.server.count() == 120).await;
    // Each of the two says that what is no JSON is none.
    stage.dead_letters(2).await;
    stage.stop().await;
    let ledger = sum(&stage.committed(2).await);
    let counts = (ledger.records, ledger.indexed + ledger.duplicate, ledger.filtered, ledger.dead_lettered);
    assert_eq!(counts, (121, 40, 80, 1));
    let endpoint = stage.server.endpoint.lock();
    for ((index, _), document) in &endpoint.documents {
        let expected = if document["log"]["level"] == "error" { "errors" } else { "others" };
        assert_eq!(index, expected);
    }
    let metrics = stage.context.metrics.gather();
    let family = metrics.iter().find(|f| f.name() == "logmill_sinks_records_total").unwrap();
    let filtered: f64 = family
        .get_metric()
        .iter()
        .filter(|m| m.get_label().iter().any(|l| l.value() == "filtered"))
        .map(|m| m.get_counter().get_value())
        .sum();
    assert_eq!(filtered as u64, 120, "80 of one and 40 of the other");
}
