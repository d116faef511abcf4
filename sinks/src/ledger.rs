//! What became of every record of a partition, kept in the commit's metadata so that it survives any restart.
//!
//! records = indexed + duplicate + filtered + dead_lettered + expired, always as of the committed offset: counts and
//! offset are committed together or not at all.

/// The end of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    Indexed,
    /// The same `_id` was there already.
    Duplicate,
    /// Meant for another sink, or nothing at all.
    Filtered,
    /// Acknowledged by the dead-letter topic.
    DeadLettered,
}

/// Counts of one partition since its group first read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Ledger {
    pub(crate) records: u64,
    pub(crate) indexed: u64,
    pub(crate) duplicate: u64,
    pub(crate) filtered: u64,
    pub(crate) dead_lettered: u64,
    /// Offsets that retention deleted before they were read.
    pub(crate) expired: u64,
}

/// Names of the outcomes as metrics carry them, in the order of [`Ledger::outcomes`].
pub(crate) const OUTCOMES: [&str; 5] = ["indexed", "duplicate", "filtered", "dead_lettered", "expired"];

const VERSION: &str = "logmill1";

impl Ledger {
    pub(crate) fn finish(&mut self, how: Finish) {
        self.records += 1;
        match how {
            Finish::Indexed => self.indexed += 1,
            Finish::Duplicate => self.duplicate += 1,
            Finish::Filtered => self.filtered += 1,
            Finish::DeadLettered => self.dead_lettered += 1,
        }
    }

    pub(crate) fn expire(&mut self, offsets: u64) {
        self.records = self.records.saturating_add(offsets);
        self.expired = self.expired.saturating_add(offsets);
    }

    /// Of two partitions together.
    pub(crate) fn plus(self, other: Ledger) -> Self {
        Self {
            records: self.records.saturating_add(other.records),
            indexed: self.indexed.saturating_add(other.indexed),
            duplicate: self.duplicate.saturating_add(other.duplicate),
            filtered: self.filtered.saturating_add(other.filtered),
            dead_lettered: self.dead_lettered.saturating_add(other.dead_lettered),
            expired: self.expired.saturating_add(other.expired),
        }
    }

    pub(crate) fn outcomes(&self) -> [u64; 5] {
        [self.indexed, self.duplicate, self.filtered, self.dead_lettered, self.expired]
    }

    /// Whether every record has exactly one outcome.
    pub(crate) fn adds_up(&self) -> bool {
        self.outcomes().iter().try_fold(0u64, |sum, n| sum.checked_add(*n)) == Some(self.records)
    }

    /// The commit's metadata: at most 132 bytes (Kafka allows 4096, `offset.metadata.max.bytes`).
    pub(crate) fn to_metadata(self) -> String {
        let Ledger { records, indexed, duplicate, filtered, dead_lettered, expired } = self;
        format!("{VERSION} {records} {indexed} {duplicate} {filtered} {dead_lettered} {expired}")
    }

    /// What [`Ledger::to_metadata`] wrote; `None` for anything else (another consumer's, or offsets reset by a tool) and
    /// for counts that do not add up.
    pub(crate) fn from_metadata(metadata: &[u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(metadata).ok()?.split(' ');
        if parts.next() != Some(VERSION) {
            return None;
        }
        let mut next = || parts.next()?.parse::<u64>().ok();
        let ledger = Ledger {
            records: next()?,
            indexed: next()?,
            duplicate: next()?,
            filtered: next()?,
            dead_lettered: next()?,
            expired: next()?,
        };
        (parts.next().is_none() && ledger.adds_up()).then_some(ledger)
    }
}
