//! A sink with a program, whole: changed events arrive, aborted ones are filtered, failures are dead letters as they came.

use logmill_config::{ConfigFile, sinks::SinksConfig};

use super::whole::{Stage, To, document, sum};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_record_has_its_end() {
    let mut stage = Stage::new(To::Elasticsearch, 2).await;
    for n in 0..90u128 {
        let level = ["debug", "info", "none"][(n % 3) as usize];
        stage.produce((n % 2) as i32, n, &document(n, &format!(",\"log\":{{\"level\":\"{level}\"}}"))).await;
    }
    let mut config = stage.config();
    let text = r#"sinks: [{ name: a, topics: [t], webhook: { url: 'http://h' }, transform: '
        level = string!(.log.level);
        if level == "debug" { abort };
        assert!(level != "none", message: "no level");
        .log.level = upcase(level)' }]"#;
    config.sinks[0].transform =
        SinksConfig::parse_with("s", text, &|_| None).unwrap_or_else(|e| panic!("{e}")).sinks.remove(0).transform;
    assert_eq!(crate::mistakes(&config), []);
    stage.start_with(config);
    stage.until("all are there", || stage.server.count() == 30).await;
    let letters = stage.dead_letters(30).await;
    stage.stop().await;
    let ledger = sum(&stage.committed(2).await);
    let counts = (ledger.records, ledger.indexed + ledger.duplicate, ledger.filtered, ledger.dead_lettered);
    assert_eq!(counts, (90, 30, 30, 30));
    for document in stage.server.endpoint.lock().documents.values() {
        assert_eq!(document["log"]["level"], "INFO");
    }
    for letter in letters {
        assert_eq!(letter["logmill-error-class"], "transform");
        assert!(letter["logmill-error-reason"].contains("no level"), "{letter:?}");
        assert!(letter["value"].ends_with("\"log\":{\"level\":\"none\"}}"), "{letter:?}");
    }
}
