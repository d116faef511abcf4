//! Handing records to Kafka: a small trait, so that the agent's rules can be tested with late, failed and reordered
//! reports, and the real thing in [`kafka`].

mod hurry;
pub(crate) mod kafka;
#[cfg(test)]
pub(crate) mod memory;

use rdkafka::types::RDKafkaErrorCode;

use crate::line_id::LineId;

/// A record ready to be sent; nothing of it is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outgoing<'a> {
    pub(crate) topic: &'a str,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: &'a [u8],
    pub(crate) id: &'a LineId,
    /// Kafka's timestamp: when the line was read, milliseconds since 1970.
    pub(crate) time_ms: i64,
    pub(crate) tag: Tag,
}

/// Which record a delivery report is about: the file's slot and its sequence number there, in 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag(pub(crate) u64);

impl Tag {
    /// Slots that can be told apart.
    pub(crate) const SLOTS: usize = 1 << 20;
    const SEQUENCE_BITS: u32 = 44;

    pub(crate) fn new(slot: usize, sequence: u64) -> Self {
        Self(((slot as u64) << Self::SEQUENCE_BITS) | (sequence & ((1 << Self::SEQUENCE_BITS) - 1)))
    }

    pub(crate) fn slot(self) -> usize {
        (self.0 >> Self::SEQUENCE_BITS) as usize
    }

    pub(crate) fn sequence(self) -> u64 {
        self.0 & ((1 << Self::SEQUENCE_BITS) - 1)
    }
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Acknowledged,
    /// Given up by the producer: the file must be read again from its acknowledged prefix.
    Failed,
    /// The topic takes no batch of this size: smaller ones must be sent.
    TooLarge,
    /// For a reason that the next try does not mend: what goes there stands.
    Refused(RDKafkaErrorCode),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) tag: Tag,
    pub(crate) outcome: Outcome,
}

/// Whether a record was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sent {
    Taken,
    /// The queue is full: try again after some reports.
    Full,
    /// This producer is of no use any more.
    Broken,
}

pub(crate) trait Producer {
    fn send(&mut self, record: &Outgoing) -> Sent;

    /// Nothing is to follow for now: what was taken is sent without waiting for more.
    fn hurry(&mut self);

    /// Appends the reports that came since the last call.
    fn take_deliveries(&mut self, into: &mut Vec<Delivery>);

    /// Whether a fatal error ended this producer.
    fn broken(&self) -> bool;

    /// Replaces the producer by a new one; records under way are forgotten, none of their reports comes any more.
    /// It gathers at most `max_batch_bytes`, or one record.
    fn renew(&mut self, max_batch_bytes: usize) -> Result<(), String>;

    /// Largest value, key and header a record may have together.
    fn max_record_bytes(&self) -> usize;

    /// Words for the operator while records cannot be delivered.
    fn trouble(&self) -> Option<String>;
}
