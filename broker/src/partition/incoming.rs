//! What a producer's records go through before they are appended: message sets become batches, a compacted topic's records must have keys, and batches
//! are compressed as the topic says. Most pass as they came, without a look at their records.

use logmill_log::{LogConfig, TimestampType};
use logmill_protocol::{
    ErrorCode,
    records::{Batch, BatchError, BatchHeader, ProduceLimits, check_produce, is_message_set, up_convert, without_key},
};

/// What records of one request have to keep to.
pub(crate) struct Rules<'a> {
    /// Of the Produce request.
    pub(crate) version: i16,
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) config: &'a LogConfig,
    pub(crate) now_ms: i64,
    /// What a batch may decompress to, where it is decompressed.
    pub(crate) max_decompressed: usize,
}

/// Records that may be appended.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) header: BatchHeader,
    /// Instead of what came.
    pub(crate) replaced: Option<Vec<u8>>,
}

/// Why records are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rejected {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
    /// Places in the batch of the records that are at fault, where single ones are.
    pub(crate) records: Vec<i32>,
    /// The broker's limit that they exceed, for the metric.
    pub(crate) limit: Option<&'static str>,
}

impl Rejected {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), records: Vec::new(), limit: None }
    }
}

impl From<BatchError> for Rejected {
    fn from(error: BatchError) -> Self {
        let limit = error.is_decompressed_too_large().then_some("decompressed");
        Self { limit, ..Self::new(error.error_code(), error.to_string()) }
    }
}

/// Checks the records of one partition as they came.
pub(crate) fn check(records: &[u8], rules: &Rules<'_>) -> Result<Incoming, Rejected> {
    if is_message_set(records) {
        if rules.version >= 3 {
            let text = "produce requests of version 3 and later hold record batches of magic 2 only";
            return Err(Rejected::new(ErrorCode::InvalidRecord, text));
        }
        let batch = up_convert(records, rules.max_decompressed)?;
        let incoming = inspect(&batch, rules)?;
        return Ok(Incoming { replaced: Some(incoming.replaced.unwrap_or(batch)), ..incoming });
    }
    inspect(records, rules)
}

fn inspect(records: &[u8], rules: &Rules<'_>) -> Result<Incoming, Rejected> {
    let config = rules.config;
    let limits = ProduceLimits { version: rules.version, max_message_bytes: config.max_message_bytes as usize };
    let batch = check_produce(records, limits)?;
    let header = batch.header;
    let wanted = config.compression.filter(|(codec, _)| header.attributes.compression() != Ok(*codec));
    // The newest time stands in the header, the oldest does not.
    let oldest = config.timestamp_before_max_ms.filter(|_| config.timestamp_type == TimestampType::CreateTime);
    if !config.compact && wanted.is_none() && oldest.is_none() {
        return Ok(Incoming { header, replaced: None });
    }
    let data = batch.decompress(rules.max_decompressed)?;
    if let Some(max_ms) = oldest {
        check_times(&batch, &data, rules.now_ms.saturating_sub(max_ms), rules)?;
    }
    if config.compact {
        check_keys(&batch, &data, rules)?;
    }
    let replaced = wanted.map(|(codec, level)| batch.recompress(&data, codec, level)).transpose()?;
    Ok(Incoming { header, replaced })
}

fn check_times(batch: &Batch<'_>, data: &[u8], oldest: i64, rules: &Rules<'_>) -> Result<(), Rejected> {
    let mut records = Vec::new();
    for (index, record) in (0..).zip(batch.records_in(data)) {
        let timestamp = batch.header.timestamp_of(&record?);
        if timestamp >= 0 && timestamp < oldest {
            records.push(index);
        }
    }
    if records.is_empty() {
        return Ok(());
    }
    let (topic, partition) = (rules.topic, rules.partition);
    let message = format!(
        "Timestamps of records for topic partition {topic}-{partition} are older than {oldest}, which message.timestamp.before.max.ms allows."
    );
    Err(Rejected { records, ..Rejected::new(ErrorCode::InvalidTimestamp, message) })
}

