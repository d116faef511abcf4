//! Tests of the primitive types.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;

use super::*;

fn encoded<'a, M: crate::Message<'a>>(message: &M, version: i16) -> Vec<u8> {
    let mut w = Writer::new();
    crate::Message::encode(message, &mut w, version).unwrap();
    w.into_vec()
}

fn decoded<'a, M: crate::Message<'a>>(bytes: &'a [u8], version: i16) -> Result<M, DecodeError> {
    let mut r = Reader::new(bytes);
    let message = crate::Message::decode(&mut r, version)?;
    r.finish().map(|()| message)
}

fn wire(flexible: bool, nullable: bool) -> Wire {
    Wire { version: 0, flexible, nullable }
}

#[test]
fn varints_have_kafkas_bytes() {
    let cases: [(i32, &[u8]); 7] = [
        (0, &[0]),
        (-1, &[1]),
        (1, &[2]),
        (63, &[126]),
        (-65, &[0x81, 0x01]),
        (i32::MAX, &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
        (i32::MIN, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
    ];
    for (value, bytes) in cases {
        let mut w = Writer::new();
        w.put_varint(value);
        assert_eq!(w.as_slice(), bytes);
        assert_eq!(Reader::new(bytes).varint().unwrap(), value);
    }
}

#[test]
fn varints_of_too_many_bits_are_refused() {
    assert!(Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x1f]).uvarint().is_err());
    assert!(Reader::new(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00]).uvarint().is_err());
    assert!(Reader::new(&[0xff; 11]).varlong().is_err());
    let mut most = [0xff; 10];
    most[9] = 1;
    assert_eq!(Reader::new(&most).varlong().unwrap(), i64::MIN);
    most[9] = 2;
    assert!(Reader::new(&most).varlong().is_err());
    assert!(Reader::new(&[0x80]).uvarint().is_err());
}

#[test]
fn null_is_told_from_empty() {
    let cases: [(bool, Option<&str>, &[u8]); 4] =
        [(false, None, &[0xff, 0xff]), (false, Some(""), &[0, 0]), (true, None, &[0]), (true, Some(""), &[1])];
    for (flexible, value, bytes) in cases {
        let mut w = Writer::new();
        value.encode(&mut w, wire(flexible, true)).unwrap();
        assert_eq!(w.as_slice(), bytes);
        assert_eq!(<Option<&str>>::decode(&mut Reader::new(bytes), wire(flexible, true)).unwrap(), value);
        let strict = <Option<&str>>::decode(&mut Reader::new(bytes), wire(flexible, false));
        assert_eq!(strict.is_err(), value.is_none());
    }
    // What a version cannot say is written as empty.
    let mut w = Writer::new();
    None::<Vec<i32>>.encode(&mut w, wire(false, false)).unwrap();
    assert_eq!(w.as_slice(), [0; 4]);
}

#[test]
fn lengths_out_of_range_are_errors() {
    let kind = |bytes: &[u8]| <&[u8]>::decode(&mut Reader::new(bytes), wire(false, false)).unwrap_err().kind;
    assert_eq!(kind(&[0xff, 0xff, 0xff, 0xfe]), DecodeErrorKind::NegativeLength(-2));
    assert_eq!(kind(&[0xff, 0xff, 0xff, 0xff]), DecodeErrorKind::UnexpectedNull);
    assert_eq!(kind(&[0, 0, 0, 2, 1]), DecodeErrorKind::Truncated { needed: 2, left: 1 });
    let counts = |bytes: &[u8]| <Vec<i64>>::decode(&mut Reader::new(bytes), wire(false, false)).unwrap_err().kind;
    assert_eq!(counts(&[0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]), DecodeErrorKind::CountTooLarge { count: 2, left: 8 });

    let long = "x".repeat(32_768);
    let error = long.as_str().encode(&mut Writer::new(), wire(true, false)).unwrap_err();
    assert_eq!(error.kind, EncodeErrorKind::TooLong { len: 32_768, max: 32_767 });
}

#[test]
fn unknown_tagged_fields_are_skipped() {
    use crate::messages::fetch::FetchRequest;
    let request = FetchRequest { cluster_id: Some("c"), rack_id: "r", ..Default::default() };
    let mut bytes = encoded(&request, 12);
    // The message ends in one tagged field of tag 0 and two bytes; another one is put behind it.
    let tags = bytes.len() - 5;
    assert_eq!(bytes[tags..], [1, 0, 2, 2, b'c']);
    bytes[tags] = 2;
    bytes.extend([99, 3, 1, 2, 3]);
    assert_eq!(decoded::<FetchRequest<'_>>(&bytes, 12).unwrap(), request);
    // A known field must fill its size.
    bytes[tags + 2] = 1;
    assert!(decoded::<FetchRequest<'_>>(&bytes, 12).is_err());
}

#[test]
fn nullable_structures_have_a_marker() {
    use crate::messages::describe_topic_partitions::{Cursor, DescribeTopicPartitionsRequest};
    let without = DescribeTopicPartitionsRequest { response_partition_limit: 9, ..Default::default() };
    let with = DescribeTopicPartitionsRequest {
        cursor: Some(Cursor { topic_name: "t", partition_index: 1 }),
        ..without.clone()
    };
    let cases: [(_, &[u8]); 2] =
        [(without, &[1, 0, 0, 0, 9, 0xff, 0]), (with, &[1, 0, 0, 0, 9, 1, 2, b't', 0, 0, 0, 1, 0, 0])];
    for (request, bytes) in cases {
        assert_eq!(encoded(&request, 0), bytes);
        assert_eq!(decoded::<DescribeTopicPartitionsRequest<'_>>(bytes, 0).unwrap(), request);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn varints_round_trip(int in any::<i32>(), long in any::<i64>(), unsigned in any::<u32>()) {
        let mut w = Writer::new();
        w.put_varint(int);
        w.put_varlong(long);
        w.put_uvarint(unsigned);
        let mut r = Reader::new(w.as_slice());
        prop_assert_eq!((r.varint().unwrap(), r.varlong().unwrap(), r.uvarint().unwrap()), (int, long, unsigned));
        r.finish().unwrap();
    }
}
