//! Our broker beside Apache Kafka: the same client program on both, in turns, in one run.

pub mod client;
mod disk;
pub mod server;

use std::time::Duration;

use anyhow::{Context, Result};
use client::Load;
use disk::Disk;
use hdrhistogram::Histogram;
use server::{Ack, Kind, Make, Meter, Server};

use crate::{
    plot::Bars,
    quiet::Quiet,
    report::{Report, progress},
};

const TOPIC: &str = "load";
const SINGLE: &str = "single";
const ALL: [Kind; 4] = [Kind::OURS_CACHE, Kind::KAFKA_CACHE, Kind::OURS_DISK, Kind::KAFKA_DISK];
const CACHE: [Kind; 2] = [Kind::OURS_CACHE, Kind::KAFKA_CACHE];
const PLAIN: Load = Load { record_bytes: 1000, batch_bytes: 1_000_000, codec: "none", partitions: 6, megabytes: 400 };

#[derive(Clone, Copy, PartialEq, Eq)]
enum Client {
    Librdkafka,
    /// Kafka's own performance tool.
    Java,
}

/// A workload of producing, and whether what was produced is consumed, too.
struct Cell {
    name: &'static str,
    client: Client,
    load: Load,
    kinds: &'static [Kind],
    consumed: bool,
}

const CELL: Cell = Cell { name: "", client: Client::Librdkafka, load: PLAIN, kinds: &CACHE, consumed: false };

const CELLS: [Cell; 9] = [
    Cell { name: "1 KB, batches of 1 MB", kinds: &ALL, consumed: true, ..CELL },
    Cell {
        name: "1 KB, batches of 64 KB",
        load: Load { batch_bytes: 64_000, megabytes: 200, ..PLAIN },
        kinds: &ALL,
        ..CELL
    },
    Cell { name: "1 KB, lz4, batches of 1 MB", load: Load { codec: "lz4", ..PLAIN }, consumed: true, ..CELL },
    Cell { name: "100 B, batches of 1 MB", load: Load { record_bytes: 100, ..PLAIN }, consumed: true, ..CELL },
    // As much as gives a processor's time that a clock of 10 ms can tell.
    Cell { name: "1 KB, 1 partition", load: Load { partitions: 1, megabytes: 1000, ..PLAIN }, ..CELL },
    Cell {
        name: "1 KB, 100 partitions",
        load: Load { partitions: 100, batch_bytes: 64_000, megabytes: 100, ..PLAIN },
        kinds: &ALL,
        ..CELL
    },
    Cell {
        name: "1 KB, 1000 partitions",
        load: Load { partitions: 1000, batch_bytes: 64_000, megabytes: 50, ..PLAIN },
        kinds: &[Kind::OURS_DISK, Kind::KAFKA_CACHE],
        ..CELL
    },
    Cell {
        name: "1 KB from Java, batches of 64 KB",
        client: Client::Java,
        load: Load { batch_bytes: 64_000, ..PLAIN },
        ..CELL
    },
    Cell {
        name: "1 KB from Java, its default batches of 16 KB",
        client: Client::Java,
        load: Load { batch_bytes: 16_384, megabytes: 200, ..PLAIN },
        ..CELL
    },
];

pub async fn run(report: &mut Report, rounds: usize) -> Result<()> {
    let (disk, mut quiet) = (Disk::measure()?, Quiet::new());
    let mut servers = starts(report, &mut quiet).await?;
    report.write()?;
    throughput(report, &servers, &disk, rounds, &mut quiet).await?;
    report.write()?;
    latency(report, &servers, &disk, rounds, &mut quiet).await?;
    report.write()?;
    restarts(report, &mut servers).await?;
    report.write()
}

async fn starts(report: &mut Report, quiet: &mut Quiet) -> Result<Vec<Server>> {
    report.section(
        "Broker beside Apache Kafka: start and idling",
        "From exec, on a directory with one topic, to the first ack of a producer that is already trying to connect; then\n\
         10 s with nothing to do.",
        &["broker", "start to first ack", "RssAnon idle", "CPU idle"],
    );
    let mut servers = Vec::new();
    for kind in ALL {
        let (mut server, _) = Server::start(kind).await?;
        let row = quiet.run(async || {
            server.stop().await?;
            let ready = server.start_again().await?;
            let meter = server.meter()?;
            tokio::time::sleep(Duration::from_secs(10)).await;
            Ok([
                kind.name().into(),
                format!("{:.0} ms", ready.as_secs_f64() * 1e3),
                format!("{:.0} MiB", meter.peak_mib()),
                format!("{:.2} %", meter.cpu_seconds()? / meter.seconds() * 100.0),
            ])
        });
        report.row(&row.await?);
        servers.push(server);
    }
    report.note(&quiet.told());
    Ok(servers)
}

