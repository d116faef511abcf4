//! A device that fails under the broker: nothing is acknowledged that it does not hold, and what it refused is not believed afterwards,
//! though the page cache still shows it.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer},
};

use super::{Room, power_cut::Acks};
use crate::{
    clock, http,
    loopfs::FailingFs,
    pipeline::{Part, Pipeline, TOPIC},
    ports, readback,
};

/// Of the file system, and how much of it the device takes: it fails long before the broker's reserve of free space.
const SIZE_MIB: u64 = 1024;
const ROOM_MIB: u64 = 48;
const SOON: Duration = Duration::from_secs(60);
/// What a disk that others write to may hold a sync up.
const STALLED: Duration = Duration::from_secs(180);
const TICK: Duration = Duration::from_millis(50);

pub(super) async fn run(room: &Room) -> Result<String> {
    let rounds = if room.is_long() { 20 } else { 4 };
    let (mut acknowledged, mut refused) = (0, 0);
    let mut kinds = [0, 0];
    for n in 0..rounds {
        let dir = room.dir.join(format!("round-{n}"));
        std::fs::create_dir_all(&dir)?;
        // A little more each time, so that it fails elsewhere.
        let layout = Layout { room_mib: ROOM_MIB + n, journal: n % 2 == 1, alone: n % 4 < 2 };
        let (kept, lost, read_only) = round(&dir, layout).await.with_context(|| format!("round {n}"))?;
        (acknowledged, refused) = (acknowledged + kept, refused + lost);
        kinds[usize::from(read_only)] += 1;
    }
    ensure!(!kinds.contains(&0), "data refused {} times, read-only {} times", kinds[0], kinds[1]);
    Ok(format!(
        "data refused {} times, read-only {} times: {acknowledged} acknowledged records are there, {refused} that were not are gone",
        kinds[0], kinds[1]
    ))
}

#[derive(Clone, Copy)]
struct Layout {
    room_mib: u64,
    journal: bool,
    /// The device has all of the broker's data; else only some partitions, and none of the metadata.
    alone: bool,
}

/// Records that were acknowledged, those that were not, and whether the kernel made the file system read-only.
async fn round(dir: &Path, layout: Layout) -> Result<(usize, usize, bool)> {
    let disk = FailingFs::create(dir, "disk", SIZE_MIB, layout.room_mib, layout.journal)?;
    let mount = disk.mount.clone();
    let (kafka, index) = (ports::free()?, ports::free()?);
    let home = dir.join("home");
    std::fs::create_dir_all(&home)?;
    let addresses = (format!("127.0.0.1:{kafka}"), format!("http://127.0.0.1:{index}"));
    let mut pipeline = Pipeline::with_data(&home, &mount, &addresses.0, &addresses.1)?;
    // The whole disk is the broker's, as one mounted for it.
    let (one, disks) = (format!("data_dir: {}/broker", mount.display()), format!("data_dir: {}", mount.display()));
    let two = format!("data_dir: {}\nmore_data_dirs: [{}]", home.join("broker").display(), mount.display());
    reconfigure(&pipeline, &one, if layout.alone { &disks } else { &two })?;
    serve(&mut pipeline).await?;

    let acked = Arc::new(Mutex::new(BTreeSet::new()));
    let producer = producer(&pipeline.brokers, &acked)?;
    let (mut sent, start) = (0u64, clock::now());
    while fenced(&pipeline).await? == 0.0 {
        ensure!(start.elapsed() < SOON, "the device did not fail");
        sent = send(&producer, sent, 2000);
        producer.poll(TICK);
    }
    // Produced on for a while: refused now, but for partitions elsewhere, and reads go on.
    producer.poll(Duration::from_millis(500));
    let already = taken(&acked).len();
    ensure!(already > 0, "nothing was acknowledged before the device failed");
    sent = send(&producer, sent, 2000);
    let others = clock::until("acknowledgements of the partitions on the other disk", STALLED, TICK, || async {
        producer.poll(Duration::from_millis(500));
        Ok((layout.alone || taken(&acked).len() > already).then_some(()))
    });
    if let Err(error) = others.await {
        let fatal = producer.client().fatal_error();
        let (waiting, threads) = (producer.in_flight_count(), pipeline.process(Part::Broker)?.threads());
        bail!(
            "{error:#}; {waiting} records wait in the producer, fatal error {fatal:?}; the broker's threads: {threads}"
        );
    }
    let before = taken(&acked);
    let log = std::fs::read_to_string(home.join("broker.out"))?;
    ensure!(log.contains("ERROR"), "the broker says nothing of the failure");
    whole(&before, &there(&pipeline.brokers)?, "read from the broker on the failed device")?;

    // The device works again, and the page cache still shows what it never took.
    pipeline.kill(Part::Broker)?;
    drop(producer);
    disk.heal()?;
    let read_only = disk.is_read_only();
    if let Err(refusal) = serve(&mut pipeline).await {
        // What failed before is told to whoever syncs next.
        let (refusal, expected) =
            (format!("{refusal:#}"), if read_only { "Read-only file system" } else { "Input/output error" });
        ensure!(refusal.contains("cannot use the data directory") && refusal.contains(expected), "{refusal}");
        if read_only {
            disk.remount()?;
        }
        serve(&mut pipeline).await?;
    } else {
        ensure!(!read_only, "it starts on a read-only file system");
    }
    let seen = there(&pipeline.brokers)?;
    whole(&before, &seen, "after the restart")?;
    ensure!(fenced(&pipeline).await? == 0.0, "still fenced on a device that works");
    let again = Arc::new(Mutex::new(BTreeSet::new()));
    let producer = self::producer(&pipeline.brokers, &again)?;
    send(&producer, sent, 1000);
    producer.flush(SOON).context("producing after the restart")?;

    // What it serves now is on the device: the memory's view is thrown away.
    let after = disk.as_it_is("disk-after")?;
    pipeline.kill(Part::Broker)?;
    reconfigure(&pipeline, &mount.to_string_lossy(), &after.mount.to_string_lossy())?;
    serve(&mut pipeline).await?;
    let found = there(&pipeline.brokers)?;
    whole(&before, &found, "on the device itself")?;
    whole(&seen, &found, "served after the restart, then on the device itself")?;
    let again = taken(&again);
    ensure!(again.len() == 1000, "{} of 1000 acknowledged on the device that works again", again.len());
    whole(&again, &found, "acknowledged on the device that works again")?;
    pipeline.stop_all().await?;
    Ok((before.len() + again.len(), usize::try_from(sent)? - seen.len(), read_only))
}

