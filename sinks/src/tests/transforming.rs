//! A sink with a program, whole: changed events arrive, aborted ones are filtered, failures are dead letters as they came. And
//! one over text that is no JSON.

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_arrives_as_events() {
    let mut stage = Stage::new(To::Elasticsearch, 1).await;
    for n in 0..40u128 {
        let text =
            if n % 4 == 0 { format!("odd {n}") } else { format!("<34>1 2026-11-21T07:16:47Z web su {n} - - no {n}") };
        stage.produce(0, n, &text).await;
    }
    let mut config = stage.config();
    let text = r#"sinks: [{ name: a, topics: [t], webhook: { url: 'http://h' }, decode: raw, transform: '
        . |= parse_syslog!(.message)' }]"#;
    let with = SinksConfig::parse_with("s", text, &|_| None).unwrap_or_else(|e| panic!("{e}")).sinks.remove(0);
    (config.sinks[0].decode, config.sinks[0].transform) = (with.decode, with.transform);
    stage.start_with(config);
    stage.until("all are there", || stage.server.count() == 30).await;
    let letters = stage.dead_letters(10).await;
    stage.stop().await;
    let ledger = sum(&stage.committed(1).await);
    assert_eq!((ledger.records, ledger.indexed + ledger.duplicate, ledger.dead_lettered), (40, 30, 10));
    for document in stage.server.endpoint.lock().documents.values() {
        assert_eq!((&document["hostname"], &document["severity"]), (&"web".into(), &"crit".into()), "{document}");
        assert!(document["message"].as_str().unwrap().starts_with("no "), "{document}");
    }
    assert!(letters.iter().all(|letter| letter["value"].starts_with("odd ")), "{letters:?}");
}