/// What one run came to, or the median of several.
#[derive(Clone, Copy)]
struct Run {
    megabytes_per_second: f64,
    cpu_seconds_per_gb: f64,
    peak_mib: f64,
}

async fn throughput(
    report: &mut Report,
    servers: &[Server],
    disk: &Disk,
    rounds: usize,
    quiet: &mut Quiet,
) -> Result<()> {
    let mut rows = Vec::new();
    for cell in &CELLS {
        let used: Vec<&Server> = servers.iter().filter(|server| cell.kinds.contains(&server.kind)).collect();
        let mut produced: Vec<Vec<Run>> = vec![Vec::new(); used.len()];
        let mut consumed = produced.clone();
        progress(cell.name);
        for _ in 0..rounds {
            for (i, server) in used.iter().enumerate() {
                let (producing, consuming) = quiet.run(async || once(server, cell).await).await?;
                produced[i].push(producing);
                consumed[i].extend(consuming);
            }
        }
        for (what, runs) in [("produce", produced), ("consume", consumed)] {
            let results: Vec<(Kind, Run)> =
                used.iter().zip(runs).filter_map(|(server, runs)| Some((server.kind, median(runs)?))).collect();
            rows.extend(
                results.iter().map(|(kind, run)| (format!("{what} {}", cell.name), *kind, *run, results.clone())),
            );
        }
    }
    report.section(
        "Broker beside Apache Kafka: throughput",
        &format!(
            "librdkafka, and Kafka's own performance tool where Java is named; acks=all, linger 5 ms, 6 partitions where nothing else is\n\
             said; each run on a new topic, in turns, median of {rounds}. What earlier runs left is written and dropped from the page cache before each. Both brokers have both\n\
             cores, and so has the client. Memory is the peak of RssAnon during the runs. The disk alone writes {:.0} MB/s in blocks of\n\
             4 MiB that are synced one by one.",
            disk.sequential_mb_per_second
        ),
        &["workload", "broker", "MB/s", "× Kafka", "broker CPU-s/GB", "× Kafka", "peak MiB"],
    );
    let mut chart = Bars::new("Broker: producing and consuming, MB/s");
    for (workload, kind, run, all) in &rows {
        let peer = all
            .iter()
            .find(|(other, _)| *other == kind.peer())
            .or(all.iter().find(|(other, _)| other.make == Make::Kafka));
        let ratio = |value: fn(&Run) -> f64| match (kind.make, peer) {
            (Make::Logmill, Some((_, peer))) => format!("{:.2}", value(run) / value(peer)),
            _ => String::new(),
        };
        report.row(&[
            workload.clone(),
            kind.name().into(),
            format!("{:.0}", run.megabytes_per_second),
            ratio(|run| run.megabytes_per_second),
            format!("{:.2}", run.cpu_seconds_per_gb),
            ratio(|run| run.cpu_seconds_per_gb),
            format!("{:.0}", run.peak_mib),
        ]);
        chart.bar(workload, kind.name(), run.megabytes_per_second);
    }
    report.note(&quiet.told());
    report.plot("broker-throughput", &chart);
    Ok(())
}

/// On a new topic: producing, and consuming what was produced where the cell wants that.
async fn once(server: &Server, cell: &Cell) -> Result<(Run, Option<Run>)> {
    client::create_topic(&server.brokers, TOPIC, cell.load.partitions).await?;
    server.settle();
    let producing = match cell.client {
        Client::Librdkafka => timed(server, cell.load, client::produce).await?,
        Client::Java => java(server, cell.load).await?,
    };
    let consuming = if cell.consumed && server.kind.ack == Ack::PageCache {
        Some(timed(server, cell.load, client::consume).await?)
    } else {
        None
    };
    client::delete_topic(&server.brokers, TOPIC).await?;
    Ok((producing, consuming))
}

async fn timed(server: &Server, load: Load, work: fn(&str, &str, Load) -> Result<Duration>) -> Result<Run> {
    let brokers = server.brokers.clone();
    let meter = server.meter()?;
    let took = tokio::task::spawn_blocking(move || work(&brokers, TOPIC, load)).await??;
    came_to(server, &meter, load, load.megabytes as f64 / took.as_secs_f64())
}

/// At the rate that the tool itself tells: its virtual machine's start is not in it.
async fn java(server: &Server, load: Load) -> Result<Run> {
    let meter = server.meter()?;
    let rate = client::produce_from_java(&server.brokers, TOPIC, load).await?;
    came_to(server, &meter, load, rate * load.record_bytes as f64 / 1e6)
}