fn check_keys(batch: &Batch<'_>, data: &[u8], rules: &Rules<'_>) -> Result<(), Rejected> {
    let records = without_key(batch, data)?;
    if records.is_empty() {
        return Ok(());
    }
    let (topic, partition) = (rules.topic, rules.partition);
    let message = format!("Compacted topic cannot accept message without key in topic partition {topic}-{partition}.");
    Err(Rejected { records, ..Rejected::new(ErrorCode::InvalidRecord, message) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use logmill_protocol::{
        compression::Compression,
        records::{BatchBuilder, DownConverter, NewRecord},
    };

    fn batch(compression: Compression, keys: &[Option<&str>]) -> Vec<u8> {
        let mut builder = BatchBuilder::new(compression);
        for key in keys {
            let value = Some(&b"value value value value"[..]);
            builder.push(NewRecord { timestamp: 5, key: key.map(str::as_bytes), value, headers: &[] });
        }
        builder.build().unwrap()
    }

    fn checked(records: &[u8], version: i16, config: &LogConfig) -> Result<Incoming, Rejected> {
        check(records, &Rules { version, topic: "t", partition: 3, config, now_ms: 100, max_decompressed: 1000 })
    }

    #[test]
    fn batches_pass_as_they_came_unless_the_topic_wants_otherwise() {
        let plain = batch(Compression::None, &[None]);
        assert!(checked(&plain, 9, &LogConfig::default()).unwrap().replaced.is_none());
        for wanted in Compression::ALL {
            let config = LogConfig { compression: Some((wanted, None)), ..LogConfig::default() };
            let replaced = checked(&plain, 9, &config).unwrap().replaced;
            assert_eq!(replaced.is_none(), wanted == Compression::None);
            if let Some(replaced) = replaced {
                let (batch, _) = Batch::split(&replaced).unwrap();
                assert_eq!(batch.header.attributes.compression(), Ok(wanted));
                assert!(checked(&replaced, 9, &config).unwrap().replaced.is_none());
            }
        }
    }

    #[test]
    fn a_compacted_topic_names_the_records_without_key() {
        let config = LogConfig { compact: true, ..LogConfig::default() };
        assert!(checked(&batch(Compression::Gzip, &[Some("a"), Some("")]), 9, &config).is_ok());
        let refused = checked(&batch(Compression::Gzip, &[Some("a"), None, None]), 9, &config).unwrap_err();
        assert_eq!((refused.code, refused.records), (ErrorCode::InvalidRecord, vec![1, 2]));
        assert!(refused.message.contains("without key in topic partition t-3"), "{}", refused.message);
        let large = batch(Compression::Gzip, &[Some("a"); 100]);
        assert_eq!(checked(&large, 9, &config).unwrap_err().code, ErrorCode::MessageTooLarge);
    }

    #[test]
    fn every_record_has_to_be_new_enough() {
        let mut builder = BatchBuilder::new(Compression::Lz4);
        for timestamp in [95, 89, -1, 91, 5] {
            builder.push(NewRecord { timestamp, key: None, value: Some(b"v"), headers: &[] });
        }
        let records = builder.build().unwrap();
        assert!(checked(&records, 9, &LogConfig::default()).is_ok());
        let config = LogConfig { timestamp_before_max_ms: Some(10), ..LogConfig::default() };
        let refused = checked(&records, 9, &config).unwrap_err();
        assert_eq!((refused.code, refused.records), (ErrorCode::InvalidTimestamp, vec![1, 4]));
        let config = LogConfig { timestamp_type: TimestampType::LogAppendTime, ..config };
        assert!(checked(&records, 9, &config).is_ok());
    }

    #[test]
    fn message_sets_are_converted_for_the_versions_that_have_them() {
        let bytes = batch(Compression::None, &[Some("a"), None]);
        let (source, _) = Batch::split(&bytes).unwrap();
        let mut converter = DownConverter::new(1, 0, 1000);
        converter.push(&source, 1000).unwrap();
        let set = converter.finish();
        let incoming = checked(&set, 2, &LogConfig::default()).unwrap();
        assert_eq!(incoming.header.record_count, 2);
        assert!(Batch::split(&incoming.replaced.unwrap()).is_ok());
        assert_eq!(checked(&set, 3, &LogConfig::default()).unwrap_err().code, ErrorCode::InvalidRecord);
        let gzip = LogConfig { compression: Some((Compression::Gzip, None)), ..LogConfig::default() };
        let replaced = checked(&set, 0, &gzip).unwrap().replaced.unwrap();
        let (batch, _) = Batch::split(&replaced).unwrap();
        assert_eq!(batch.header.attributes.compression(), Ok(Compression::Gzip));
    }
}
