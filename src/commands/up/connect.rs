//! Who meets whom: the addresses the parts got, and the topics that must be there before a consumer looks.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use anyhow::{Context as _, bail};
use logmill_config::{agent::AgentConfig, sinks::SinksConfig};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    error::RDKafkaErrorCode,
};

use crate::kafka::code_words;

/// An address to connect to: a listener on every interface is reached on loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => ([127, 0, 0, 1], v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (std::net::Ipv6Addr::LOCALHOST, v6.port()).into(),
        other => other,
    }
}

/// The agent produces to the broker beside it.
pub(super) fn agent(mut config: AgentConfig, kafka: SocketAddr) -> AgentConfig {
    config.kafka.brokers = vec![reachable(kafka).to_string()];
    config
}

/// The sinks read the broker beside them. A host that is the index as index.yaml names it (`named`) follows it to where
/// it listens now; any other, such as a real cluster, stays.
pub(super) fn sinks(mut config: SinksConfig, kafka: SocketAddr, index: SocketAddr, named: SocketAddr) -> SinksConfig {
    config.kafka.brokers = vec![reachable(kafka).to_string()];
    let own = [format!("http://localhost:{}", named.port()), format!("http://{}", reachable(named))];
    for sink in &mut config.sinks {
        // The broker is this process's own, so that nobody else can have the name: after a kill the next start takes the
        // dead member's place at once instead of waiting for its session to end.
        sink.instance_id.get_or_insert_with(|| format!("up-{}", sink.name));
        for host in sink.output.elasticsearch_mut().into_iter().flat_map(|e| &mut e.hosts) {
            if own.contains(host) {
                *host = format!("http://{}", reachable(index));
            }
        }
    }
    config
}

/// Makes the topics that the agent writes and the sinks read, with the broker's own number of partitions.
pub(super) async fn create_topics(kafka: SocketAddr, agent: &AgentConfig, sinks: &SinksConfig) -> anyhow::Result<()> {
    let written = agent.inputs.iter().map(|input| input.topic.as_str());
    let read = sinks.sinks.iter().flat_map(|sink| &sink.topics).map(String::as_str).filter(|t| !t.starts_with('^'));
    let names: BTreeSet<&str> = written.chain(read).collect();
    let topics: Vec<_> = names.iter().map(|name| NewTopic::new(name, -1, TopicReplication::Fixed(-1))).collect();
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", reachable(kafka).to_string())
        .set("client.id", "logmill-up")
        .create()
        .context("cannot set up a Kafka client")?;
    let timeout = Some(Duration::from_secs(10));
    let options = AdminOptions::new().request_timeout(timeout).operation_timeout(timeout);
    let results = admin.create_topics(&topics, &options).await.context("cannot create the topics")?;
    for result in results {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => bail!("cannot create topic \"{name}\": {}", code_words(code)),
        }
    }
    // Waits for librdkafka's threads, which is no work for a runtime's worker.
    tokio::task::spawn_blocking(move || drop(admin)).await.context("cannot close the Kafka client")
}

/// A first query to paste.
pub(super) fn first_query(sinks: &SinksConfig, index: SocketAddr) -> String {
    let template = sinks.sinks.iter().find_map(|sink| sink.output.elasticsearch()).map_or("", |e| &e.index);
    let fixed = template.split(['%', '{']).next().unwrap_or_default();
    let indices = if fixed.len() < template.len() { format!("{fixed}*") } else { fixed.to_owned() };
    let address = reachable(index);
    format!("try: curl 'http://{address}/{indices}/_search?q=error&size=3&sort=@timestamp:desc&pretty'")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use logmill_config::ConfigFile;

    use super::*;

    fn reference() -> SinksConfig {
        SinksConfig::parse_with("s", SinksConfig::REFERENCE, &|_| None).unwrap()
    }

    #[test]
    fn the_embedded_index_is_followed_and_another_is_not() {
        let (kafka, named) = (([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], 9200).into());
        let mut config = reference();
        config.sinks[0].output.elasticsearch_mut().unwrap().hosts.push("https://es.example:9200".into());
        let config = sinks(config, kafka, ([0, 0, 0, 0], 7).into(), named);
        let hosts = &config.sinks[0].output.elasticsearch().unwrap().hosts;
        assert_eq!(*hosts, ["http://127.0.0.1:7", "https://es.example:9200"]);
        assert_eq!(config.kafka.brokers, ["127.0.0.1:1"]);
        assert_eq!(config.sinks[0].instance_id.as_deref(), Some("up-app-logs"));
    }

    #[test]
    fn a_query_to_paste() {
        let query = first_query(&reference(), ([127, 0, 0, 1], 9200).into());
        assert!(query.contains("'http://127.0.0.1:9200/app-logs-*/_search?"), "{query}");
    }
}
