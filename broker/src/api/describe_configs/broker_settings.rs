//! Settings of this broker, and of all brokers, by Kafka's names, as far as they mean something here. Those that cannot be altered come from broker.yaml.

use std::borrow::Cow;

use logmill_protocol::messages::describe_configs::{DescribeConfigsResourceResult, DescribeConfigsSynonym};

use super::Wants;
use crate::{
    broker::Broker,
    metadata::{
        broker_config::{
            self, CLEANER_BACKOFF_MS, CLEANER_BUFFER, CLEANER_BYTES_PER_SECOND, MAX_CONNECTIONS, MAX_CONNECTIONS_PER_IP,
        },
        topic_config::{DEFINITIONS, Source},
    },
};

const BOOLEAN: i8 = 1;
const STRING: i8 = 2;
const INT: i8 = 3;
const LONG: i8 = 5;
const DOUBLE: i8 = 6;
const LIST: i8 = 7;

struct Setting {
    name: &'static str,
    /// The one in force first.
    values: Vec<(String, Source)>,
    kind: i8,
    doc: Option<&'static str>,
}

/// What was altered of all brokers at once.
pub(super) fn of_all(broker: &Broker, wants: &Wants) -> Vec<DescribeConfigsResourceResult<'static>> {
    let image = broker.image();
    let altered = image.broker_configs.of(None).iter().filter_map(|(name, value)| {
        let definition = broker_config::definition(name)?;
        Some(Setting {
            name: definition.broker_name,
            values: vec![(value.clone(), Source::DynamicDefaultBroker)],
            kind: definition.type_code(),
            doc: Some(definition.doc),
        })
    });
    altered.map(|setting| describe(setting, wants)).collect()
}

/// Everything that is in force on this broker.
pub(super) fn of_this(broker: &Broker, wants: &Wants) -> Vec<DescribeConfigsResourceResult<'static>> {
    let (image, defaults) = (broker.image(), broker.topic_defaults());
    let mut all = own(broker);
    for setting in &mut all {
        let altered = image.broker_configs.values(broker.cluster.node_id, setting.name);
        let altered: Vec<_> = altered.map(|(value, source)| (value.to_owned(), source)).collect();
        setting.values.splice(0..0, altered);
        setting.doc = broker_config::definition(setting.name).map(|definition| definition.doc);
    }
    for definition in DEFINITIONS {
        let mut values: Vec<_> =
            defaults.broker_values(definition).map(|(value, source)| (value.to_owned(), source)).collect();
        if values.is_empty() || definition.has_broker_default() {
            values.push((definition.default.to_owned(), Source::Default));
        }
        let (name, kind) = (definition.broker_name, definition.type_code());
        all.push(Setting { name, values, kind, doc: Some(definition.doc) });
    }
    all.sort_by_key(|setting| setting.name);
    all.into_iter().map(|setting| describe(setting, wants)).collect()
}

/// What is set apart from topics.
fn own(broker: &Broker) -> Vec<Setting> {
    let (settings, groups) = (&broker.settings, broker.groups.settings());
    let config = &settings.config;
    let listeners: Vec<String> = config.listeners.iter().map(|l| format!("PLAINTEXT://{}", l.listen)).collect();
    let dirs: Vec<String> =
        std::iter::once(&config.data_dir).chain(&config.more_data_dirs).map(|dir| dir.display().to_string()).collect();
    let ms = |duration: std::time::Duration| duration.as_millis().to_string();
    let setting = |name, value, kind, source| Setting { name, values: vec![(value, source)], kind, doc: None };
    let from_file = |name, value: String, kind| setting(name, value, kind, Source::StaticBroker);
    let fixed = |name, value: String, kind| setting(name, value, kind, Source::Default);
    vec![
        from_file("auto.create.topics.enable", config.topics.auto_create.to_string(), BOOLEAN),
        from_file("broker.id", config.node_id.to_string(), INT),
        from_file("connections.max.idle.ms", ms(config.limits.idle_timeout), LONG),
        fixed("default.replication.factor", "1".to_owned(), INT),
        fixed("delete.topic.enable", "true".to_owned(), BOOLEAN),
        fixed("group.initial.rebalance.delay.ms", ms(groups.initial_rebalance_delay), INT),
        fixed("group.max.session.timeout.ms", ms(groups.max_session_timeout), INT),
        fixed("group.max.size", groups.max_size.to_string(), INT),
        fixed("group.min.session.timeout.ms", ms(groups.min_session_timeout), INT),
        from_file("listeners", listeners.join(","), STRING),
        from_file("log.dirs", dirs.join(","), STRING),
        fixed("log.retention.check.interval.ms", ms(settings.retention_interval), LONG),
        from_file(CLEANER_BACKOFF_MS, ms(config.compaction.interval), LONG),
        from_file(CLEANER_BUFFER, config.compaction.memory.to_string(), LONG),
        from_file(CLEANER_BYTES_PER_SECOND, config.compaction.bytes_per_second.to_string(), DOUBLE),
        from_file(MAX_CONNECTIONS, config.limits.max_connections.to_string(), INT),
        from_file(MAX_CONNECTIONS_PER_IP, config.limits.max_connections_per_address.to_string(), INT),
        from_file("node.id", config.node_id.to_string(), INT),
        from_file("num.partitions", config.topics.partitions.to_string(), INT),
        fixed("offset.metadata.max.bytes", groups.max_offset_metadata_bytes.to_string(), INT),
        fixed("offsets.retention.minutes", (groups.offsets_retention.as_secs() / 60).to_string(), INT),
        fixed("offsets.topic.num.partitions", settings.offsets_partitions.to_string(), INT),
        fixed("offsets.topic.replication.factor", "1".to_owned(), INT),
        fixed("process.roles", "broker,controller".to_owned(), LIST),
        from_file("socket.request.max.bytes", config.limits.max_request_bytes.to_string(), INT),
    ]
}

fn describe(setting: Setting, wants: &Wants) -> DescribeConfigsResourceResult<'static> {
    let Setting { name, values, kind, doc } = setting;
    let (value, source) = values.first().cloned().unwrap_or((String::new(), Source::Default));
    let synonym = |(value, source)| DescribeConfigsSynonym {
        name: Cow::Borrowed(name),
        value: Some(Cow::Owned(value)),
        source: source as i8,
    };
    DescribeConfigsResourceResult {
        name: Cow::Borrowed(name),
        synonyms: if wants.synonyms { values.into_iter().map(synonym).collect() } else { Vec::new() },
        value: Some(Cow::Owned(value)),
        read_only: broker_config::definition(name).is_none(),
        is_default: source == Source::Default,
        config_source: source as i8,
        config_type: kind,
        documentation: doc.filter(|_| wants.documentation).map(Cow::Borrowed),
        ..Default::default()
    }
}
