//! What a power cut leaves on ext4: broker, index and agent keep their state on a file system in a loop file; its
//! backing file is copied under load, the copy mounted and served. Every acknowledged record must be there.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use rdkafka::{
    ClientConfig, ClientContext, Message,
    producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext},
};

use super::Room;
use crate::{
    clock,
    generate::{Dates, Plan, Writer},
    http,
    loopfs::LoopFs,
    pipeline::{Part, Pipeline, TOPIC},
    readback,
};

fn round(room: &Room, n: u32) -> Result<std::path::PathBuf> {
    let dir = room.dir.join(format!("round-{n}"));
    std::fs::create_dir_all(&dir)?;
    Ok(dir)
}

fn rounds(room: &Room) -> u32 {
    if room.is_long() { 15 } else { 2 }
}

/// Longer each time, so that the cut falls elsewhere.
fn seconds(round: u32) -> f64 {
    2.0 + f64::from(round) * 0.7
}

pub(super) async fn of_broker(room: &Room) -> Result<String> {
    let mut acknowledged = 0;
    for n in 0..rounds(room) {
        acknowledged += broker(&round(room, n)?, seconds(n)).await.with_context(|| format!("round {n}"))?;
    }
    Ok(format!("{acknowledged} acknowledged records in {} cuts", rounds(room)))
}

pub(super) async fn of_index(room: &Room) -> Result<String> {
    let mut answered = 0;
    for n in 0..rounds(room) {
        answered += index(&round(room, n)?, seconds(n)).await.with_context(|| format!("round {n}"))?;
    }
    Ok(format!("{answered} documents answered for in {} cuts", rounds(room)))
}

pub(super) async fn of_agent(room: &Room) -> Result<String> {
    let mut repeats = 0;
    for n in 0..rounds(room) {
        repeats += agent(&round(room, n)?).await.with_context(|| format!("round {n}"))?;
    }
    Ok(format!("{} cuts, {repeats} lines sent again with their old ids, in order", rounds(room)))
}

/// Remembers what was acknowledged: the number at the beginning of each record.
pub(super) struct Acks(Arc<Mutex<BTreeSet<u64>>>, Arc<AtomicBool>);

impl Acks {
    /// After `cut` nothing counts any more.
    pub(super) fn new(acked: Arc<Mutex<BTreeSet<u64>>>, cut: Arc<AtomicBool>) -> Self {
        Self(acked, cut)
    }
}

impl ClientContext for Acks {}

impl ProducerContext for Acks {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        let Ok(message) = result else { return };
        if self.1.load(Ordering::SeqCst) {
            return;
        }
        if let Some(n) = message.payload().and_then(|p| std::str::from_utf8(p).ok()?.split(' ').next()?.parse().ok()) {
            self.0.lock().unwrap_or_else(|e| e.into_inner()).insert(n);
        }
    }
}

async fn broker(dir: &std::path::Path, mut seconds: f64) -> Result<usize> {
    let disk = LoopFs::create(dir, "broker-disk", 1024)?;
    let mut pipeline = with_state_on(dir, "broker", &disk)?;
    pipeline.start(Part::Broker).await?;
    let (acked, cut) = (Arc::new(Mutex::new(BTreeSet::new())), Arc::new(AtomicBool::new(false)));
    let producer: BaseProducer<Acks> = ClientConfig::new()
        .set("bootstrap.servers", &pipeline.brokers)
        .set("enable.idempotence", "true")
        .set("linger.ms", "2")
        .create_with_context(Acks::new(acked.clone(), cut.clone()))?;
    let (start, mut n) = (clock::now(), 0u64);
    let filler = "x".repeat(180);
    loop {
        if start.elapsed().as_secs_f64() >= seconds {
            pipeline.process(Part::Broker)?.freeze()?;
            // Acknowledgements already on their way count: they were sent before the cut.
            producer.poll(Duration::from_millis(200));
            if producer.in_flight_count() > 0 {
                break;
            }
            // It had just done everything: the cut is to come in the middle of work.
            pipeline.process(Part::Broker)?.thaw()?;
            seconds += 0.1;
            ensure!(seconds < 30.0, "the broker is done whenever it is looked at");
        }
        let payload = format!("{n} {filler}");
        match producer.send(BaseRecord::<(), _>::to(TOPIC).payload(&payload)) {
            Ok(()) => n += 1,
            Err(_) => {
                producer.poll(Duration::from_millis(1));
            }
        }
        if n % 512 == 0 {
            producer.poll(Duration::ZERO);
        }
    }
    cut.store(true, Ordering::SeqCst);
    let after = disk.after_power_cut("broker-after")?;
    pipeline.kill(Part::Broker)?;
    drop(producer);

    let mut restarted = with_state_on(dir, "broker-restarted", &after)?;
    restarted.start(Part::Broker).await?;
    let mut there = BTreeSet::new();
    readback::records(&restarted.brokers, TOPIC, |_, _, value, _| {
        let text = std::str::from_utf8(value)?;
        there.insert(text.split(' ').next().context("empty record")?.parse::<u64>()?);
        Ok(())
    })?;
    let acked = std::mem::take(&mut *acked.lock().unwrap_or_else(|e| e.into_inner()));
    let lost: Vec<_> = acked.difference(&there).take(5).collect();
    ensure!(!acked.is_empty(), "nothing was acknowledged before the cut");
    ensure!(lost.is_empty(), "acknowledged records are lost, of {}: {lost:?} …", acked.len());
    restarted.stop_all().await?;
    Ok(acked.len())
}

