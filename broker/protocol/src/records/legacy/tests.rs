//! Conversions against messages written and read by hand, and damage.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::records::Header;

const TIME: i64 = 1_700_000_000_000;

/// A message as the format's description says, by other means than the converter's.
fn message(offset: i64, magic: i8, attributes: i8, time: i64, key: Option<&[u8]>, value: Option<&[u8]>) -> Vec<u8> {
    let mut body = vec![magic as u8, attributes as u8];
    if magic == 1 {
        body.extend(time.to_be_bytes());
    }
    for bytes in [key, value] {
        body.extend(bytes.map_or(-1, |bytes| bytes.len() as i32).to_be_bytes());
        body.extend(bytes.unwrap_or_default());
    }
    let mut crc = u32::MAX;
    for byte in &body {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    [&offset.to_be_bytes()[..], &(body.len() as i32 + 4).to_be_bytes(), &(!crc).to_be_bytes(), &body].concat()
}

type Pair = (Option<Vec<u8>>, Option<Vec<u8>>);

fn pair(n: i64) -> Pair {
    ((n % 2 == 0).then(|| format!("key {n}").into()), (n != 3).then(|| format!("value {n}").into()))
}

/// Five messages, the fourth without value.
fn five(magic: i8) -> Vec<u8> {
    (0..5)
        .flat_map(|n| {
            let (key, value) = pair(n);
            message(n, magic, 0, TIME + n, key.as_deref(), value.as_deref())
        })
        .collect()
}

/// Offset, timestamp, key, value.
type Found = (i64, i64, Option<Vec<u8>>, Option<Vec<u8>>);

fn read(batch: &[u8]) -> Vec<Found> {
    let (batch, rest) = Batch::split(batch).unwrap();
    assert!(rest.is_empty());
    batch.check_crc().unwrap();
    let data = batch.decompress(1 << 20).unwrap();
    batch
        .records_in(&data)
        .map(|record| {
            let record = record.unwrap();
            let own = |bytes: &[u8]| bytes.to_vec();
            let (offset, time) = (batch.header.offset_of(&record), batch.header.timestamp_of(&record));
            (offset, time, record.key.map(own), record.value.map(own))
        })
        .collect()
}

#[test]
fn message_sets_become_batches() {
    for magic in [0, 1] {
        let expected: Vec<_> = (0..5)
            .map(|n| {
                let (key, value) = pair(n);
                (n, if magic == 1 { TIME + n } else { -1 }, key, value)
            })
            .collect();
        for compression in [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4] {
            let plain = five(magic);
            let set = match compression {
                Compression::None => plain,
                codec => {
                    let inner = codec.compress(&plain).unwrap();
                    message(4, magic, codec.id() as i8, TIME, None, Some(&inner))
                }
            };
            assert!(is_message_set(&set));
            let batch = up_convert(&set, 1 << 20).unwrap();
            assert_eq!(Batch::split(&batch).unwrap().0.header.attributes.compression(), Ok(compression));
            assert_eq!(read(&batch), expected, "magic {magic}, {compression}");
        }
        let zstd = Compression::Zstd.compress(&five(magic)).unwrap();
        let set = message(4, magic, 4, TIME, None, Some(&zstd));
        assert!(matches!(up_convert(&set, 1 << 20), Err(BatchError::UnknownCompression(_))));
    }
}

#[test]
fn batches_become_message_sets() {
    for compression in Compression::ALL {
        let mut builder = BatchBuilder::new(compression).base_offset(100);
        for n in 0..5i64 {
            let headers = [Header { key: b"h", value: Some(b"v") }];
            let (key, value) = pair(n);
            builder.push(NewRecord {
                timestamp: TIME + n,
                key: key.as_deref(),
                value: value.as_deref(),
                headers: &headers,
            });
        }
        let bytes = builder.build().unwrap();
        let (batch, _) = Batch::split(&bytes).unwrap();
        for magic in [0, 1] {
            let mut converter = DownConverter::new(magic, 101, 1 << 20);
            assert!(converter.push(&batch, 1 << 20).unwrap());
            let expected: Vec<u8> = (1..5)
                .flat_map(|n| {
                    let (key, value) = pair(n);
                    message(100 + n, magic, 0, TIME + n, key.as_deref(), value.as_deref())
                })
                .collect();
            assert_eq!(converter.finish(), expected, "magic {magic}, {compression}");
            let mut small = DownConverter::new(magic, 0, 1);
            assert!(!small.push(&batch, 1 << 20).unwrap());
            assert_eq!(Messages { rest: &small.finish() }.count(), 1, "one at least, then full");
        }
    }
}

#[test]
fn a_message_made_by_hand() {
    // Offset 0, size 22, CRC, magic 0, no attributes, null key, value "12345678".
    let body = [&[0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 8][..], b"12345678"].concat();
    let mut set = [&[0; 8][..], &22i32.to_be_bytes(), &crc_of(&body).to_be_bytes(), &body].concat();
    assert_eq!(crc_of(b"123456789"), 0xcbf4_3926, "the CRC-32 of IEEE 802.3");
    let batch = up_convert(&[set.clone(), set.clone()].concat(), 100).unwrap();
    let value = Some(b"12345678".to_vec());
    assert_eq!(read(&batch), [(0, -1, None, value.clone()), (1, -1, None, value)]);
    let mut converter = DownConverter::new(0, 1, 100);
    converter.push(&Batch::split(&batch).unwrap().0, 100).unwrap();
    set[7] = 1;
    assert_eq!(converter.finish(), set);
}

#[test]
fn damage_is_an_error_and_what_unfolds_is_bounded() {
    let mut w = Writer::new();
    Message { magic: 1, attributes: 0, timestamp: 5, key: None, value: Some(&[7; 5000]) }.write(0, &mut w);
    let inner = w.into_vec();
    let gzip = Compression::Gzip.compress(&inner).unwrap();
    let mut w = Writer::new();
    Message { magic: 1, attributes: 1, timestamp: 5, key: None, value: Some(&gzip) }.write(0, &mut w);
    let set = w.into_vec();
    assert_eq!(read(&up_convert(&set, inner.len()).unwrap()).len(), 1);
    assert!(matches!(up_convert(&set, inner.len() - 1), Err(BatchError::Compression(_))));
    for at in 8..set.len() {
        let mut damaged = set.clone();
        damaged[at] ^= 1;
        assert!(up_convert(&damaged, 1 << 20).is_err(), "byte {at}");
    }
    for len in 1..set.len() {
        assert!(up_convert(&set[..len], 1 << 20).is_err(), "{len} bytes");
    }
    assert_eq!(up_convert(&[], 100), Err(BatchError::Empty));
    // A compressed message in a compressed one.
    let twice = Compression::Gzip.compress(&set).unwrap();
    let mut w = Writer::new();
    Message { magic: 1, attributes: 1, timestamp: 5, key: None, value: Some(&twice) }.write(0, &mut w);
    assert!(matches!(up_convert(w.as_slice(), 1 << 20), Err(BatchError::InvalidMessage(_))));
}
