//! Kafka's topic-level settings: name, type, default, bounds, and what they mean.

/// A setting's type, with Kafka's bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Boolean,
    /// Least value.
    Int(i64),
    /// A compression's level: least and greatest; where -1 is the least, it stands for the default and 0 is none.
    Level(i32, i32),
    /// Least value.
    Long(i64),
    /// Least and greatest value.
    Double(f64, f64),
    /// One of these; none given: anything.
    Text(&'static [&'static str]),
    /// Comma-separated, each one of these; none given: anything, also nothing.
    List(&'static [&'static str]),
    /// Understood by name, but only this value works here.
    Only(&'static str),
}

#[derive(Debug)]
pub(crate) struct Definition {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) default: &'static str,
    /// Kafka's broker-level name of the same setting, which its tools show as a synonym.
    pub(crate) broker_name: &'static str,
    pub(crate) doc: &'static str,
}

impl Definition {
    /// Kafka's number of the type in DescribeConfigs (KIP-569).
    pub(crate) fn type_code(&self) -> i8 {
        match self.kind {
            Kind::Boolean | Kind::Only("false") => 1,
            Kind::Text(_) | Kind::Only(_) => 2,
            Kind::Int(_) | Kind::Level(..) => 3,
            Kind::Long(_) => 5,
            Kind::Double(..) => 6,
            Kind::List(_) => 7,
        }
    }

    /// Whether Kafka's broker has a default of its own under [`Definition::broker_name`]. Of others its tools show none: Kafka has them for topics
    /// only, or derives them from settings in other units.
    pub(crate) fn has_broker_default(&self) -> bool {
        let derived = matches!(self.name, "flush.ms" | "retention.ms" | "segment.jitter.ms" | "segment.ms");
        !derived && !matches!(self.kind, Kind::Only(_) | Kind::List([]))
    }

    pub(crate) fn check(&self, value: &str) -> Result<(), String> {
        self.check_as(self.name, value)
    }

    /// As [`Definition::check`], by the name that it was set under.
    pub(crate) fn check_as(&self, name: &str, value: &str) -> Result<(), String> {
        let invalid = |why: String| Err(format!("Invalid value {value} for configuration {name}: {why}"));
        let value = value.trim();
        match self.kind {
            Kind::Boolean if is_true(value) || value.eq_ignore_ascii_case("false") => Ok(()),
            Kind::Boolean => invalid("Expected value to be either true or false".to_owned()),
            Kind::Int(least) => match value.parse::<i32>() {
                Ok(number) if i64::from(number) >= least => Ok(()),
                Ok(_) => invalid(format!("Value must be at least {least}")),
                Err(_) => invalid("Not a number of type INT".to_owned()),
            },
            Kind::Level(-1, greatest) => match value.parse::<i32>() {
                Ok(number) if number == -1 || (1..=greatest).contains(&number) => Ok(()),
                Ok(_) => invalid(format!("Value must be between 1 and {greatest} or equal to -1")),
                Err(_) => invalid("Not a number of type INT".to_owned()),
            },
            Kind::Level(least, greatest) => match value.parse::<i32>() {
                Ok(number) if number < least => invalid(format!("Value must be at least {least}")),
                Ok(number) if number > greatest => invalid(format!("Value must be no more than {greatest}")),
                Ok(_) => Ok(()),
                Err(_) => invalid("Not a number of type INT".to_owned()),
            },
            Kind::Long(least) => match value.parse::<i64>() {
                Ok(number) if number >= least => Ok(()),
                Ok(_) => invalid(format!("Value must be at least {least}")),
                Err(_) => invalid("Not a number of type LONG".to_owned()),
            },
            Kind::Double(least, greatest) => match value.parse::<f64>() {
                Ok(number) if number < least => invalid(format!("Value must be at least {least}")),
                Ok(number) if number > greatest => invalid(format!("Value must be no more than {greatest}")),
                Ok(number) if number.is_finite() => Ok(()),
                _ => invalid("Not a number of type DOUBLE".to_owned()),
            },
            Kind::Text([]) => Ok(()),
            Kind::Text(choices) if choices.contains(&value) => Ok(()),
            Kind::Text(choices) => invalid(format!("String must be one of: {}", choices.join(", "))),
            Kind::List([]) => Ok(()),
            Kind::List(choices) => match value.split(',').map(str::trim).find(|item| !choices.contains(item)) {
                None => Ok(()),
                Some(_) => invalid(format!("String must be one of: {}", choices.join(", "))),
            },
            Kind::Only(works) if value == works => Ok(()),
            Kind::Only(works) => invalid(format!("this broker supports only {works}")),
        }
    }
}

