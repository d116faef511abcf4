//! What the Elasticsearch connector makes of a server that misbehaves: one outcome per record, none invented. What every
//! connector must do as part of a sink is in `whole`.

use std::time::Duration;

use logmill_config::sinks::{Auth, Bulk, Compression, Elasticsearch, Id, Op, Template, Tls, Tombstones, Version};

use super::server::{Server, Trick};
use crate::{
    batch::{Batch, BatchBuilder, Origin},
    connector::{Class, Connector, Outcome, Outcomes},
    elastic::Elastic,
    error::SinksError,
    metrics::Metrics,
};

pub(crate) fn settings(url: &str) -> Elasticsearch {
    Elasticsearch {
        hosts: vec![url.to_owned()],
        auth: None,
        tls: Tls::default(),
        index: "app-%Y.%m.%d".into(),
        data_stream: false,
        template: Template { put: false, name: "logmill-s".into(), priority: 50, retention: None },
        id: Id::Event,
        op: Op::Create,
        version: Version::None,
        tombstones: Tombstones::Reject,
        compression: Compression::None,
        timeout: Duration::from_secs(90),
        bulk: Bulk { max_bytes: 1 << 20, max_documents: 100, linger: Duration::from_millis(20), in_flight: 2 },
        headers: Default::default(),
    }
}

pub(crate) fn elastic(config: &Elasticsearch) -> Result<Elastic, SinksError> {
    Elastic::new("s", config, &Metrics::register(&prometheus::Registry::new()).unwrap())
}

pub(crate) fn batch(documents: &[&str]) -> Batch {
    let mut builder = BatchBuilder::default();
    for (n, document) in documents.iter().enumerate() {
        let origin = Origin { assignment: 1, offset: n as i64, timestamp: 0, identity: n as u128 };
        let action = format!("{{\"create\":{{\"_index\":\"a\",\"_id\":\"{n}\"}}}}\n");
        builder.push(origin, [action.as_bytes(), document.as_bytes(), b""], |_| {});
    }
    builder.finish()
}

#[tokio::test]
async fn every_answer_has_its_outcome() {
    let server = Server::start().await;
    let settings = Elasticsearch { timeout: Duration::from_secs(1), ..settings(&server.url) };
    let connector = &elastic(&settings).unwrap();
    let done = |duplicate| Outcome::Done { duplicate };
    let all = |delivery: &crate::connector::Delivery| match &delivery.outcomes {
        Outcomes::All(outcome) => outcome.clone(),
        other => panic!("{other:?}"),
    };

    // Whole success, and a repeat.
    let two = batch(&["{\"n\":1}", "{\"n\":2}"]);
    assert_eq!(all(&connector.deliver(&two).await), done(false));
    let Outcomes::Each(each) = connector.deliver(&two).await.outcomes else { panic!() };
    assert_eq!(each, [done(true), done(true)]);

    // Each item has its own outcome.
    let mixed = batch(&["{}", "{}", "{\"retry\":1}", "{\"bad\":true}", "{}"]);
    let Outcomes::Each(each) = connector.deliver(&mixed).await.outcomes else { panic!() };
    assert_eq!((&each[0], &each[1], &each[4]), (&done(true), &done(true), &done(false)));
    assert!(matches!(each[2], Outcome::Retry { .. }), "{each:?}");
    assert!(matches!(each[3], Outcome::Reject { class: Class::Document, .. }), "{each:?}");

    // The destination as a whole.
    for (status, kind) in [(429, "es_rejected_execution_exception"), (500, "x"), (503, "cluster_block_exception")] {
        server.trick(Trick::Refuse(status, kind));
        assert!(matches!(all(&connector.deliver(&two).await), Outcome::Retry { .. }), "{status}");
    }
    server.trick(Trick::RefuseFor(503, 7));
    assert_eq!(connector.deliver(&two).await.retry_after, Some(Duration::from_secs(7)));
    for (status, kind) in [(401, "security_exception"), (403, "cluster_block_exception"), (400, "unheard_of")] {
        server.trick(Trick::Refuse(status, kind));
        assert!(matches!(all(&connector.deliver(&two).await), Outcome::Pause { .. }), "{status}");
    }
    server.endpoint.lock().max_body = Some(10);
    assert!(matches!(connector.deliver(&two).await.outcomes, Outcomes::Split { class: Class::TooLarge, .. }));
    server.endpoint.lock().max_body = None;

    // An answer that cannot be trusted.
    for trick in [Trick::BreakOff, Trick::OneTooFew, Trick::Hang(Duration::from_secs(60))] {
        server.trick(trick.clone());
        assert!(matches!(all(&connector.deliver(&two).await), Outcome::Retry { .. }), "{trick:?}");
    }

    // Blocked item by item.
    server.set_all(Some((403, "cluster_block_exception")));
    let Outcomes::Each(each) = connector.deliver(&two).await.outcomes else { panic!() };
    assert!(each.iter().all(|o| matches!(o, Outcome::Pause { .. })), "{each:?}");
    server.set_all(None);
}

