//! `logmill dead-letters` from end to end: letters of two sinks are listed by error, shown, replayed to the one that
//! refused them and nobody else, and purged.

use std::{collections::HashSet, time::Duration};

use anyhow::{Result, ensure};
use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use serde_json::{Value, json};

use super::Room;
use crate::{
    clock,
    pipeline::{Part, Pipeline},
    process::{self, binary},
    receiver::{Fate, Receiver},
};

const TOPIC: &str = "orders";
const EVENTS: u64 = 100;

pub(super) async fn run(room: &Room) -> Result<String> {
    // The mail service refuses every tenth at first, and then has been mended.
    let receiver = Receiver::start(|path, body, tries| {
        let n = body["n"].as_u64().unwrap_or_default();
        if path == "/mail" && n % 10 == 3 && tries == 0 { Fate::Refuse(422) } else { Fate::Take }
    })
    .await?;
    let mut pipeline = Pipeline::new(&room.dir)?;
    let (brokers, metrics, url) = (pipeline.brokers.clone(), pipeline.port(Part::Sinks), &receiver.url);
    let sink = |name: &str| {
        format!(
            "  - {{ name: {name}, topics: [{TOPIC}], webhook: {{ url: \"{url}/{name}\" }}, dead_letters: {{ alarm_per_minute: 5 }} }}\n"
        )
    };
    std::fs::write(
        pipeline.yaml(Part::Sinks),
        format!(
            "kafka: {{ brokers: [\"{brokers}\"] }}\nmetrics: \"127.0.0.1:{metrics}\"\nsinks:\n{}{}",
            sink("mail"),
            sink("sms")
        ),
    )?;
    pipeline.start(Part::Broker).await?;
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", &brokers).set("enable.idempotence", "true").create()?;
    for n in 0..=EVENTS {
        let value = if n == EVENTS { "no json".to_owned() } else { json!({ "n": n }).to_string() };
        let id = u128::from(n).to_be_bytes();
        let headers = OwnedHeaders::new().insert(Header { key: "logmill-id", value: Some(&id[..]) });
        let record = FutureRecord::to(TOPIC).key("k").payload(&value).headers(headers);
        producer.send(record, Duration::from_secs(10)).await.map_err(|(e, _)| e)?;
    }
    pipeline.start(Part::Sinks).await?;
    let counted = |counts: [(&'static str, &'static str, f64); 3]| {
        let pipeline = &pipeline;
        async move {
            clock::until("the counts", Duration::from_secs(60), Duration::from_millis(100), || async {
                for (sink, outcome, expected) in counts {
                    let labels = [&*format!("sink=\"{sink}\""), &*format!("outcome=\"{outcome}\"")];
                    let count = pipeline.metric(Part::Sinks, "logmill_sinks_records_total", &labels).await?;
                    ensure!(count == expected, "{sink}: {count} of {expected} {outcome}");
                }
                Ok(Some(()))
            })
            .await
        }
    };
    counted([("mail", "dead_lettered", 11.0), ("sms", "dead_lettered", 1.0), ("sms", "indexed", 100.0)]).await?;
    alarmed(&pipeline).await?;

    let list = logmill(&pipeline, &["list", "--output", "json"]).await?;
    let mut groups: Vec<_> = serde_json::from_str::<Vec<Value>>(&list)?
        .iter()
        .map(|g| format!("{} {} {} {}", g["topic"], g["sink"], g["class"], g["letters"]).replace('"', ""))
        .collect();
    groups.sort();
    ensure!(groups == ["mail.dead mail decode 1", "mail.dead mail document 10", "sms.dead sms decode 1"], "{list}");
    let document = serde_json::from_str::<Vec<Value>>(&list)?.into_iter().find(|g| g["class"] == "document");
    let error = document.and_then(|g| g["error"].as_str().map(str::to_owned)).unwrap_or_default();

    let shown = logmill(&pipeline, &["show", "mail.dead", "--error", &error, "--output", "json", "--max", "3"]).await?;
    let letters: Vec<Value> = shown.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(letters.len() == 3, "{shown}");
    for letter in &letters {
        ensure!(letter["original_topic"] == TOPIC && letter["key"] == "k", "{letter}");
        ensure!(letter["reason"].as_str().is_some_and(|reason| reason.starts_with("status 422")), "{letter}");
    }

    let before = receiver.requests().len();
    let dry = logmill(&pipeline, &["replay", "mail.dead", "--error", &error]).await?;
    ensure!(dry.starts_with("would replay 10 dead letters for mail"), "{dry}");
    ensure!(logmill(&pipeline, &["replay", "mail.dead"]).await.is_err(), "everything was replayed without being asked");
    logmill(&pipeline, &["replay", "mail.dead", "--error", &error, "--execute"]).await?;
    counted([("mail", "indexed", 100.0), ("sms", "filtered", 10.0), ("mail", "dead_lettered", 11.0)]).await?;
    let requests = receiver.requests();
    let again: Vec<_> = requests.iter().skip(before).collect();
    ensure!(again.len() == 10 && again.iter().all(|r| r.path == "/mail" && r.is_taken()), "{again:?}");
    let identity = |path_from: usize, n: u64| {
        requests.iter().skip(path_from).find(|r| r.path == "/mail" && r.body["n"] == n).map(|r| &r.idempotency_key)
    };
    ensure!(identity(0, 3) == identity(before, 3), "a replay has another identity");
    let numbers: HashSet<_> = again.iter().map(|r| r.body["n"].as_u64().unwrap_or_default()).collect();
    ensure!(numbers == (0..EVENTS).filter(|n| n % 10 == 3).collect(), "{numbers:?}");

    let dry = logmill(&pipeline, &["purge", "mail.dead", "--all"]).await?;
    ensure!(dry.starts_with("would purge up to 11 records"), "{dry}");
    logmill(&pipeline, &["purge", "mail.dead", "--all", "--execute"]).await?;
    let list = logmill(&pipeline, &["list", "--output", "json"]).await?;
    ensure!(!list.contains("mail.dead") && list.contains("sms.dead"), "{list}");
    pipeline.stop_all().await?;
    Ok("11 letters of one sink, 1 of another: listed, shown, 10 replayed to their sink alone, purged".to_owned())
}

async fn logmill(pipeline: &Pipeline, arguments: &[&str]) -> Result<String> {
    let mut all = vec!["dead-letters"];
    all.extend(arguments);
    all.extend(["--brokers", &pipeline.brokers]);
    let (code, out, err) = process::run(&binary("logmill")?, &all, &pipeline.dir, Duration::from_secs(30)).await?;
    ensure!(code == 0, "logmill {}: exit code {code}: {out}{err}", all.join(" "));
    Ok(out)
}

/// Eleven letters within a minute are more than five.
async fn alarmed(pipeline: &Pipeline) -> Result<()> {
    let url = format!("http://127.0.0.1:{}/health/ready", pipeline.port(Part::Sinks));
    clock::until("the alarm", Duration::from_secs(20), Duration::from_millis(100), || async {
        let words = match crate::http::text(&url).await {
            Ok(_) => return Ok(None),
            Err(e) => e.to_string(),
        };
        ensure!(words.contains("dead letters"), "{words}");
        Ok(Some(()))
    })
    .await
}
