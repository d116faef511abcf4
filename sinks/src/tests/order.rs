//! Order where it was asked for: requests of a key, writes of an `_id`, through failures.

use std::time::Duration;

use logmill_config::sinks::{self, Id, Op, Order, Output, Tombstones, Version};
use rdkafka::producer::FutureRecord;

use super::{
    conformance,
    server::Trick,
    whole::{Stage, To, document, sum, webhook},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_by_key_holds_through_failures() {
    for batch in [1, 7] {
        let mut stage = Stage::new(To::Webhook, 1).await;
        for n in 0..150u128 {
            let more = if n % 4 == 1 { ",\"retry\":1" } else { "" };
            stage.produce_keyed(0, n, &format!("user-{}", n % 10), &document(n, more)).await;
        }
        let mut config = stage.config();
        let mut output = webhook(&stage.server.url, batch);
        output.order = Order::Key;
        output.concurrency = 8;
        config.sinks[0].output = Output::Webhook(output);
        for trick in [Trick::Refuse(500, "x"), Trick::BreakOff, Trick::Refuse(429, "x")] {
            stage.server.trick(trick);
        }
        stage.start_with(config);
        stage.until("all are there", || stage.server.count() == 150).await;
        stage.stop().await;
        let taken = stage.server.endpoint.lock().taken.clone();
        let mut last = [None; 10];
        for (_, _, body) in taken {
            let whole: serde_json::Value = serde_json::from_str(&body).unwrap();
            for event in whole.as_array().unwrap_or(&vec![whole.clone()]) {
                let n = event["n"].as_u64().unwrap();
                let before = last[(n % 10) as usize].replace(n);
                assert!(before.is_none_or(|before| before <= n), "{n} after {before:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_write_of_an_id_holds_through_failures() {
    for version in [Version::None, Version::Offset] {
        let mut stage = Stage::new(To::Elasticsearch, 1).await;
        for n in 0..150u128 {
            let more = if n % 4 == 1 { ",\"retry\":1" } else { "" };
            stage.produce_keyed(0, n, &format!("user-{}", n % 10), &document(n, more)).await;
        }
        let record = FutureRecord::<str, str>::to("logs").partition(0).key("user-3");
        stage.producer.send(record, Duration::from_secs(10)).await.unwrap();
        let mut config = stage.config();
        let output = sinks::Elasticsearch {
            index: "users".into(),
            id: Id::Key,
            op: Op::Index,
            version,
            tombstones: Tombstones::Delete,
            ..conformance::settings(&stage.server.url)
        };
        config.sinks[0].output = Output::Elasticsearch(output);
        for trick in [Trick::Refuse(429, "x"), Trick::BreakOff, Trick::OneTooFew, Trick::Refuse(503, "x")] {
            stage.server.trick(trick);
        }
        stage.start_with(config);
        stage
            .until("the last one is deleted", || {
                let endpoint = stage.server.endpoint.lock();
                let sent = endpoint.requests.iter().flatten().filter(|id| *id == "user-3").count();
                sent >= 16 && endpoint.documents.len() == 9
            })
            .await;
        stage.stop().await;
        let committed = sum(&stage.committed(1).await);
        assert_eq!((committed.records, committed.indexed + committed.duplicate), (151, 151), "{version:?}");
        let endpoint = stage.server.endpoint.lock();
        for ((_, id), document) in &endpoint.documents {
            let last = document["n"].as_u64().unwrap();
            assert!(
                (140..150).contains(&last) && id.ends_with(&(last % 10).to_string()),
                "{version:?}: {id} {document}"
            );
        }
    }
}
