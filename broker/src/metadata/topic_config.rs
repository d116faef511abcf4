//! Topic-level settings by Kafka's names: validation, effective values, and what the log makes of them.

pub(crate) mod alteration;
pub(super) mod table;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use logmill_log::{LogConfig, TimestampType};
use logmill_protocol::compression::Compression;

pub(super) use table::define;
use table::is_true;
pub(crate) use table::{DEFINITIONS, Definition};

use super::{broker_config::BrokerConfigs, image::Topic};

pub(crate) fn definition(name: &str) -> Option<&'static Definition> {
    DEFINITIONS.iter().find(|definition| definition.name == name)
}

/// Says, in Kafka's words, why a setting cannot be.
pub(crate) fn check(name: &str, value: &str) -> Result<(), String> {
    let Some(definition) = definition(name) else {
        return Err(format!("Unknown topic config name: {name}"));
    };
    definition.check(value)
}

/// Checks a whole set; `remote.storage.enable=true` and the like are refused by name.
pub(crate) fn check_all<'a>(config: impl IntoIterator<Item = (&'a String, &'a String)>) -> Result<(), String> {
    config.into_iter().try_for_each(|(name, value)| check(name, value))
}

/// Where an effective value comes from, by Kafka's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub(crate) enum Source {
    Topic = 1,
    DynamicBroker = 2,
    DynamicDefaultBroker = 3,
    StaticBroker = 4,
    Default = 5,
}

/// What every topic has unless it says otherwise: what brokers were told while they run, laid over broker.yaml, laid over Kafka's defaults.
#[derive(Debug, Clone, Default)]
pub(crate) struct Defaults {
    /// Topic settings from broker.yaml.
    file: BTreeMap<String, String>,
    altered: Arc<BrokerConfigs>,
    broker: i32,
}