async fn index(dir: &std::path::Path, seconds: f64) -> Result<usize> {
    let disk = LoopFs::create(dir, "index-disk", 1024)?;
    let mut pipeline = with_state_on(dir, "index", &disk)?;
    pipeline.start(Part::Index).await?;
    let (answered, cut) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let (url, count, stop) = (pipeline.index_url.clone(), answered.clone(), cut.clone());
    let load = tokio::spawn(async move {
        let mut n = 0u64;
        while !stop.load(Ordering::SeqCst) {
            let mut body = String::new();
            for id in n..n + 100 {
                body.push_str(&format!("{{\"create\":{{\"_index\":\"cut-{}\",\"_id\":\"{id}\"}}}}\n{{\"n\":{id},\"message\":\"line {id}\"}}\n", id % 3));
            }
            let Ok((200, answer)) = http::bulk(&url, body).await else { break };
            if answer["errors"] != serde_json::json!(false) {
                break;
            }
            n += 100;
            if !stop.load(Ordering::SeqCst) {
                count.store(n, Ordering::SeqCst);
            }
        }
    });
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    pipeline.process(Part::Index)?.freeze()?;
    tokio::time::sleep(Duration::from_millis(100)).await;
    cut.store(true, Ordering::SeqCst);
    let answered = answered.load(Ordering::SeqCst);
    let after = disk.after_power_cut("index-after")?;
    pipeline.kill(Part::Index)?;
    load.await?;
    ensure!(answered > 0, "nothing was indexed before the cut");

    let mut restarted = with_state_on(dir, "index-restarted", &after)?;
    restarted.start(Part::Index).await?;
    http::json("POST", &format!("{}/_refresh", restarted.index_url), None).await?;
    let mut there = BTreeSet::new();
    let mut from = 0;
    while from < answered + 200 {
        let body = serde_json::json!({"size": 10_000, "query": {"range": {"n": {"gte": from, "lt": from + 10_000}}}, "sort": [{"n": "asc"}]});
        let answer = http::json("POST", &format!("{}/cut-*/_search", restarted.index_url), Some(&body)).await?;
        for hit in answer["hits"]["hits"].as_array().context("no hits")? {
            let n = hit["_source"]["n"].as_u64().context("no n")?;
            ensure!(there.insert(n), "document {n} is there twice");
        }
        from += 10_000;
    }
    let lost: Vec<u64> = (0..answered).filter(|n| !there.contains(n)).take(5).collect();
    ensure!(lost.is_empty(), "documents answered for are lost, of {answered}: {lost:?} …");
    restarted.stop_all().await?;
    Ok(usize::try_from(answered)?)
}

/// The agent's checkpoint is cut while the broker lives on: nothing is missing afterwards, and what is sent again
/// has its old ids and is in order.
async fn agent(dir: &std::path::Path) -> Result<u64> {
    const FILES: usize = 6;
    let disk = LoopFs::create(dir, "agent-disk", 128)?;
    let mut pipeline = with_state_on(dir, "agent", &disk)?;
    // Only the agent's state is on the file system that is cut.
    let text = std::fs::read_to_string(pipeline.yaml(Part::Broker))?;
    let elsewhere = dir.join("agent-broker");
    std::fs::write(
        pipeline.yaml(Part::Broker),
        text.replace(&format!("{}/broker", disk.mount.display()), &elsewhere.to_string_lossy()),
    )?;
    pipeline.start(Part::Broker).await?;
    pipeline.start(Part::Agent).await?;
    let per_file = 4_000;
    let writer = Writer::start(Plan {
        dir: pipeline.logs.clone(),
        files: FILES,
        lines_per_file: per_file,
        rotate_every: 900,
        rate: 8_000,
        dates: Dates::Now,
    });
    tokio::time::sleep(Duration::from_millis(1700)).await;
    pipeline.process(Part::Agent)?.freeze()?;
    let after = disk.after_power_cut("agent-after")?;
    pipeline.kill(Part::Agent)?;
    let yaml = std::fs::read_to_string(pipeline.yaml(Part::Agent))?;
    std::fs::write(
        pipeline.yaml(Part::Agent),
        yaml.replace(&*disk.mount.to_string_lossy(), &after.mount.to_string_lossy()),
    )?;
    pipeline.start(Part::Agent).await?;
    writer.join()?;
    // Repeats count in the topic's size: only the lines themselves tell that all are there.
    let found =
        clock::until("every line in the topic", Duration::from_secs(60), Duration::from_millis(300), || async {
            let lines = pipeline.in_flight().await?;
            ensure!(lines == 0.0, "{lines} lines in flight");
            let found = readback::topic(&pipeline.brokers, TOPIC, FILES, per_file)?;
            found.none_missing()?;
            Ok(Some(found))
        })
        .await?;
    pipeline.stop_all().await?;
    found.in_order()?;
    Ok(found.repeats)
}

fn with_state_on(dir: &std::path::Path, name: &str, disk: &LoopFs) -> Result<Pipeline> {
    let home = dir.join(format!("{name}-home"));
    std::fs::create_dir_all(&home)?;
    let (kafka, index) = (crate::ports::free()?, crate::ports::free()?);
    Pipeline::with_data(&home, &disk.mount, &format!("127.0.0.1:{kafka}"), &format!("http://127.0.0.1:{index}"))
}
