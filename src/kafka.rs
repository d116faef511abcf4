//! How the client commands reach any Kafka: brokers, librdkafka's properties, clear errors.

pub(crate) mod alter_configs;
pub(crate) mod deletion;
pub(crate) mod log_dirs;

use std::{
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use logmill_config::units::parse_duration;
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    metadata::Metadata,
    types::RDKafkaRespErr,
};

use crate::{commands::not_yet, fault};

/// Options of every client command.
#[derive(Debug, Clone, Args)]
pub(crate) struct Connection {
    /// Kafka brokers, comma-separated HOST:PORT
    #[arg(long, env = "LOGMILL_BROKERS", default_value = "localhost:9092", value_name = "HOST:PORT,…")]
    brokers: String,
    /// Another librdkafka property, e.g. security.protocol=ssl (may be repeated)
    #[arg(short = 'X', long = "property", value_name = "KEY=VALUE", value_parser = key_value)]
    properties: Vec<(String, String)>,
    /// How long to wait for an answer
    #[arg(long, default_value = "10s", value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) timeout: Duration,
    #[arg(long, hide = true, num_args = 0..=1)]
    tls: Option<Option<String>>,
    #[arg(long, hide = true, num_args = 0..=1)]
    sasl: Option<Option<String>>,
}

/// `KEY=VALUE` on the command line.
pub(crate) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("\"{text}\" is not KEY=VALUE")),
    }
}

impl Connection {
    /// The configuration every client starts from; fails at once when no broker answers.
    pub(crate) fn config(&self) -> anyhow::Result<ClientConfig> {
        if self.tls.is_some() {
            return not_yet("--tls (use -X security.protocol=ssl and librdkafka's ssl.* properties)");
        }
        if self.sasl.is_some() {
            return not_yet("--sasl (use -X security.protocol=… and librdkafka's sasl.* properties)");
        }
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).set("client.id", "logmill");
        for (key, value) in &self.properties {
            config.set(key, value);
        }
        self.reach()?;
        Ok(config)
    }

    /// librdkafka retries a refused connection until the time-out; a person wants to know now.
    fn reach(&self) -> anyhow::Result<()> {
        let mut last = None;
        for broker in self.brokers.split(',').map(str::trim).filter(|b| !b.is_empty()) {
            let address = if broker.rsplit_once(':').is_some_and(|(_, p)| p.parse::<u16>().is_ok()) {
                broker.to_owned()
            } else {
                format!("{broker}:9092")
            };
            let addresses = match address.to_socket_addrs() {
                Ok(addresses) => addresses,
                Err(e) => {
                    last = Some(anyhow!("cannot find {broker}: {e}"));
                    continue;
                }
            };
            for address in addresses {
                match TcpStream::connect_timeout(&address, self.timeout.min(Duration::from_secs(5))) {
                    Ok(_) => return Ok(()),
                    Err(e) => {
                        let text = e.to_string();
                        let reason = text.split(" (os error").next().unwrap_or(&text).to_lowercase();
                        last =
                            Some(anyhow!("cannot connect to Kafka at {broker}: {reason}, is a broker running there?"));
                    }
                }
            }
        }
        Err(last.unwrap_or_else(|| fault::usage("--brokers names no broker, expected HOST:PORT")))
    }

    /// Whether brokers are reached without TLS and SASL, as far as the properties say.
    pub(crate) fn is_plain(&self) -> bool {
        let secured =
            |(key, value): &(String, String)| key == "security.protocol" && !value.eq_ignore_ascii_case("plaintext");
        !self.properties.iter().any(secured)
    }

    /// A consumer that joins no group: for metadata, offsets and reading by assignment.
    pub(crate) fn consumer(&self, group: Option<&str>) -> anyhow::Result<BaseConsumer> {
        let mut config = self.config()?;
        config
            .set("group.id", group.unwrap_or("logmill-look"))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("allow.auto.create.topics", "false");
        config.create().context("cannot set up a Kafka consumer")
    }

    pub(crate) fn admin(&self) -> anyhow::Result<(AdminClient<DefaultClientContext>, AdminOptions)> {
        let admin = self.config()?.create().context("cannot set up a Kafka client")?;
        let options = AdminOptions::new().request_timeout(Some(self.timeout)).operation_timeout(Some(self.timeout));
        Ok((admin, options))
    }

    /// Metadata of one topic or of all.
    pub(crate) fn metadata(&self, consumer: &BaseConsumer, topic: Option<&str>) -> anyhow::Result<Metadata> {
        consumer.fetch_metadata(topic, self.timeout).map_err(|e| self.words("cannot read the metadata", e))
    }

    /// The partitions of one topic, which must exist.
    pub(crate) fn partitions(&self, consumer: &BaseConsumer, topic: &str) -> anyhow::Result<Vec<i32>> {
        let metadata = self.metadata(consumer, Some(topic))?;
        let found = metadata.topics().iter().find(|t| t.name() == topic);
        match found.map(|t| (t.error(), t.partitions())) {
            Some((None, partitions)) if !partitions.is_empty() => Ok(partitions.iter().map(|p| p.id()).collect()),
            Some((Some(e), _)) if !is_unknown_topic(e) => bail!("topic \"{topic}\": {}", code_words(e.into())),
            _ => bail!("topic \"{topic}\" does not exist"),
        }
    }

    /// An error in words that say what was tried and where.
    pub(crate) fn words(&self, what: &str, e: KafkaError) -> anyhow::Error {
        match e.rdkafka_error_code() {
            Some(RDKafkaErrorCode::OperationTimedOut | RDKafkaErrorCode::RequestTimedOut) => {
                anyhow!("{what}: no answer from {} within {:?}", self.brokers, self.timeout)
            }
            Some(code) => anyhow!("{what}: {}", code_words(code)),
            None => anyhow::Error::from(e).context(what.to_owned()),
        }
    }
}

/// librdkafka's description of an error without its name: "topic already exists" of "TopicAlreadyExists (Broker: Topic already exists)".
pub(crate) fn code_words(code: RDKafkaErrorCode) -> String {
    let text = code.to_string();
    let inner = text.split_once('(').and_then(|(_, t)| t.strip_suffix(')')).unwrap_or(&text);
    let words = inner.strip_prefix("Broker: ").or_else(|| inner.strip_prefix("Local: ")).unwrap_or(inner);
    let mut chars = words.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

pub(crate) fn is_unknown_topic(e: RDKafkaRespErr) -> bool {
    matches!(
        RDKafkaErrorCode::from(e),
        RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownPartition
    )
}

/// A runtime for the few calls of a client command that are asynchronous.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start a runtime")?;
    Ok(runtime.block_on(future))
}
