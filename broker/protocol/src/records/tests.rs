//! Tests of record batches: against an independent encoder, every check, edits, and hostile bytes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;

use super::*;
use crate::ErrorCode;
use crate::compression::Compression;

const LIMITS: ProduceLimits = ProduceLimits { version: 9, max_message_bytes: 1 << 20 };

fn batch_of(builder: BatchBuilder, records: usize) -> Vec<u8> {
    let mut builder = builder;
    for index in 0..records {
        let value = format!("value {index}");
        let headers = [Header { key: b"logmill-id", value: Some(b"0123456789abcdef") }];
        let timestamp = 1_700_000_000_000 + index as i64;
        builder.push(NewRecord { timestamp, key: Some(b"k"), value: Some(value.as_bytes()), headers: &headers });
    }
    builder.build().unwrap()
}

fn plain() -> Vec<u8> {
    batch_of(BatchBuilder::new(Compression::None), 3)
}

/// Changes bytes of a batch and makes the CRC right again.
fn with(at: usize, value: &[u8]) -> Vec<u8> {
    let mut batch = plain();
    batch[at..at + value.len()].copy_from_slice(value);
    let crc = crc_of(&batch);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch
}

#[test]
fn a_batch_from_another_encoder_is_read() {
    use kafka_protocol::records::{
        Compression as Codec, Record as Theirs, RecordBatchEncoder, RecordEncodeOptions, TimestampType as Type,
    };
    let theirs = Theirs {
        delete_horizon: false,
        transactional: true,
        control: false,
        partition_leader_epoch: 5,
        producer_id: 77,
        producer_epoch: 3,
        timestamp_type: Type::Creation,
        offset: 0,
        sequence: 11,
        timestamp: 1234,
        key: Some("key".into()),
        value: None,
        headers: [("h".into(), Some("v".into()))].into_iter().collect(),
    };
    let second = Theirs { offset: 1, sequence: 12, timestamp: 1300, value: Some("v".into()), ..theirs.clone() };
    let mut bytes = bytes::BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Codec::None };
    RecordBatchEncoder::encode(&mut bytes, [&theirs, &second], &options).unwrap();

    let batch = check_produce(&bytes, LIMITS).unwrap();
    let header = batch.header;
    assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (77, 3, 11));
    assert_eq!((header.base_timestamp, header.max_timestamp, header.record_count), (1234, 1300, 2));
    assert_eq!((header.last_offset(), header.last_sequence(), header.partition_leader_epoch), (1, 12, 5));
    assert!(header.attributes.is_transactional() && !header.attributes.is_control());
    let data = batch.decompress(1000).unwrap();
    let records: Vec<_> = batch.records_in(&data).map(Result::unwrap).collect();
    assert_eq!((records[0].key, records[0].value), (Some(&b"key"[..]), None));
    assert_eq!(records[0].headers.get("h"), Some(Header { key: b"h", value: Some(b"v") }));
    assert_eq!((header.timestamp_of(&records[1]), header.offset_of(&records[1])), (1300, 1));
}

#[test]
fn our_batch_is_read_by_another_decoder() {
    use kafka_protocol::records::RecordBatchDecoder;
    let bytes = batch_of(BatchBuilder::new(Compression::None).base_offset(40).leader_epoch(2).producer(9, 1, 5), 3);
    let mut input = bytes::Bytes::from(bytes);
    let set = RecordBatchDecoder::decode(&mut input).unwrap();
    let offsets: Vec<_> = set.records.iter().map(|record| (record.offset, record.sequence, record.timestamp)).collect();
    assert_eq!(offsets, [(40, 5, 1_700_000_000_000), (41, 6, 1_700_000_000_001), (42, 7, 1_700_000_000_002)]);
    assert_eq!(set.records[2].value.as_deref(), Some(&b"value 2"[..]));
    assert_eq!((set.records[0].producer_id, set.records[0].partition_leader_epoch), (9, 2));
}

