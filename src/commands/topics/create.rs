//! `logmill topics create NAME`

use std::time::Duration;

use anyhow::bail;
use clap::Args;
use logmill_daemon::clock;
use rdkafka::{
    admin::{NewTopic, TopicReplication},
    error::RDKafkaErrorCode,
};

use crate::kafka::{Connection, block_on, code_words, key_value};

#[derive(Debug, Args)]
pub(super) struct Options {
    name: String,
    /// Default: the broker's own (num.partitions)
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..=100_000))]
    partitions: Option<i32>,
    /// Default: the broker's own (default.replication.factor)
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..=32_767))]
    replication_factor: Option<i32>,
    /// A topic setting by Kafka's own name, e.g. retention.ms=60000 (may be repeated)
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    config: Vec<(String, String)>,
    /// An existing topic is fine as it is
    #[arg(long)]
    if_not_exists: bool,
    #[command(flatten)]
    connection: Connection,
}

#[allow(clippy::print_stdout)]
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let (admin, admin_options) = options.connection.admin()?;
    let name = options.name.as_str();
    let replication = TopicReplication::Fixed(options.replication_factor.unwrap_or(-1));
    let mut topic = NewTopic::new(name, options.partitions.unwrap_or(-1), replication);
    for (key, value) in &options.config {
        topic = topic.set(key, value);
    }
    let results = block_on(admin.create_topics([&topic], &admin_options))?
        .map_err(|e| options.connection.words(&format!("cannot create topic \"{name}\""), e))?;
    for result in results {
        match result {
            Ok(_) => {
                wait_until_seen(options);
                println!("created topic {name}");
            }
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) if options.if_not_exists => {}
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => bail!("topic \"{name}\" already exists"),
            Err((_, code)) => bail!("cannot create topic \"{name}\": {}", code_words(code)),
        }
    }
    Ok(())
}

/// A cluster tells its brokers of a new topic a moment after it has answered; the next command should find it. Whatever
/// goes wrong here, the topic is created.
fn wait_until_seen(options: &Options) {
    let Ok(consumer) = options.connection.consumer(None) else { return };
    let deadline = clock::now() + options.connection.timeout;
    while clock::now() < deadline {
        let metadata = options.connection.metadata(&consumer, Some(&options.name));
        let led = metadata.is_ok_and(|m| {
            let mut topics = m.topics().iter().filter(|t| t.name() == options.name);
            topics.any(|t| !t.partitions().is_empty() && t.partitions().iter().all(|p| p.leader() >= 0))
        });
        if led {
            return;
        }
        // Serves librdkafka for a moment, which also is the pause between two questions.
        drop(consumer.poll(Duration::from_millis(50)));
    }
}