#[tokio::test]
async fn a_compressed_request_is_the_same_request() {
    let server = Server::start().await;
    let connector = elastic(&Elasticsearch { compression: Compression::Gzip, ..settings(&server.url) }).unwrap();
    let delivery = connector.deliver(&batch(&["{\"n\":1}", "{\"n\":2}"])).await;
    assert_eq!(delivery.outcomes, Outcomes::All(Outcome::Done { duplicate: false }));
    assert_eq!((server.count(), server.endpoint.lock().compressed), (2, 1));
}

#[tokio::test]
async fn the_template_is_put_once_before_the_first_document() {
    let server = Server::start().await;
    let mut config = settings(&server.url);
    config.template.put = true;
    server.set_all(Some((403, "security_exception")));
    let connector = elastic(&config).unwrap();
    let Outcomes::All(Outcome::Pause { reason }) = connector.deliver(&batch(&["{}"])).await.outcomes else { panic!() };
    assert!(reason.contains("template: { put: false }"), "{reason}");
    assert_eq!(server.count(), 0);
    server.set_all(None);
    connector.deliver(&batch(&["{}"])).await;
    let put = server.endpoint.lock().templates["logmill-s"].clone();
    assert_eq!((&put["index_patterns"][0], server.count()), (&"app-*".into(), 1));
    // Somebody else's stays.
    let own = serde_json::json!({"index_patterns": ["app-*"], "priority": 7});
    server.endpoint.lock().templates.insert("logmill-s".into(), own.clone());
    elastic(&config).unwrap().deliver(&batch(&["{}"])).await;
    assert_eq!(server.endpoint.lock().templates["logmill-s"], own);
}

#[tokio::test]
async fn a_host_that_is_away_is_passed_over() {
    let server = Server::start().await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let hosts = vec![format!("http://{closed}"), server.url.clone()];
    let connector = elastic(&Elasticsearch { hosts, ..settings("") }).unwrap();
    for n in 0..6 {
        let delivery = connector.deliver(&batch(&[&format!("{{\"n\":{n}}}")])).await;
        assert!(!matches!(delivery.outcomes, Outcomes::All(Outcome::Retry { .. })), "{delivery:?}");
    }
}

#[tokio::test]
async fn nobody_there_is_a_retry() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let connector = elastic(&settings(&format!("http://{closed}"))).unwrap();
    let delivery = connector.deliver(&batch(&["{}"])).await;
    let Outcomes::All(Outcome::Retry { reason }) = delivery.outcomes else { panic!() };
    assert!(reason.to_lowercase().contains("connect"), "the words must help: {reason}");
}

#[tokio::test]
async fn credentials_are_sent() {
    let server = Server::start().await;
    let cases = [
        (Some(Auth::Basic { user: "u".into(), password: "p".into() }), "Basic dTpw"),
        (Some(Auth::ApiKey("id:key".into())), "ApiKey aWQ6a2V5"),
        (Some(Auth::ApiKey("aWQ6a2V5".into())), "ApiKey aWQ6a2V5"),
    ];
    for (auth, expected) in cases {
        let connector = elastic(&Elasticsearch { auth, ..settings(&server.url) }).unwrap();
        connector.deliver(&batch(&["{}"])).await;
        assert_eq!(server.endpoint.lock().authorization.as_deref(), Some(expected));
    }
    let in_url = settings(&server.url.replace("http://", "http://u:p@"));
    elastic(&in_url).unwrap().deliver(&batch(&["{}"])).await;
    assert_eq!(server.endpoint.lock().authorization.as_deref(), Some("Basic dTpw"));
}

#[test]
fn mistakes_in_the_settings_are_said() {
    for (change, expected) in [
        (Elasticsearch { hosts: vec!["not a url".into()], ..settings("x") }, "is no URL"),
        (
            Elasticsearch {
                tls: Tls { ca_file: Some("/nowhere/ca.pem".into()), ..Tls::default() },
                ..settings("http://localhost")
            },
            "cannot read /nowhere/ca.pem",
        ),
        (Elasticsearch { auth: Some(Auth::ApiKey("a\nb".into())), ..settings("http://localhost") }, "api_key"),
    ] {
        let error = elastic(&change).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
