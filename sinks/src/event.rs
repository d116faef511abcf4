//! A record on its way in: what Kafka handed over, and what was found in it.

use std::hash::{DefaultHasher, Hash, Hasher};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use logmill_config::sinks::Id;
use rdkafka::{Message, message::BorrowedMessage};

use crate::{document::Fields, event_time::Hour};

/// A record as Kafka hands it over, without librdkafka's types.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// Kafka timestamp in ms, -1 for none.
    pub(crate) timestamp: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
}

impl<'a> Record<'a> {
    pub(crate) fn of(message: &'a BorrowedMessage<'_>) -> Self {
        Self {
            topic: message.topic(),
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis().unwrap_or(-1),
            key: message.key(),
            value: message.payload(),
        }
    }

    /// Equal for the same record of the same topic, whatever assignment read it.
    pub(crate) fn identity(&self) -> u128 {
        hash((self.topic, self.partition)) << 64 | u128::from(self.offset.unsigned_abs())
    }

    /// Equal for the records of one key; those without one have their own.
    pub(crate) fn key_identity(&self) -> u128 {
        self.key.map_or_else(|| self.identity(), |key| hash((self.topic, key)))
    }

    /// Equal for the records of one partition.
    pub(crate) fn partition_identity(&self) -> u128 {
        hash((self.topic, self.partition))
    }
}

fn hash(what: impl Hash) -> u128 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    u128::from(hasher.finish())
}

/// A record whose value is one JSON object, or that has none.
pub(crate) struct Event<'a> {
    pub(crate) record: Record<'a>,
    /// The value as one line; empty where there is none.
    pub(crate) document: &'a [u8],
    /// Its offset; of a dead letter that was sent again that of the first time.
    pub(crate) position: i64,
    /// The line's identity, where the record carries one.
    pub(crate) id: Option<[u8; 16]>,
    /// The fields the encoder asked for.
    pub(crate) fields: &'a Fields,
}

impl Event<'_> {
    /// The event's own time, else the record's.
    pub(crate) fn hour(&self) -> Hour {
        self.fields.time.unwrap_or_else(|| Hour::from_millis(self.record.timestamp.max(0)))
    }

    /// 22 characters of base64url, or topic-partition-offset-timestamp (a topic's name needs no escape in JSON or HTTP).
    pub(crate) fn write_id(&self, choice: &Id, out: &mut Vec<u8>) {
        match self.event_id(choice) {
            Some(id) => {
                let mut text = [0u8; 22];
                if URL_SAFE_NO_PAD.encode_slice(id, &mut text).is_ok() {
                    out.extend_from_slice(&text);
                }
            }
            None => {
                let Record { topic, partition, offset, timestamp, .. } = self.record;
                out.extend_from_slice(format!("{topic}-{partition}-{offset}-{timestamp}").as_bytes());
            }
        }
    }

    /// Equal for equal ids.
    pub(crate) fn id_identity(&self, choice: &Id) -> u128 {
        self.event_id(choice).map_or_else(|| self.record.identity(), u128::from_be_bytes)
    }

    fn event_id(&self, choice: &Id) -> Option<[u8; 16]> {
        match choice {
            Id::Event => self.id,
            Id::Record | Id::Key | Id::Field(_) => None,
        }
    }
}
