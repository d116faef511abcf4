//! Every message and version that kafka-protocol knows too: random values go from our bytes through its decoder and
//! encoder back into ours.

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::{Decodable, Encodable, Message as TheirMessage};

use super::{TEXT, for_every_api};
use crate::codec::arbitrary::Source;
use crate::{Message, Reader, Writer};

const VALUES: u64 = 40;

fn encoded<'a, M: Message<'a>>(message: &M, version: i16) -> Vec<u8> {
    let mut w = Writer::new();
    message.encode(&mut w, version).unwrap_or_else(|error| panic!("{} v{version}: {error}", M::NAME));
    w.into_vec()
}

/// Writes ours, lets `T` read and write it, reads it back. Returns how many versions both know.
macro_rules! compare {
    ($ours:path, $theirs:ty) => {{
        let name = stringify!($theirs);
        let ours = <$ours>::VERSIONS;
        let theirs = <$theirs as TheirMessage>::VERSIONS;
        let versions = (*ours.start()).max(theirs.min)..=(*ours.end()).min(theirs.max);
        for version in versions.clone() {
            for seed in 0..VALUES {
                let message = <$ours>::arbitrary_message(&mut Source::new(seed, TEXT), version);
                let bytes = encoded(&message, version);
                let through = through_theirs::<$theirs>(name, version, &bytes);
                let mut r = Reader::new(&through);
                let decoded = <$ours>::decode(&mut r, version)
                    .unwrap_or_else(|error| panic!("{name} v{version} seed {seed}: {error}"));
                r.finish().unwrap();
                assert_eq!(decoded, message, "{name} v{version} seed {seed}");
            }
        }
        versions.count()
    }};
}

fn through_theirs<T: Encodable + Decodable>(name: &str, version: i16, bytes: &[u8]) -> Vec<u8> {
    let mut input = Bytes::copy_from_slice(bytes);
    let theirs = T::decode(&mut input, version).unwrap_or_else(|error| panic!("{name} v{version}: {error}"));
    assert!(input.is_empty(), "{name} v{version}: {} bytes left", input.len());
    let mut output = BytesMut::new();
    theirs.encode(&mut output, version).unwrap_or_else(|error| panic!("{name} v{version}: {error}"));
    output.to_vec()
}

macro_rules! differential {
    ($($api:ident: $request:ident, $response:ident;)*) => { $(
        #[test]
        fn $api() {
            let requests = compare!(crate::messages::$api::$request, kafka_protocol::messages::$request);
            let responses = compare!(crate::messages::$api::$response, kafka_protocol::messages::$response);
            assert!(requests > 0 && responses > 0);
        }
    )* };
}

for_every_api!(differential);

macro_rules! round_trips {
    ($($api:ident: $($message:ident),*;)*) => { $( $({
        use crate::messages::$api::$message;
        for version in $message::VERSIONS {
            for seed in 0..VALUES {
                let message = $message::arbitrary_message(&mut Source::new(seed, TEXT), version);
                let bytes = encoded(&message, version);
                let mut r = Reader::new(&bytes);
                let decoded = $message::decode(&mut r, version).unwrap();
                r.finish().unwrap();
                assert_eq!(decoded, message, "v{version} seed {seed}");
            }
        }
        // Versions on either side are refused, not guessed.
        let outside = *$message::VERSIONS.end() + 1;
        assert!($message::decode(&mut Reader::new(&[0; 64]), outside).is_err());
        assert!($message::default().encode(&mut Writer::new(), outside).is_err());
    })* )* };
}

/// Also the versions that only we know.
#[test]
fn every_version_round_trips() {
    for_every_api!(round_trips);
}

macro_rules! stored_round_trips {
    ($($message:ident),*) => { $({
        use crate::messages::consumer_offsets::{$message, decode_versioned, encode_versioned};
        for version in $message::VERSIONS {
            for seed in 0..VALUES {
                let message = $message::arbitrary_message(&mut Source::new(seed, TEXT), version);
                let bytes = encode_versioned(version, &message).unwrap();
                assert_eq!(decode_versioned::<$message>(&bytes).unwrap(), message);
            }
        }
    })* };
}

#[test]
fn stored_records_round_trip() {
    stored_round_trips!(OffsetCommitKey, OffsetCommitValue, GroupMetadataKey, GroupMetadataValue);
}