#[test]
fn what_a_client_must_not_send_is_refused() {
    let two = [plain(), plain()].concat();
    let mut corrupt = plain();
    corrupt[70] ^= 1;
    let old = |magic| with(16, &[magic]);
    type Case = (Vec<u8>, ErrorCode, fn(&BatchError) -> bool);
    let cases: Vec<Case> = vec![
        (vec![], ErrorCode::InvalidRecord, |e| matches!(e, BatchError::Empty)),
        (plain()[..16].to_vec(), ErrorCode::CorruptMessage, |e| matches!(e, BatchError::Truncated { .. })),
        (plain()[..60].to_vec(), ErrorCode::CorruptMessage, |e| matches!(e, BatchError::Truncated { .. })),
        (plain()[..80].to_vec(), ErrorCode::CorruptMessage, |e| matches!(e, BatchError::Truncated { .. })),
        (two, ErrorCode::InvalidRecord, |e| matches!(e, BatchError::MoreThanOne)),
        (corrupt, ErrorCode::CorruptMessage, |e| matches!(e, BatchError::CorruptCrc { .. })),
        (old(0), ErrorCode::InvalidRecord, |e| matches!(e, BatchError::OldMagic(0))),
        (old(1), ErrorCode::InvalidRecord, |e| matches!(e, BatchError::OldMagic(1))),
        (old(3), ErrorCode::CorruptMessage, |e| matches!(e, BatchError::UnknownMagic(3))),
        (with(0, &[0, 0, 0, 0, 0, 0, 0, 1]), ErrorCode::InvalidRecord, |e| {
            matches!(e, BatchError::BaseOffsetNotZero(1))
        }),
        (with(8, &[0, 0, 0, 48]), ErrorCode::CorruptMessage, |e| matches!(e, BatchError::InvalidLength(48))),
        (with(8, &[255; 4]), ErrorCode::CorruptMessage, |e| matches!(e, BatchError::InvalidLength(-1))),
        (with(8, &[127, 255, 255, 255]), ErrorCode::CorruptMessage, |e| matches!(e, BatchError::Truncated { .. })),
        (with(22, &[5]), ErrorCode::UnsupportedCompressionType, |e| matches!(e, BatchError::UnknownCompression(5))),
        (with(22, &[0x20]), ErrorCode::InvalidRecord, |e| matches!(e, BatchError::ControlFromClient)),
        (with(22, &[0x08]), ErrorCode::InvalidTimestamp, |e| matches!(e, BatchError::LogAppendTimeFromClient)),
        (with(22, &[0x10]), ErrorCode::InvalidRecord, |e| matches!(e, BatchError::TransactionWithoutProducer)),
        (with(23, &[0, 0, 0, 3]), ErrorCode::InvalidRecord, |e| matches!(e, BatchError::CountMismatch { .. })),
        (with(57, &[0, 0, 0, 4]), ErrorCode::InvalidRecord, |e| matches!(e, BatchError::CountMismatch { .. })),
        (with(57, &[0; 4]), ErrorCode::InvalidRecord, |e| matches!(e, BatchError::NoRecords(0))),
        (with(57, &[128, 0, 0, 0]), ErrorCode::InvalidRecord, |e| matches!(e, BatchError::NoRecords(i32::MIN))),
        (with(43, &[0; 8]), ErrorCode::InvalidRecord, |e| matches!(e, BatchError::InvalidSequence { .. })),
    ];
    for (bytes, code, is_expected) in cases {
        let error = check_produce(&bytes, LIMITS).unwrap_err();
        assert!(is_expected(&error), "{error}");
        assert_eq!(error.error_code(), code, "{error}");
    }
    assert!(check_produce(&plain(), LIMITS).is_ok());
}

#[test]
fn limits_are_the_topics_and_the_versions() {
    let batch = plain();
    let exact = ProduceLimits { max_message_bytes: batch.len(), ..LIMITS };
    assert!(check_produce(&batch, exact).is_ok());
    let less = ProduceLimits { max_message_bytes: batch.len() - 1, ..LIMITS };
    assert_eq!(check_produce(&batch, less).unwrap_err().error_code(), ErrorCode::MessageTooLarge);

    let zstd = batch_of(BatchBuilder::new(Compression::Zstd), 3);
    assert!(check_produce(&zstd, ProduceLimits { version: 7, ..LIMITS }).is_ok());
    let error = check_produce(&zstd, ProduceLimits { version: 6, ..LIMITS }).unwrap_err();
    assert_eq!(error.error_code(), ErrorCode::UnsupportedCompressionType);
}

#[test]
fn every_changed_bit_under_the_crc_is_noticed() {
    let batch = plain();
    for bit in CRC_FROM * 8..batch.len() * 8 {
        let mut changed = batch.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let (changed, _) = Batch::split(&changed).unwrap();
        assert!(changed.check_crc().is_err(), "bit {bit}");
    }
}

