//! One sign-up topic fanned out to a mail and an SMS service that are flaky: each event reaches both, under one identity at
//! every try, in order per key where asked, at the rate that was set, also over a kill -9 of the sinks.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
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
    receiver::{Fate, Receiver, Request},
};

const TOPIC: &str = "user.signup";
const KEYS: u64 = 200;
const RATE: u64 = 1000;
const CONCURRENCY: u64 = 16;
const BURST: u64 = 50;
/// Of so many events the mail service refuses one for good.
const REFUSED: u64 = 2500;

pub(super) async fn run(room: &Room) -> Result<String> {
    let total: u64 = if room.is_long() { 200_000 } else { 10_000 };
    let receiver = Receiver::start(fate).await?;
    let mut pipeline = Pipeline::new(&room.dir)?;
    configure(&pipeline, &receiver.url)?;
    pipeline.start(Part::Broker).await?;
    produce(&pipeline, total).await?;
    let start = clock::now();
    pipeline.start(Part::Sinks).await?;
    clock::until("a third of the mails", Duration::from_secs(60), Duration::from_millis(20), || async {
        Ok((receiver.taken("/mail") as u64 > total / 3).then_some(()))
    })
    .await?;
    pipeline.kill(Part::Sinks)?;
    pipeline.start(Part::Sinks).await?;
    let refused = total / REFUSED;
    clock::until("every event at both", Duration::from_secs(300), Duration::from_millis(200), || async {
        for (sink, outcome, expected) in
            [("mail", "indexed", total - refused), ("mail", "dead_lettered", refused), ("sms", "indexed", total)]
        {
            let labels = [&*format!("sink=\"{sink}\""), &*format!("outcome=\"{outcome}\"")];
            let count = pipeline.metric(Part::Sinks, "logmill_sinks_records_total", &labels).await?;
            ensure!(count as u64 == expected, "{sink}: {count} of {expected} {outcome}");
        }
        Ok(Some(()))
    })
    .await?;
    let took = start.elapsed();
    let requests = receiver.requests();
    let mails = check(&requests, "/mail", total, true)?;
    let sms = check(&requests, "/sms", total, false)?;
    ordered(&requests, "/sms")?;
    let most = most_in_a_second(&requests, "/mail");
    let allowed = (RATE + BURST + CONCURRENCY) * 105 / 100;
    ensure!(most <= allowed, "{most} requests to /mail within a second, allowed are {allowed}");
    overlap(&requests)?;
    let sinks = format!("http://127.0.0.1:{}", pipeline.port(Part::Sinks));
    let (code, out, err) =
        process::run(&binary("logmill")?, &["ledger", "--sinks", &sinks], &room.dir, Duration::from_secs(20)).await?;
    ensure!(code == 0, "the ledger does not add up: {out}{err}");
    pipeline.stop_all().await?;
    Ok(format!(
        "{total} events to each of two in {:.1} s, {} and {} requests, {refused} refused for good, at most {most} mails/s of {RATE}",
        took.as_secs_f64(),
        mails,
        sms
    ))
}

/// By the event's number: most failures are of one try, so that every kind is met by many events.
fn fate(path: &str, body: &Value, tries: u32) -> Fate {
    let n = body["n"].as_u64().unwrap_or_default();
    if path == "/mail" && n % REFUSED == 12 {
        return Fate::Refuse(422);
    }
    match (n % 100, tries) {
        (0..4, 0..2) => Fate::Refuse(500),
        (4, 0) => Fate::Refuse(502),
        (5, 0) => Fate::Refuse(408),
        (6..8, 0) => Fate::Cut,
        (8, 0) => Fate::TakeAndCut,
        (9, 0) if n % 1000 == 9 => Fate::Hang,
        (10, 0) if n % 2000 == 10 => Fate::Patience,
        (11, 0) if n % 2000 == 11 => Fate::Refuse(503),
        _ => Fate::Take,
    }
}

