//! `logmill consume TOPIC`: prints a topic's records, as a member of a group or on its own.

mod print;
mod start;

use std::{
    collections::BTreeSet,
    io::{self, BufWriter, Write},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::Context as _;
use clap::Args;
use logmill_daemon::Signals;
use rdkafka::{
    Message,
    consumer::{BaseConsumer, CommitMode, Consumer},
    error::KafkaError,
};

use self::start::Start;
pub(crate) use self::start::parse_time;
use crate::{commands::not_yet, fault, kafka::Connection};

#[derive(Debug, Args)]
pub(crate) struct Options {
    topic: String,
    /// As --offset beginning
    #[arg(long, conflicts_with = "offset")]
    from_beginning: bool,
    /// beginning, end, stored (the group's), N, -N (the last N of each partition) or @TIME (RFC 3339 or epoch milliseconds)
    #[arg(long, value_parser = start::parse, allow_hyphen_values = true)]
    offset: Option<Start>,
    /// Join this consumer group and commit what was printed
    #[arg(long)]
    group: Option<String>,
    /// Only this partition
    #[arg(long, value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    /// Stop after this many records
    #[arg(long)]
    max: Option<u64>,
    /// Stop at the end of the topic
    #[arg(long)]
    exit_at_end: bool,
    /// lines (the value) or json (an object per record)
    #[arg(long, value_enum, default_value = "lines")]
    format: print::Format,
    /// Print the key and this before the value (\t for a tab)
    #[arg(long, value_name = "SEPARATOR")]
    key_separator: Option<String>,
    #[arg(long, hide = true)]
    isolation: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// How often a group's progress is committed while printing.
const COMMIT_EVERY_RECORDS: u64 = 10_000;

pub(crate) fn run(options: Options) -> anyhow::Result<ExitCode> {
    if options.isolation.is_some() {
        return not_yet("logmill consume --isolation");
    }
    let start = if options.from_beginning { Some(Start::Beginning) } else { options.offset };
    let joins = options.group.is_some() && options.partition.is_none();
    if start == Some(Start::Stored) && options.group.is_none() {
        return Err(fault::usage("--offset stored needs --group"));
    }
    if joins && start.is_some_and(|s| !matches!(s, Start::Beginning | Start::End | Start::Stored)) {
        return Err(fault::usage("--offset N and @TIME need --partition when --group is given, or no --group"));
    }
    let stop = stop_flag()?;
    let consumer = consumer(&options, start)?;
    let mut ends = start::Ends::default();
    if joins {
        // A group would wait for a topic that never comes.
        options.connection.partitions(&consumer, &options.topic)?;
        consumer.subscribe(&[&options.topic]).context("cannot join the group")?;
    } else {
        let start = start.unwrap_or(if options.group.is_some() { Start::Stored } else { Start::End });
        ends = start::assign(&consumer, &options, start)?;
    }
    let printed = print_records(&options, &consumer, &stop, ends, joins);
    if options.group.is_some() {
        commit(&consumer, CommitMode::Sync)?;
    }
    printed?;
    Ok(ExitCode::SUCCESS)
}

fn consumer(options: &Options, start: Option<Start>) -> anyhow::Result<BaseConsumer> {
    let mut config = options.connection.config()?;
    let reset = if start == Some(Start::Beginning) { "earliest" } else { "latest" };
    config
        .set("group.id", options.group.as_deref().unwrap_or("logmill-consume"))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", reset)
        .set("allow.auto.create.topics", "false")
        .set("queued.max.messages.kbytes", "65536");
    config.create().context("cannot set up a Kafka consumer")
}

fn print_records(
    options: &Options,
    consumer: &BaseConsumer,
    stop: &AtomicBool,
    mut ends: start::Ends,
    joins: bool,
) -> anyhow::Result<()> {
    let mut out = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
    let separator = options.key_separator.as_ref().map(|s| s.replace("\\t", "\t"));
    let (mut count, mut at_end) = (0u64, BTreeSet::new());
    // An own assignment may be at its end before the first record (an empty topic).
    let ended = |ends: &start::Ends| !joins && options.exit_at_end && ends.reached();
    while !stop.load(Relaxed) && options.max.is_none_or(|max| count < max) && !ended(&ends) {
        let message = match consumer.poll(Duration::ZERO) {
            Some(message) => message,
            None => {
                out.flush()?;
                match consumer.poll(Duration::from_millis(100)) {
                    Some(message) => message,
                    None => continue,
                }
            }
        };
        match message {
            Ok(message) => {
                at_end.remove(&message.partition());
                print::record(&mut out, options.format, separator.as_deref(), &message)?;
                count += 1;
                ends.passed(message.partition(), message.offset() + 1);
                if options.group.is_some() {
                    consumer.store_offset_from_message(&message).context("cannot store an offset")?;
                    if count.is_multiple_of(COMMIT_EVERY_RECORDS) {
                        out.flush()?;
                        commit(consumer, CommitMode::Async)?;
                    }
                }
            }
            Err(KafkaError::PartitionEOF(partition)) => {
                at_end.insert(partition);
                ends.ended(partition);
                let assigned = consumer.assignment().map(|a| a.count()).unwrap_or(0);
                if options.exit_at_end && assigned > 0 && at_end.len() >= assigned {
                    break;
                }
            }
            Err(e) => return Err(options.connection.words("cannot read", e)),
        }
    }
    out.flush()?;
    Ok(())
}

/// Commits what was printed; nothing printed yet is nothing to commit.
fn commit(consumer: &BaseConsumer, mode: CommitMode) -> anyhow::Result<()> {
    use rdkafka::error::RDKafkaErrorCode;
    match consumer.commit_consumer_state(mode) {
        Err(e) if e.rdkafka_error_code() != Some(RDKafkaErrorCode::NoOffset) => Err(e).context("cannot commit"),
        _ => Ok(()),
    }
}

/// Set on the first SIGINT or SIGTERM, so that what was printed is committed before the end.
fn stop_flag() -> anyhow::Result<Arc<AtomicBool>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let flag = Arc::new(AtomicBool::new(false));
    let set = flag.clone();
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            if let Ok(mut signals) = Signals::listen() {
                signals.stop().await;
                set.store(true, Relaxed);
            }
        });
    })?;
    Ok(flag)
}