impl Defaults {
    /// `config` is `topics.config` of broker.yaml, `retention` its `topics.retention`.
    pub(crate) fn new(config: &BTreeMap<String, String>, retention: Duration) -> Result<Self, String> {
        check_all(config)?;
        let mut file = config.clone();
        let retention_ms = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX).to_string();
        if !file.contains_key("retention.ms") && definition("retention.ms").is_some_and(|d| d.default != retention_ms) {
            file.insert("retention.ms".to_owned(), retention_ms);
        }
        Ok(Self { file, ..Self::default() })
    }

    /// With what this broker was told.
    #[must_use]
    pub(crate) fn with(&self, altered: Arc<BrokerConfigs>, broker: i32) -> Self {
        Self { file: self.file.clone(), altered, broker }
    }

    /// The values that the broker was given, the one in force first.
    pub(crate) fn broker_values(&self, definition: &Definition) -> impl Iterator<Item = (&str, Source)> {
        let file = self.file.get(definition.name).map(|value| (value.as_str(), Source::StaticBroker));
        self.altered.values(self.broker, definition.broker_name).chain(file)
    }

    /// The value in force and where it comes from.
    pub(crate) fn effective<'a>(
        &'a self,
        config: &'a BTreeMap<String, String>,
        definition: &'static Definition,
    ) -> (&'a str, Source) {
        let own = config.get(definition.name).map(|value| (value.as_str(), Source::Topic));
        own.or_else(|| self.broker_values(definition).next()).unwrap_or((definition.default, Source::Default))
    }

    /// What the log needs to know. Stored values were checked when they were set; one that still does not parse counts as its default.
    pub(crate) fn log_config(&self, topic: &Topic) -> LogConfig {
        let long = |name: &str| -> i64 {
            let Some(definition) = definition(name) else { return 0 };
            let (value, _) = self.effective(&topic.config, definition);
            value.trim().parse().or_else(|_| definition.default.parse()).unwrap_or(0)
        };
        let text =
            |name: &str| definition(name).map_or("", |definition| self.effective(&topic.config, definition).0.trim());
        let deletes = text("cleanup.policy").split(',').any(|policy| policy.trim() == "delete");
        let limit = |value: i64| u64::try_from(value).ok();
        let size = |value: i64| u32::try_from(value).unwrap_or(u32::MAX);
        let bound = |value: i64| (value != i64::MAX).then_some(value);
        let compact = text("cleanup.policy").split(',').any(|policy| policy.trim() == "compact");
        // Nothing is compacted before its segment is closed.
        let roll_ms = if compact { long("max.compaction.lag.ms") } else { i64::MAX };
        let level = |name: &str| i32::try_from(long(name)).ok();
        LogConfig {
            segment_bytes: size(long("segment.bytes")).min(i32::MAX as u32),
            segment_ms: long("segment.ms").min(roll_ms),
            segment_jitter_ms: long("segment.jitter.ms"),
            retention_ms: if deletes {
                limit(long("retention.ms")).and_then(|ms| i64::try_from(ms).ok())
            } else {
                None
            },
            retention_bytes: if deletes { limit(long("retention.bytes")) } else { None },
            max_message_bytes: size(long("max.message.bytes")),
            index_interval_bytes: size(long("index.interval.bytes")),
            segment_index_bytes: size(long("segment.index.bytes")),
            timestamp_type: match text("message.timestamp.type") {
                "LogAppendTime" => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            timestamp_before_max_ms: bound(long("message.timestamp.before.max.ms")),
            timestamp_after_max_ms: bound(long("message.timestamp.after.max.ms")),
            file_delete_delay: Duration::from_millis(limit(long("file.delete.delay.ms")).unwrap_or(60_000)),
            compact,
            min_cleanable_dirty_ratio: text("min.cleanable.dirty.ratio").trim().parse().unwrap_or(0.5),
            min_compaction_lag_ms: long("min.compaction.lag.ms"),
            max_compaction_lag_ms: long("max.compaction.lag.ms"),
            delete_retention_ms: long("delete.retention.ms"),
            preallocate: is_true(text("preallocate")),
            flush_ms: long("flush.ms"),
            flush_messages: u64::try_from(long("flush.messages")).unwrap_or(u64::MAX),
            compression: match text("compression.type") {
                "uncompressed" => Some((Compression::None, None)),
                "gzip" => Some((Compression::Gzip, level("compression.gzip.level"))),
                "snappy" => Some((Compression::Snappy, None)),
                "lz4" => Some((Compression::Lz4, None)),
                "zstd" => Some((Compression::Zstd, level("compression.zstd.level"))),
                _ => None,
            },
            min_insync_replicas: i32::try_from(long("min.insync.replicas")).unwrap_or(1),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn topic(config: &[(&str, &str)]) -> Topic {
        let config = config.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Topic { name: Arc::from("t"), id: uuid::Uuid::nil(), partitions: 1, config }
    }

    #[test]
    fn kafkas_names_types_and_bounds() {
        for (name, value) in [
            ("retention.ms", "-1"),
            ("cleanup.policy", "compact,delete"),
            ("compression.type", "producer"),
            ("message.timestamp.type", "LogAppendTime"),
            ("min.cleanable.dirty.ratio", "0.5"),
            ("preallocate", " TRUE"),
            ("segment.ms", " 1000 "),
            ("compression.type", " lz4"),
            ("compression.gzip.level", "-1"),
        ] {
            assert_eq!(check(name, value), Ok(()), "{name}={value}");
        }
        assert_eq!(check("foo", "1"), Err("Unknown topic config name: foo".to_owned()));
        assert_eq!(
            check("retention.ms", "-2"),
            Err("Invalid value -2 for configuration retention.ms: Value must be at least -1".to_owned())
        );
        assert_eq!(
            check("segment.bytes", "x"),
            Err("Invalid value x for configuration segment.bytes: Not a number of type INT".to_owned())
        );
        for (name, value) in [
            ("cleanup.policy", "keep"),
            ("cleanup.policy", ""),
            ("preallocate", "yes"),
            ("compression.gzip.level", "0"),
            ("compression.lz4.level", "18"),
            ("compression.zstd.level", "23"),
            ("min.cleanable.dirty.ratio", "1.5"),
            ("segment.bytes", "3000000000"),
            ("remote.storage.enable", "true"),
            ("message.timestamp.type", "Now"),
        ] {
            assert!(check(name, value).is_err(), "{name}={value}");
        }
    }

    #[test]
    fn every_default_is_valid() {
        for definition in DEFINITIONS {
            assert_eq!(definition.check(definition.default), Ok(()), "{}", definition.name);
        }
    }

    #[test]
    fn a_topics_own_value_wins_over_the_brokers_over_kafkas() {
        let broker = BTreeMap::from([("segment.bytes".to_owned(), "1000000".to_owned())]);
        let defaults = Defaults::new(&broker, Duration::from_secs(60)).unwrap();
        let config = defaults.log_config(&topic(&[("retention.bytes", "5000")]));
        assert_eq!(
            (config.segment_bytes, config.retention_ms, config.retention_bytes),
            (1_000_000, Some(60_000), Some(5000))
        );
        assert_eq!(config.max_message_bytes, 1_048_588);
        let mut altered = BrokerConfigs::default();
        altered.set(None, BTreeMap::from([("log.segment.bytes".to_owned(), "7000".to_owned())]));
        altered.set(Some(2), BTreeMap::from([("message.max.bytes".to_owned(), "8000".to_owned())]));
        let altered = Arc::new(altered);
        for (id, max_message_bytes) in [(1, 1_048_588), (2, 8000)] {
            let config = defaults.with(altered.clone(), id).log_config(&topic(&[("retention.bytes", "5000")]));
            let found = (config.segment_bytes, config.max_message_bytes, config.retention_bytes);
            assert_eq!(found, (7000, max_message_bytes, Some(5000)));
        }
        assert!(Defaults::new(&BTreeMap::from([("x".to_owned(), "1".to_owned())]), Duration::ZERO).is_err());
    }

    #[test]
    fn what_the_log_is_told() {
        let defaults = Defaults::new(&BTreeMap::new(), Duration::from_secs(60)).unwrap();
        let plain = defaults.log_config(&topic(&[]));
        assert_eq!((plain.compact, plain.preallocate, plain.compression), (false, false, None));
        assert_eq!((plain.flush_messages, plain.min_insync_replicas), (i64::MAX as u64, 1));
        let config = defaults.log_config(&topic(&[
            ("cleanup.policy", "compact"),
            ("max.compaction.lag.ms", "5000"),
            ("min.cleanable.dirty.ratio", "0.1"),
            ("delete.retention.ms", "7"),
            ("compression.type", "gzip "),
            ("compression.gzip.level", "9"),
            ("preallocate", "TRUE"),
            ("min.insync.replicas", "2"),
            ("flush.ms", " 8"),
            ("segment.jitter.ms", "9"),
        ]));
        assert_eq!((config.flush_ms, config.segment_jitter_ms), (8, 9));
        assert!(config.compact && config.preallocate);
        assert_eq!((config.segment_ms, config.max_compaction_lag_ms, config.delete_retention_ms), (5000, 5000, 7));
        assert_eq!((config.min_cleanable_dirty_ratio, config.min_insync_replicas), (0.1, 2));
        assert_eq!(config.compression, Some((Compression::Gzip, Some(9))));
    }

    #[test]
    fn a_compacted_topic_loses_nothing_by_age() {
        let defaults = Defaults::new(&BTreeMap::new(), Duration::from_secs(60)).unwrap();
        let compacted = defaults.log_config(&topic(&[("cleanup.policy", "compact"), ("retention.ms", "1")]));
        assert_eq!((compacted.retention_ms, compacted.retention_bytes), (None, None));
        let both = defaults.log_config(&topic(&[("cleanup.policy", "compact,delete"), ("retention.ms", "1")]));
        assert_eq!(both.retention_ms, Some(1));
    }
}