/// As Kafka reads a boolean.
pub(crate) fn is_true(value: &str) -> bool {
    value.trim().eq_ignore_ascii_case("true")
}

pub(crate) const fn define(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    broker_name: &'static str,
    doc: &'static str,
) -> Definition {
    Definition { name, kind, default, broker_name, doc }
}

const FOREVER: &str = "9223372036854775807";

/// In the order of their names.
pub(crate) const DEFINITIONS: &[Definition] = &[
    define(
        "cleanup.policy",
        Kind::List(&["compact", "delete"]),
        "delete",
        "log.cleanup.policy",
        "Old segments are deleted, or only the latest record of each key is kept, or both.",
    ),
    define(
        "compression.gzip.level",
        Kind::Level(-1, 9),
        "-1",
        "compression.gzip.level",
        "Level of gzip when compression.type is gzip.",
    ),
    define(
        "compression.lz4.level",
        Kind::Level(1, 17),
        "9",
        "compression.lz4.level",
        "Level of lz4 when compression.type is lz4.",
    ),
    define(
        "compression.type",
        Kind::Text(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]),
        "producer",
        "compression.type",
        "How batches are stored: as the producer compressed them, or in this compression.",
    ),
    define(
        "compression.zstd.level",
        Kind::Level(-131_072, 22),
        "3",
        "compression.zstd.level",
        "Level of zstd when compression.type is zstd.",
    ),
    define(
        "delete.retention.ms",
        Kind::Long(0),
        "86400000",
        "log.cleaner.delete.retention.ms",
        "How long tombstones of a compacted topic are kept, in milliseconds.",
    ),
    define(
        "file.delete.delay.ms",
        Kind::Long(0),
        "60000",
        "log.segment.delete.delay.ms",
        "From a file's deletion to its removal from the disk, in milliseconds.",
    ),
    define(
        "flush.messages",
        Kind::Long(1),
        FOREVER,
        "log.flush.interval.messages",
        "Kafka's bound on records not yet synced. With durability fsync every record is synced before it is acknowledged.",
    ),
    define(
        "flush.ms",
        Kind::Long(0),
        FOREVER,
        "log.flush.interval.ms",
        "Kafka's bound on the time a record is not yet synced. With durability fsync every record is synced before it is acknowledged.",
    ),
    define(
        "follower.replication.throttled.replicas",
        Kind::List(&[]),
        "",
        "follower.replication.throttled.replicas",
        "Replicas whose replication is throttled on the follower's side.",
    ),
    define(
        "index.interval.bytes",
        Kind::Int(0),
        "4096",
        "log.index.interval.bytes",
        "Bytes of log between two entries of its index.",
    ),
    define(
        "leader.replication.throttled.replicas",
        Kind::List(&[]),
        "",
        "leader.replication.throttled.replicas",
        "Replicas whose replication is throttled on the leader's side.",
    ),
    define(
        "local.retention.bytes",
        Kind::Long(-2),
        "-2",
        "log.local.retention.bytes",
        "With tiered storage: bytes kept locally; -2 as retention.bytes.",
    ),
    define(
        "local.retention.ms",
        Kind::Long(-2),
        "-2",
        "log.local.retention.ms",
        "With tiered storage: time kept locally; -2 as retention.ms.",
    ),
    define(
        "max.compaction.lag.ms",
        Kind::Long(1),
        FOREVER,
        "log.cleaner.max.compaction.lag.ms",
        "The longest time a record may stay uncompacted, in milliseconds.",
    ),
    define(
        "max.message.bytes",
        Kind::Int(0),
        "1048588",
        "message.max.bytes",
        "The largest record batch, after compression.",
    ),
    define(
        "message.timestamp.after.max.ms",
        Kind::Long(0),
        "3600000",
        "log.message.timestamp.after.max.ms",
        "How far a record's timestamp may be ahead of the broker's clock, in milliseconds.",
    ),
    define(
        "message.timestamp.before.max.ms",
        Kind::Long(0),
        FOREVER,
        "log.message.timestamp.before.max.ms",
        "How far a record's timestamp may be behind the broker's clock, in milliseconds.",
    ),
    define(
        "message.timestamp.type",
        Kind::Text(&["CreateTime", "LogAppendTime"]),
        "CreateTime",
        "log.message.timestamp.type",
        "Whether a record's timestamp is the producer's or the time of appending.",
    ),
    define(
        "min.cleanable.dirty.ratio",
        Kind::Double(0.0, 1.0),
        "0.5",
        "log.cleaner.min.cleanable.ratio",
        "The share of a compacted log that must be uncompacted before it is compacted.",
    ),
    define(
        "min.compaction.lag.ms",
        Kind::Long(0),
        "0",
        "log.cleaner.min.compaction.lag.ms",
        "The shortest time a record stays uncompacted, in milliseconds.",
    ),
    define(
        "min.insync.replicas",
        Kind::Int(1),
        "1",
        "min.insync.replicas",
        "Replicas that must have a record before acks=all is answered.",
    ),
    define(
        "preallocate",
        Kind::Boolean,
        "false",
        "log.preallocate",
        "Whether a new segment's file has its full size from the start.",
    ),
    define(
        "remote.log.copy.disable",
        Kind::Only("false"),
        "false",
        "remote.log.copy.disable",
        "Tiered storage: no more copying to the remote tier.",
    ),
    define(
        "remote.log.delete.on.disable",
        Kind::Only("false"),
        "false",
        "remote.log.delete.on.disable",
        "Tiered storage: delete the remote tier when it is switched off.",
    ),
    define(
        "remote.storage.enable",
        Kind::Only("false"),
        "false",
        "remote.log.storage.system.enable",
        "Tiered storage, which this broker does not have.",
    ),
    define(
        "retention.bytes",
        Kind::Long(i64::MIN),
        "-1",
        "log.retention.bytes",
        "The size a partition may have before its oldest segments are deleted; -1 without bound.",
    ),
    define(
        "retention.ms",
        Kind::Long(-1),
        "604800000",
        "log.retention.ms",
        "The age at which a segment is deleted, in milliseconds; -1 never.",
    ),
    define("segment.bytes", Kind::Int(14), "1073741824", "log.segment.bytes", "The size at which a segment is closed."),
    define(
        "segment.index.bytes",
        Kind::Int(4),
        "10485760",
        "log.index.size.max.bytes",
        "The size of an index at which its segment is closed.",
    ),
    define(
        "segment.jitter.ms",
        Kind::Long(0),
        "0",
        "log.roll.jitter.ms",
        "Up to this is taken off segment.ms, so that not all segments close at once.",
    ),
    define(
        "segment.ms",
        Kind::Long(1),
        "604800000",
        "log.roll.ms",
        "The age at which a segment is closed even if it is not full, in milliseconds.",
    ),
    define(
        "unclean.leader.election.enable",
        Kind::Boolean,
        "false",
        "unclean.leader.election.enable",
        "Whether a replica that is not in sync may lead when no other is left, losing records.",
    ),
];
