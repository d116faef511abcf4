//! How long the broker takes from exec to its first acknowledgement on an empty directory.

use std::time::Duration;

use anyhow::{Result, ensure};
use logmill_e2e::{
    clock,
    pipeline::{Part, Pipeline},
    process::{Process, binary},
    sample,
};
use rdkafka::{
    ClientConfig,
    producer::{FutureProducer, FutureRecord},
};

use crate::report::Report;

const ROUNDS: usize = 7;

pub async fn run(report: &mut Report) -> Result<()> {
    report.section(
        "Broker start to first ack",
        "The broker is executed on an empty directory while a producer is already trying to connect (backoff 1 ms); the time ends\n\
         with the delivery report of its first record, which includes making the topic.",
        &["median", "fastest", "slowest", "RssAnon after"],
    );
    let (mut times, mut memory) = (Vec::new(), 0.0f64);
    for _ in 0..ROUNDS {
        let dir = tempfile::tempdir()?;
        let pipeline = Pipeline::new(dir.path())?;
        let producer: FutureProducer = ClientConfig::new()
            .set("bootstrap.servers", &pipeline.brokers)
            .set("reconnect.backoff.ms", "1")
            .set("reconnect.backoff.max.ms", "2")
            .set("retry.backoff.ms", "1")
            .set("topic.metadata.refresh.fast.interval.ms", "1")
            .set("linger.ms", "0")
            .set("log_level", "0")
            .create()?;
        let send = producer.send(FutureRecord::<(), str>::to("first").payload("hello"), Duration::from_secs(10));
        let yaml = pipeline.yaml(Part::Broker);
        let start = clock::now();
        let process = Process::spawn(
            "broker",
            &binary("logmill-broker")?,
            &["--config", &yaml.to_string_lossy()],
            dir.path(),
            &dir.path().join("broker.out"),
        )?;
        let delivered = send.await;
        times.push(start.elapsed().as_secs_f64() * 1000.0);
        ensure!(delivered.is_ok(), "the first record was not delivered: {delivered:?}, {}", process.tail());
        memory = memory.max(sample::rss_anon_kib(process.id())? as f64 / 1024.0);
    }
    times.sort_by(f64::total_cmp);
    let ms = |t: f64| format!("{t:.0} ms");
    report.row(&[ms(times[ROUNDS / 2]), ms(times[0]), ms(times[ROUNDS - 1]), format!("{memory:.0} MiB")]);
    report.end();
    Ok(())
}