/// The broker lives before it has opened its data, which may end it.
async fn serve(pipeline: &mut Pipeline) -> Result<()> {
    pipeline.start(Part::Broker).await?;
    let start = clock::now();
    while fenced(pipeline).await.is_err() {
        let process = pipeline.process(Part::Broker)?;
        if let Some(code) = process.ended()? {
            let said = process.tail();
            pipeline.forget(Part::Broker);
            bail!("the broker ended with {code} at start: {said}");
        }
        ensure!(start.elapsed() < SOON, "the broker does not serve: {}", process.tail());
        tokio::time::sleep(TICK).await;
    }
    Ok(())
}

fn reconfigure(pipeline: &Pipeline, from: &str, to: &str) -> Result<()> {
    let yaml = pipeline.yaml(Part::Broker);
    let text = std::fs::read_to_string(&yaml)?;
    ensure!(text.contains(from), "no {from:?} in the configuration");
    Ok(std::fs::write(yaml, text.replace(from, to))?)
}

fn producer(brokers: &str, acked: &Arc<Mutex<BTreeSet<u64>>>) -> Result<BaseProducer<Acks>> {
    let context = Acks::new(acked.clone(), Arc::new(AtomicBool::new(false)));
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", brokers).set("enable.idempotence", "true").set("linger.ms", "2");
    // What waits for the failed disk leaves room for what goes elsewhere.
    settings.set("queue.buffering.max.messages", "1000000");
    Ok(settings.create_with_context(context)?)
}

/// Numbers from `from` on, as many as the queue takes; gives the next.
fn send(producer: &BaseProducer<Acks>, from: u64, count: u64) -> u64 {
    // As the device compresses.
    let mut rng = fastrand::Rng::with_seed(from);
    for n in from..from + count {
        let filler: String = std::iter::repeat_with(|| rng.alphanumeric()).take(900).collect();
        // By key, so that each disk's partitions get some of them; without, one partition takes all of a moment's.
        if producer.send(BaseRecord::to(TOPIC).key(&n.to_string()).payload(&format!("{n} {filler}"))).is_err() {
            return n;
        }
    }
    from + count
}

fn taken(acked: &Mutex<BTreeSet<u64>>) -> BTreeSet<u64> {
    acked.lock().unwrap_or_else(|e| e.into_inner()).clone()
}

fn there(brokers: &str) -> Result<BTreeSet<u64>> {
    let mut there = BTreeSet::new();
    readback::records(brokers, TOPIC, |_, _, value, _| {
        let text = std::str::from_utf8(value)?;
        there.insert(text.split(' ').next().context("empty record")?.parse::<u64>()?);
        Ok(())
    })?;
    Ok(there)
}

fn whole(wanted: &BTreeSet<u64>, found: &BTreeSet<u64>, what: &str) -> Result<()> {
    let lost: Vec<_> = wanted.difference(found).take(5).collect();
    ensure!(lost.is_empty(), "{what}: of {} records some are lost: {lost:?} …", wanted.len());
    Ok(())
}

async fn fenced(pipeline: &Pipeline) -> Result<f64> {
    let metrics = http::text(&format!("http://127.0.0.1:{}/metrics", pipeline.port(Part::Broker))).await?;
    http::metric(&metrics, "logmill_broker_fenced_partitions", &[]).context("no metric of fenced partitions")
}