#[test]
fn edits_keep_the_batch_valid() {
    let mut bytes = plain();
    assign_offsets(&mut bytes, 1000, 4).unwrap();
    let (batch, _) = Batch::split(&bytes).unwrap();
    batch.check_crc().unwrap();
    assert_eq!((batch.header.base_offset, batch.header.partition_leader_epoch), (1000, 4));
    assert_eq!((batch.header.last_offset(), batch.header.next_offset()), (1002, 1003));

    set_log_append_time(&mut bytes, 5_000).unwrap();
    let (batch, _) = Batch::split(&bytes).unwrap();
    batch.check_crc().unwrap();
    assert_eq!(batch.header.attributes.timestamp_type(), TimestampType::LogAppendTime);
    assert_eq!(batch.header.max_timestamp, 5_000);
    let record = batch.records_in(batch.payload()).next().unwrap().unwrap();
    assert_eq!(batch.header.timestamp_of(&record), 5_000);

    assert!(assign_offsets(&mut [0; 15], 0, 0).is_err());
    assert!(set_log_append_time(&mut bytes[..70], 0).is_err());
}

#[test]
fn sequences_wrap() {
    let bytes = batch_of(BatchBuilder::new(Compression::None).producer(1, 0, i32::MAX - 1), 3);
    assert_eq!(Batch::split(&bytes).unwrap().0.header.last_sequence(), 0);
}

#[test]
fn records_missing_or_left_over_are_noticed() {
    let bytes = plain();
    let payload = &bytes[HEADER_BYTES..];
    assert_eq!(Records::new(payload, 3).filter(|record| record.is_ok()).count(), 3);
    for count in [2, 4] {
        let results: Vec<_> = Records::new(payload, count).collect();
        assert!(matches!(results.last(), Some(Err(BatchError::InvalidRecord { .. }))), "{count}");
    }
}

#[test]
fn batches_are_walked_to_the_cut() {
    let run = [plain(), plain(), plain()[..30].to_vec()].concat();
    let results: Vec<_> = Batches::new(&run).collect();
    assert_eq!(results.len(), 3);
    assert!(results[0].is_ok() && results[1].is_ok());
    assert!(matches!(results[2], Err(BatchError::Truncated { .. })));
}

#[test]
fn a_count_of_headers_reserves_nothing() {
    let mut w = crate::Writer::new();
    for varint in [0, 0, 0, -1, -1, i32::MAX] {
        w.put_varint(varint);
    }
    let mut data = crate::Writer::new();
    data.put_varint(w.len() as i32);
    data.put_slice(w.as_slice());
    let mut failed = false;
    let allocated = crate::allocations::allocated_by(|| failed = Records::new(data.as_slice(), 1).any(|r| r.is_err()));
    assert!(failed);
    assert_eq!(allocated, 0);
}

type Owned = (i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(Vec<u8>, Option<Vec<u8>>)>);

fn blob() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..40)
}

fn record() -> impl Strategy<Value = Owned> {
    let headers = prop::collection::vec((blob(), prop::option::of(blob())), 0..3);
    (0..i64::MAX / 2, prop::option::of(blob()), prop::option::of(blob()), headers)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn records_come_back(records in prop::collection::vec(record(), 1..20), codec in 0u8..5) {
        let mut builder = BatchBuilder::new(Compression::from_id(codec).unwrap()).base_offset(7);
        for (timestamp, key, value, headers) in &records {
            let headers: Vec<_> = headers.iter().map(|(key, value)| Header { key, value: value.as_deref() }).collect();
            let (key, value) = (key.as_deref(), value.as_deref());
            builder.push(NewRecord { timestamp: *timestamp, key, value, headers: &headers });
        }
        let uncompressed = builder.uncompressed_len();
        let bytes = builder.build().unwrap();
        let (batch, rest) = Batch::split(&bytes).unwrap();
        prop_assert!(rest.is_empty());
        batch.check_crc().unwrap();
        let data = batch.decompress(uncompressed).unwrap();
        let decoded: Vec<Owned> = batch.records_in(&data).map(|record| {
            let record = record.unwrap();
            let headers = record.headers.iter().map(|h| (h.key.to_vec(), h.value.map(<[u8]>::to_vec))).collect();
            let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
            (batch.header.timestamp_of(&record), owned(record.key), owned(record.value), headers)
        }).collect();
        prop_assert_eq!(batch.header.max_timestamp, records.iter().map(|record| record.0).max().unwrap());
        prop_assert_eq!(batch.header.next_offset(), 7 + records.len() as i64);
        prop_assert_eq!(decoded, records);
    }

    #[test]
    fn random_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300), count in any::<i32>()) {
        let _ = check_produce(&bytes, LIMITS);
        Records::new(&bytes, count).for_each(drop);
        if bytes.len() > 16 {
            bytes[16] = 2;
            bytes[8..10].fill(0);
            Batches::new(&bytes).for_each(|batch| drop(batch.map(|batch| batch.decompress(1000))));
            let _ = set_log_append_time(&mut bytes, 0);
        }
    }
}
