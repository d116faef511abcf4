//! Settings that may be altered while brokers run, as Kafka's dynamic broker configs (KIP-226), by Kafka's names: what every topic has unless it says
//! otherwise, and a few of the broker itself. They win over broker.yaml; one broker's over those of all.

use std::{collections::BTreeMap, str::FromStr};

use super::topic_config::{
    DEFINITIONS, Definition, Source,
    alteration::{self, AlterationError, Edit, Settings},
    define,
    table::Kind,
};

pub(crate) const MAX_CONNECTIONS: &str = "max.connections";
pub(crate) const MAX_CONNECTIONS_PER_IP: &str = "max.connections.per.ip";
pub(crate) const CLEANER_BACKOFF_MS: &str = "log.cleaner.backoff.ms";
pub(crate) const CLEANER_BYTES_PER_SECOND: &str = "log.cleaner.io.max.bytes.per.second";
pub(crate) const CLEANER_BUFFER: &str = "log.cleaner.dedupe.buffer.size";

/// Those that no topic has; their values without alteration are in broker.yaml.
pub(crate) const OWN: &[Definition] = &[
    define(
        CLEANER_BACKOFF_MS,
        Kind::Long(100),
        "",
        CLEANER_BACKOFF_MS,
        "The time between looks at what is to be compacted.",
    ),
    define(CLEANER_BUFFER, Kind::Long(1 << 20), "", CLEANER_BUFFER, "The memory for keys while a log is compacted."),
    define(
        CLEANER_BYTES_PER_SECOND,
        Kind::Double(65_536.0, f64::MAX),
        "",
        CLEANER_BYTES_PER_SECOND,
        "Bytes that compaction reads and writes per second.",
    ),
    define(MAX_CONNECTIONS, Kind::Int(1), "", MAX_CONNECTIONS, "Connections from everywhere; more are closed at once."),
    define(
        MAX_CONNECTIONS_PER_IP,
        Kind::Int(1),
        "",
        MAX_CONNECTIONS_PER_IP,
        "Connections from one IP address; more are closed at once.",
    ),
];

/// What was altered: of single brokers, and of all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BrokerConfigs(BTreeMap<Option<i32>, Settings>);

impl BrokerConfigs {
    /// Of one broker, or of all where none is named.
    pub(crate) fn of(&self, broker: Option<i32>) -> &Settings {
        const NONE: &Settings = &Settings::new();
        self.0.get(&broker).unwrap_or(NONE)
    }

    pub(crate) fn set(&mut self, broker: Option<i32>, settings: Settings) {
        if settings.is_empty() {
            self.0.remove(&broker);
        } else {
            self.0.insert(broker, settings);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Option<i32>, &Settings)> {
        self.0.iter().map(|(broker, settings)| (*broker, settings))
    }

    /// The values that a broker was given, the one in force first.
    pub(crate) fn values(&self, broker: i32, name: &str) -> impl Iterator<Item = (&str, Source)> {
        [(Some(broker), Source::DynamicBroker), (None, Source::DynamicDefaultBroker)]
            .into_iter()
            .filter_map(move |(scope, source)| Some((self.0.get(&scope)?.get(name)?.as_str(), source)))
    }

    /// The value in force, if it was altered.
    pub(crate) fn value<T: FromStr>(&self, broker: i32, name: &str) -> Option<T> {
        self.values(broker, name).next().and_then(|(value, _)| value.trim().parse().ok())
    }
}

/// A setting that may be altered, by its name among a broker's settings.
pub(crate) fn definition(name: &str) -> Option<&'static Definition> {
    DEFINITIONS.iter().chain(OWN).find(|definition| definition.broker_name == name)
}

/// The settings after the edits, all of them valid.
pub(crate) fn edited(current: &Settings, edits: &[Edit<'_>]) -> Result<Settings, AlterationError> {
    let list = |settings: &Settings, name: &str| {
        let definition = definition(name).filter(|definition| matches!(definition.kind, Kind::List(_)))?;
        Some(settings.get(name).map_or(definition.default, String::as_str).to_owned())
    };
    let settings = alteration::apply(current, edits, list)?;
    let fixed: Vec<&str> = settings.keys().map(String::as_str).filter(|name| definition(name).is_none()).collect();
    if !fixed.is_empty() {
        let message = format!("Cannot update these configs dynamically: Set({})", fixed.join(", "));
        return Err(AlterationError::Request(message));
    }
    for (name, value) in &settings {
        let checked = definition(name).map_or(Ok(()), |definition| definition.check_as(name, value));
        checked.map_err(AlterationError::Request)?;
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::metadata::topic_config::alteration::Operation;

    fn set<'a>(name: &'a str, value: &'a str) -> Edit<'a> {
        Edit { name, operation: Operation::Set, value: Some(value) }
    }

    #[test]
    fn a_brokers_own_value_wins_over_that_of_all() {
        let mut configs = BrokerConfigs::default();
        let settings = |value| edited(&Settings::new(), &[set(MAX_CONNECTIONS, value)]).unwrap();
        configs.set(None, settings("5"));
        configs.set(Some(1), settings(" 3 "));
        let values = |broker| configs.values(broker, MAX_CONNECTIONS).collect::<Vec<_>>();
        assert_eq!(values(1), [("3", Source::DynamicBroker), ("5", Source::DynamicDefaultBroker)]);
        assert_eq!(values(2), [("5", Source::DynamicDefaultBroker)]);
        assert_eq!(configs.value(1, MAX_CONNECTIONS), Some(3));
        configs.set(Some(1), Settings::new());
        assert_eq!(configs.value(1, MAX_CONNECTIONS), Some(5));
        assert_eq!(configs.value::<i32>(1, MAX_CONNECTIONS_PER_IP), None);
    }

    #[test]
    fn what_cannot_be_altered_is_named() {
        for (edits, message) in [
            (
                vec![set("log.dirs", "/x"), set("broker.id", "2"), set("log.retention.ms", "1")],
                "Cannot update these configs dynamically: Set(broker.id, log.dirs)",
            ),
            (
                vec![set("log.retention.ms", "x")],
                "Invalid value x for configuration log.retention.ms: Not a number of type LONG",
            ),
            (
                vec![set(MAX_CONNECTIONS, "0")],
                "Invalid value 0 for configuration max.connections: Value must be at least 1",
            ),
        ] {
            assert_eq!(edited(&Settings::new(), &edits), Err(AlterationError::Request(message.to_owned())));
        }
        let append = Edit { name: "log.cleanup.policy", operation: Operation::Append, value: Some("compact") };
        let expected = Settings::from([("log.cleanup.policy".to_owned(), "delete,compact".to_owned())]);
        assert_eq!(edited(&Settings::new(), &[append]), Ok(expected));
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::BTreeSet<_> = DEFINITIONS.iter().chain(OWN).map(|one| one.broker_name).collect();
        assert_eq!(names.len(), DEFINITIONS.len() + OWN.len());
    }
}
