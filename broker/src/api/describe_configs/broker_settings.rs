//! This broker's settings by Kafka's names, as far as they mean something here. All read-only: they come from broker.yaml.

use std::borrow::Cow;

use logmill_protocol::messages::describe_configs::{DescribeConfigsResourceResult, DescribeConfigsSynonym};

use super::Wants;
use crate::{
    broker::Broker,
    metadata::topic_config::{DEFINITIONS, Source},
};

const BOOLEAN: i8 = 1;
const STRING: i8 = 2;
const INT: i8 = 3;
const LONG: i8 = 5;
const LIST: i8 = 7;

struct Setting {
    name: &'static str,
    value: String,
    kind: i8,
    source: Source,
    doc: Option<&'static str>,
}

pub(super) fn all(broker: &Broker, wants: &Wants) -> Vec<DescribeConfigsResourceResult<'static>> {
    let mut all = own(broker);
    for definition in DEFINITIONS {
        let (value, source) = match broker.topic_defaults.broker_value(definition.name) {
            Some(value) => (value, Source::StaticBroker),
            None => (definition.default, Source::Default),
        };
        all.push(Setting {
            name: definition.broker_name,
            value: value.to_owned(),
            kind: definition.type_code(),
            source,
            doc: Some(definition.doc),
        });
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
    let from_file = |name, value: String, kind| Setting { name, value, kind, source: Source::StaticBroker, doc: None };
    let fixed = |name, value: String, kind| Setting { name, value, kind, source: Source::Default, doc: None };
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
        from_file("max.connections", config.limits.max_connections.to_string(), INT),
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
    let Setting { name, value, kind, source, doc } = setting;
    let synonym = |value: &str| DescribeConfigsSynonym {
        name: Cow::Borrowed(name),
        value: Some(Cow::Owned(value.to_owned())),
        source: source as i8,
    };
    DescribeConfigsResourceResult {
        name: Cow::Borrowed(name),
        synonyms: if wants.synonyms { vec![synonym(&value)] } else { Vec::new() },
        value: Some(Cow::Owned(value)),
        read_only: true,
        is_default: source == Source::Default,
        config_source: source as i8,
        config_type: kind,
        documentation: doc.filter(|_| wants.documentation).map(Cow::Borrowed),
        ..Default::default()
    }
}