fn configure(pipeline: &Pipeline, url: &str) -> Result<()> {
    let (brokers, metrics) = (&pipeline.brokers, pipeline.port(Part::Sinks));
    std::fs::write(
        pipeline.yaml(Part::Sinks),
        format!(
            r#"kafka: {{ brokers: ["{brokers}"] }}
metrics: "127.0.0.1:{metrics}"
sinks:
  - name: mail
    topics: [{TOPIC}]
    instance_id: mail-1
    webhook:
      url: "{url}/mail"
      body: '{{"n": {{n}}, "to": "{{user.email}}", "key": "{{_key}}"}}'
      timeout: 2s
      concurrency: {CONCURRENCY}
      rate: {{ requests_per_second: {RATE}, burst: {BURST} }}
    retry: {{ initial: 50ms, max: 1s }}
  - name: sms
    topics: [{TOPIC}]
    instance_id: sms-1
    webhook:
      url: "{url}/sms"
      body: '{{"n": {{n}}, "to": "{{user.phone}}", "key": "{{_key}}"}}'
      timeout: 2s
      concurrency: {CONCURRENCY}
      order: key
    retry: {{ initial: 50ms, max: 1s }}
"#
        ),
    )?;
    Ok(())
}

async fn produce(pipeline: &Pipeline, total: u64) -> Result<()> {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", &pipeline.brokers)
        .set("linger.ms", "20")
        .set("enable.idempotence", "true")
        .create()?;
    let mut sent = Vec::new();
    for n in 0..total {
        let user = format!("user-{}", n % KEYS);
        let event = json!({"n": n, "user": {"email": format!("{user}@example.org"), "phone": format!("+49 {n}")}});
        let id = u128::from(n).to_be_bytes();
        let headers = OwnedHeaders::new().insert(Header { key: "logmill-id", value: Some(&id[..]) });
        let payload = event.to_string();
        let record = FutureRecord::to(TOPIC).key(&user).payload(&payload).headers(headers);
        sent.push(producer.send_result(record).map_err(|(e, _)| e)?);
    }
    for report in sent {
        report.await?.map_err(|(e, _)| e).context("an event was not acknowledged")?;
    }
    Ok(())
}

fn of<'r>(requests: &'r [Request], path: &'r str) -> impl Iterator<Item = &'r Request> {
    requests.iter().filter(move |r| r.path == path)
}

fn number(request: &Request) -> u64 {
    request.body["n"].as_u64().unwrap_or(u64::MAX)
}

/// Every event was taken (but those refused for good), under an identity of its own at every try. Gives the requests.
fn check(requests: &[Request], path: &str, total: u64, refuses: bool) -> Result<usize> {
    let mut identity: HashMap<u64, &str> = HashMap::new();
    let mut taken = HashSet::new();
    for request in of(requests, path) {
        let n = number(request);
        let key = request.idempotency_key.as_str();
        ensure!(key.len() == 22, "{path}: {n} came with the idempotency key {key:?}");
        let first = identity.entry(n).or_insert(key);
        ensure!(*first == key, "{path}: {n} came as {first} and as {key}");
        if request.is_taken() {
            taken.insert(n);
        }
    }
    ensure!(identity.values().collect::<HashSet<_>>().len() == identity.len(), "{path}: two events with one identity");
    let missing: Vec<_> =
        (0..total).filter(|n| !taken.contains(n) && (!refuses || n % REFUSED != 12)).take(10).collect();
    ensure!(missing.is_empty(), "{path}: not taken: {missing:?} …");
    Ok(of(requests, path).count())
}

/// Of each key, no event was taken for the first time before an earlier one.
fn ordered(requests: &[Request], path: &str) -> Result<()> {
    let (mut last, mut seen) = (HashMap::new(), HashSet::new());
    for request in of(requests, path).filter(|r| r.is_taken()) {
        let n = number(request);
        if seen.insert(n)
            && let Some(before) = last.insert(request.body["key"].to_string(), n)
        {
            ensure!(before < n, "{path}: {n} was taken after {before}");
        }
    }
    ensure!(last.len() as u64 == KEYS, "{path}: {} keys", last.len());
    Ok(())
}

fn most_in_a_second(requests: &[Request], path: &str) -> u64 {
    let times: Vec<_> = of(requests, path).map(|r| r.at).collect();
    let mut most = 0;
    let mut from = 0;
    for (at, time) in times.iter().enumerate() {
        while times.get(from).is_some_and(|first| time.duration_since(*first) >= Duration::from_secs(1)) {
            from += 1;
        }
        most = most.max(at + 1 - from);
    }
    most as u64
}

/// Neither waited for the other.
fn overlap(requests: &[Request]) -> Result<()> {
    let span = |path| -> Result<_> {
        let first = of(requests, path).next().context("no request")?.at;
        Ok((first, of(requests, path).last().context("no request")?.at))
    };
    let (mail, sms) = (span("/mail")?, span("/sms")?);
    ensure!(mail.0 < sms.1 && sms.0 < mail.1, "one sink waited for the other");
    Ok(())
}
