//! `logmill produce TOPIC`: a record per line of standard input; fails when a line is not acknowledged.

use std::{
    io::{self, BufRead},
    process::ExitCode,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use logmill_config::units::parse_duration;
use rdkafka::{
    ClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext},
};

use crate::kafka::{Connection, code_words, key_value};

/// A longer line is refused rather than read into memory.
const MAX_LINE_BYTES: usize = 64 << 20;

#[derive(Debug, Args)]
pub(crate) struct Options {
    topic: String,
    /// What stands before this is the record's key (\t for a tab)
    #[arg(long, value_name = "SEPARATOR")]
    key_separator: Option<String>,
    /// To this partition; default: by key, else spread
    #[arg(long, value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    /// A header of every record (may be repeated)
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    header: Vec<(String, String)>,
    /// Which acknowledgement counts
    #[arg(long, value_enum, default_value = "all")]
    acks: Acks,
    #[arg(long, value_enum, default_value = "none")]
    compression: Compression,
    /// A line not acknowledged within this time has failed
    #[arg(long, default_value = "30s", value_name = "DURATION", value_parser = parse_duration)]
    delivery_timeout: Duration,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Acks {
    All,
    #[value(name = "1")]
    Leader,
    #[value(name = "0")]
    None,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Compression {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

/// Counts what came back; the opaque of each record is its line number.
#[derive(Clone, Default)]
struct Deliveries(Arc<Counts>);

#[derive(Default)]
struct Counts {
    acknowledged: AtomicU64,
    failed: AtomicU64,
    first_failure: Mutex<Option<(usize, KafkaError)>>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, line: usize) {
        match result {
            Ok(_) => {
                self.0.acknowledged.fetch_add(1, Relaxed);
            }
            Err((e, _)) => {
                self.0.failed.fetch_add(1, Relaxed);
                let mut first = self.0.first_failure.lock().unwrap_or_else(PoisonError::into_inner);
                first.get_or_insert((line, e.clone()));
            }
        }
    }
}

pub(crate) fn run(options: Options) -> anyhow::Result<ExitCode> {
    let deliveries = Deliveries::default();
    let producer = producer(&options, deliveries.clone())?;
    let separator = options.key_separator.as_ref().map(|s| s.replace("\\t", "\t").into_bytes());
    let headers = options
        .header
        .iter()
        .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
    let mut input = io::stdin().lock();
    let (mut line, mut number) = (Vec::new(), 0usize);
    let mut stopped = None;
    loop {
        line.clear();
        if read_line(&mut input, &mut line).context("cannot read standard input")? == 0 {
            break;
        }
        number += 1;
        if line.len() > MAX_LINE_BYTES {
            stopped = Some(format!("line {number} is longer than {MAX_LINE_BYTES} bytes"));
            break;
        }
        let (key, value) = match &separator {
            None => (None, line.as_slice()),
            Some(separator) => match split(&line, separator) {
                Some((key, value)) => (Some(key), value),
                None => {
                    stopped = Some(format!("line {number} has no key separator"));
                    break;
                }
            },
        };
        if let Err(e) = send(&producer, &options, &headers, key, value, number) {
            stopped = Some(format!("line {number} cannot be produced: {}", words(&e)));
            break;
        }
        if deliveries.0.failed.load(Relaxed) > 0 {
            break;
        }
    }
    // Each record ends by itself within the delivery time-out; the margin is for its report.
    let flushed = producer.flush(options.delivery_timeout + Duration::from_secs(5));
    let failed = deliveries.0.failed.load(Relaxed);
    let acknowledged = deliveries.0.acknowledged.load(Relaxed);
    let first = deliveries.0.first_failure.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some((line, e)) = first {
        bail!("{failed} of {number} lines not acknowledged, {acknowledged} are; first line {line}: {}", words(&e));
    }
    if let Some(message) = stopped {
        bail!("{message}; {acknowledged} lines before it are acknowledged");
    }
    flushed.with_context(|| format!("{acknowledged} of {number} lines acknowledged"))?;
    Ok(ExitCode::SUCCESS)
}

fn producer(options: &Options, deliveries: Deliveries) -> anyhow::Result<BaseProducer<Deliveries>> {
    let mut config = options.connection.config()?;
    let acks = match options.acks {
        Acks::All => "all",
        Acks::Leader => "1",
        Acks::None => "0",
    };
    let compression = match options.compression {
        Compression::None => "none",
        Compression::Gzip => "gzip",
        Compression::Snappy => "snappy",
        Compression::Lz4 => "lz4",
        Compression::Zstd => "zstd",
    };
    config
        .set("acks", acks)
        .set("enable.idempotence", if options.acks == Acks::All { "true" } else { "false" })
        .set("compression.type", compression)
        .set("linger.ms", "5")
        .set("message.max.bytes", "104857600")
        .set("queue.buffering.max.kbytes", "65536")
        .set("message.timeout.ms", options.delivery_timeout.as_millis().max(1).to_string());
    config.create_with_context(deliveries).context("cannot set up a Kafka producer")
}

/// Sends one record; waits while librdkafka's queue is full.
fn send(
    producer: &BaseProducer<Deliveries>,
    options: &Options,
    headers: &OwnedHeaders,
    key: Option<&[u8]>,
    value: &[u8],
    number: usize,
) -> Result<(), KafkaError> {
    let mut record: BaseRecord<'_, [u8], [u8], usize> =
        BaseRecord::with_opaque_to(&options.topic, number).payload(value);
    if let Some(key) = key {
        record = record.key(key);
    }
    if let Some(partition) = options.partition {
        record = record.partition(partition);
    }
    if !options.header.is_empty() {
        record = record.headers(headers.clone());
    }
    loop {
        match producer.send(record) {
            Ok(()) => {
                producer.poll(Duration::ZERO);
                return Ok(());
            }
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                producer.poll(Duration::from_millis(100));
                record = back;
            }
            Err((e, _)) => return Err(e),
        }
    }
}

/// One line without its end; 0 at the end of the input. Reads at most a little more than a line may have.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<usize> {
    let n = io::Read::take(input, MAX_LINE_BYTES as u64 + 2).read_until(b'\n', line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    }
    Ok(n)
}

fn split<'a>(line: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    if separator.is_empty() {
        return None;
    }
    let at = line.windows(separator.len()).position(|w| w == separator)?;
    Some((line.get(..at)?, line.get(at + separator.len()..)?))
}

fn words(e: &KafkaError) -> String {
    match e.rdkafka_error_code() {
        Some(RDKafkaErrorCode::MessageTimedOut) => "no acknowledgement in time".into(),
        Some(code) => code_words(code),
        None => e.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn lines_and_keys() {
        let mut input = io::Cursor::new(b"a\r\n\nlast".to_vec());
        let mut next = || {
            let mut line = Vec::new();
            (read_line(&mut input, &mut line).unwrap() > 0).then_some(line)
        };
        assert_eq!(next(), Some(b"a".to_vec()));
        assert_eq!(next(), Some(b"".to_vec()));
        assert_eq!(next(), Some(b"last".to_vec()));
        assert_eq!(next(), None);
        assert_eq!(split(b"k::v::w", b"::"), Some((&b"k"[..], &b"v::w"[..])));
        assert_eq!(split(b"kv", b":"), None);
    }
}
