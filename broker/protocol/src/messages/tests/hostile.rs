//! Every decoder fed what no honest peer sends: it neither panics nor asks for memory that the input could not fill.

use super::{TEXT, for_every_api};
use crate::allocations::allocated_by;
use crate::codec::arbitrary::Source;
use crate::{Message, Reader, RequestHeader, Writer};

/// Bytes of memory per byte of input: an element of an array takes so many times the fewest bytes it has on the wire.
/// The largest case is an array of texts, each of 16 bytes in memory, 24 if it may be owned, and one on the wire.
pub(super) const MEMORY_PER_BYTE: usize = 40;

fn check<T>(name: &str, version: i16, input: &[u8], decode: impl Fn(&[u8]) -> T) {
    let allocated = allocated_by(|| decode(input));
    let limit = MEMORY_PER_BYTE * input.len();
    assert!(
        allocated <= limit,
        "{name} v{version}: {allocated} bytes allocated for {} bytes {input:02x?}",
        input.len()
    );
}

/// Lengths and counts that overflow something, put over a valid message.
const PATTERNS: &[&[u8]] = &[
    &[0x7f, 0xff, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0xff, 0x07],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0x80, 0x00, 0x00, 0x00],
    &[0xff],
    &[0x7f, 0xff],
    &[0x00, 0x0f, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
];

fn hostile_inputs(valid: &[u8], seed: u64, mut feed: impl FnMut(&[u8])) {
    for end in 0..valid.len() {
        feed(&valid[..end]);
    }
    let mut input = Vec::new();
    for at in 0..valid.len() {
        for pattern in PATTERNS {
            input.clear();
            input.extend_from_slice(valid);
            for (slot, byte) in input[at..].iter_mut().zip(*pattern) {
                *slot = *byte;
            }
            feed(&input);
        }
    }
    let mut rng = fastrand::Rng::with_seed(seed);
    for len in [0, 1, 2, 8, 33, 200, 1000] {
        for _ in 0..8 {
            // Zeros among the random bytes let more counts look plausible.
            let random: Vec<u8> = (0..len).map(|_| if rng.bool() { rng.u8(..) } else { rng.u8(0..3) }).collect();
            feed(&random);
        }
    }
    for pattern in PATTERNS {
        feed(&pattern.repeat(50));
    }
}

macro_rules! hostile {
    ($($api:ident: $($message:ident),*;)*) => { $(
        #[test]
        fn $api() { $(
            use crate::messages::$api::$message;
            for version in $message::VERSIONS {
                for seed in 0..4 {
                    let message = $message::arbitrary_message(&mut Source::new(seed, TEXT), version);
                    let mut w = Writer::new();
                    message.encode(&mut w, version).unwrap();
                    hostile_inputs(w.as_slice(), seed, |input| {
                        check($message::NAME, version, input, |input| {
                            $message::decode(&mut Reader::new(input), version).ok().map(drop)
                        });
                    });
                }
            }
        )* }
    )* };
}

for_every_api!(hostile);

#[test]
fn request_headers() {
    for seed in 0..20 {
        hostile_inputs(&[0, 3, 0, 12, 0, 0, 0, 1, 0, 2, b'm', b'e', 0], seed, |input| {
            check("RequestHeader", 0, input, |input| RequestHeader::decode(&mut Reader::new(input)).is_ok());
        });
    }
}

#[test]
fn stored_records() {
    use crate::messages::consumer_offsets::{GroupMetadataValue, OffsetCommitValue, OffsetsKey, decode_versioned};
    let valid = [0, 3, 0, 1, b'c', 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    hostile_inputs(&valid, 1, |input| {
        check("OffsetsKey", 0, input, |input| OffsetsKey::decode(input).is_ok());
        check("OffsetCommitValue", 0, input, |input| decode_versioned::<OffsetCommitValue<'_>>(input).is_ok());
        check("GroupMetadataValue", 0, input, |input| decode_versioned::<GroupMetadataValue<'_>>(input).is_ok());
    });
}

#[test]
fn eight_bytes_reserve_nothing() {
    use crate::messages::metadata::MetadataRequest;
    let input = [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0];
    assert_eq!(allocated_by(|| MetadataRequest::decode(&mut Reader::new(&input), 1).is_err()), 0);
}

#[test]
fn errors_name_the_field_and_the_place() {
    use crate::messages::heartbeat::HeartbeatRequest;
    let error = HeartbeatRequest::decode(&mut Reader::new(&[0, 1, b'g', 0]), 0).unwrap_err();
    let expected = "HeartbeatRequest.generation_id: expected 4 more bytes but 1 are left at byte 3";
    assert_eq!(error.to_string(), expected);
}