fn came_to(server: &Server, meter: &Meter, load: Load, megabytes_per_second: f64) -> Result<Run> {
    let cpu_seconds_per_gb = meter.cpu_seconds()? / (load.megabytes as f64 / 1000.0);
    progress(&format!("{}: {megabytes_per_second:.0} MB/s, {cpu_seconds_per_gb:.2} CPU-s/GB", server.kind.name()));
    Ok(Run { megabytes_per_second, cpu_seconds_per_gb, peak_mib: meter.peak_mib() })
}

fn median(mut runs: Vec<Run>) -> Option<Run> {
    runs.sort_by(|a, b| a.megabytes_per_second.total_cmp(&b.megabytes_per_second));
    runs.get(runs.len() / 2).copied()
}

async fn latency(report: &mut Report, servers: &[Server], disk: &Disk, rounds: usize, quiet: &mut Quiet) -> Result<()> {
    report.section(
        "Broker beside Apache Kafka: latency",
        &format!(
            "20 000 records of 1 KB a second for 6 s into 6 partitions (linger 1 ms), from send to ack; and one record of 100 B at a\n\
             time, from send until a waiting consumer has it, 2000 times. In turns, the median of {rounds} by p99. The disk alone needs\n\
             {} µs (p50) and {} µs (p99) for a synced write of 4 KiB.",
            disk.small.value_at_quantile(0.5),
            disk.small.value_at_quantile(0.99)
        ),
        &["broker", "ack p50", "p99", "p99.9", "one record p50", "p99"],
    );
    let mut steady: Vec<Vec<Histogram<u64>>> = vec![Vec::new(); servers.len()];
    let mut single = steady.clone();
    for round in 0..rounds {
        for (i, server) in servers.iter().enumerate() {
            progress(&format!("latency of {}, round {}", server.kind.name(), round + 1));
            let (acks, records) = quiet.run(async || latencies(server).await).await?;
            steady[i].push(acks);
            single[i].push(records);
        }
    }
    let mut chart = Bars::new("Broker: from send to ack at 20 000 records/s, ms");
    for ((server, steady), single) in servers.iter().zip(steady).zip(single) {
        let (acks, records) = (median_by_p99(steady)?, median_by_p99(single)?);
        let ms = |quantile| acks.value_at_quantile(quantile) as f64 / 1e3;
        let us = |quantile| format!("{} µs", records.value_at_quantile(quantile));
        report.row(&[
            server.kind.name().into(),
            format!("{:.1} ms", ms(0.5)),
            format!("{:.1} ms", ms(0.99)),
            format!("{:.1} ms", ms(0.999)),
            us(0.5),
            us(0.99),
        ]);
        for (name, quantile) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
            chart.bar(name, server.kind.name(), ms(quantile));
        }
    }
    report.note(&quiet.told());
    report.plot("broker-latency", &chart);
    Ok(())
}

/// Of records at a steady rate until their ack, and of single ones until they are consumed.
async fn latencies(server: &Server) -> Result<(Histogram<u64>, Histogram<u64>)> {
    client::create_topic(&server.brokers, TOPIC, 6).await?;
    server.settle();
    let acks = client::ack_latency(&server.brokers, TOPIC, 20_000, 6).await?;
    client::delete_topic(&server.brokers, TOPIC).await?;
    client::create_topic(&server.brokers, SINGLE, 1).await?;
    server.settle();
    let brokers = server.brokers.clone();
    let records = tokio::task::spawn_blocking(move || client::end_to_end(&brokers, SINGLE, 2000)).await??;
    client::delete_topic(&server.brokers, SINGLE).await?;
    Ok((acks, records))
}

fn median_by_p99(mut runs: Vec<Histogram<u64>>) -> Result<Histogram<u64>> {
    runs.sort_by_key(|run| run.value_at_quantile(0.99));
    let middle = runs.len() / 2;
    runs.into_iter().nth(middle).context("no run")
}

async fn restarts(report: &mut Report, servers: &mut [Server]) -> Result<()> {
    report.section(
        "Broker beside Apache Kafka: restart after kill -9",
        "With 1000 partitions that were just written to and 2 GB in 6 others, from exec to the first ack; once each.",
        &["broker", "exec to first ack"],
    );
    for server in servers.iter_mut().filter(|server| [Kind::OURS_DISK, Kind::KAFKA_CACHE].contains(&server.kind)) {
        for (topic, load) in [
            ("many", Load { partitions: 1000, batch_bytes: 64_000, megabytes: 50, ..PLAIN }),
            (TOPIC, Load { megabytes: 2000, ..PLAIN }),
        ] {
            client::create_topic(&server.brokers, topic, load.partitions).await?;
            let brokers = server.brokers.clone();
            tokio::task::spawn_blocking(move || client::produce(&brokers, topic, load)).await??;
        }
        server.kill()?;
        let ready = server.start_again().await?;
        report.row(&[server.kind.name().into(), format!("{:.0} ms", ready.as_secs_f64() * 1e3)]);
    }
    Ok(())
}
