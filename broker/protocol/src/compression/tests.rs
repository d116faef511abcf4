//! Tests of the codecs: round trips, foreign framings, bombs, damaged data.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;

use super::*;

const CODECS: [Compression; 4] = [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

#[test]
fn ids_are_those_of_the_attributes() {
    let ids: Vec<_> = (0..8).map(Compression::from_id).collect();
    let expected: Vec<_> = Compression::ALL.into_iter().map(Some).chain([None; 3]).collect();
    assert_eq!(ids, expected);
    assert!(Compression::ALL.iter().all(|codec| Compression::from_id(codec.id()) == Some(*codec)));
}

#[test]
fn sizes_around_the_blocks_round_trip() {
    let mut rng = fastrand::Rng::with_seed(1);
    for len in [0, 1, 32 * 1024 - 1, 32 * 1024, 32 * 1024 + 1, 64 * 1024, 200_000] {
        let data: Vec<u8> = (0..len).map(|_| rng.u8(b'a'..b'g')).collect();
        for codec in Compression::ALL {
            let compressed = codec.compress(&data).unwrap();
            assert_eq!(codec.decompress(&compressed, len).unwrap(), data, "{codec} {len}");
            if len > 0 {
                let error = codec.decompress(&compressed, len - 1).unwrap_err();
                assert_eq!(error, CompressionError::TooLarge { codec, max: len - 1 });
            }
        }
    }
}

#[test]
fn bombs_are_refused_without_the_memory() {
    use crate::allocations::allocated_by;
    let zeros = vec![0; 64 << 20];
    for codec in CODECS {
        let bomb = codec.compress(&zeros).unwrap();
        let mut result = None;
        let allocated = allocated_by(|| result = Some(codec.decompress(&bomb, 1 << 20)));
        assert_eq!(result.unwrap(), Err(CompressionError::TooLarge { codec, max: 1 << 20 }));
        assert!(allocated < 8 << 20, "{codec}: {allocated}");
    }
}

#[test]
fn a_snappy_length_without_the_data_reserves_nothing() {
    use crate::allocations::allocated_by;
    // The varint says 256 MiB, below the limit given.
    let hostile = [0x80, 0x80, 0x80, 0x80, 0x01, 0, 0];
    let allocated = allocated_by(|| assert!(Compression::Snappy.decompress(&hostile, 1 << 30).is_err()));
    assert!(allocated < 1000, "{allocated}");
}

#[test]
fn bare_snappy_is_read() {
    let data = b"bare bare bare bare bare bare".repeat(9);
    let bare = snap::raw::Encoder::new().compress_vec(&data).unwrap();
    assert_eq!(Compression::Snappy.decompress(&bare, 1000).unwrap(), data);
}

#[test]
fn several_gzip_members_are_read() {
    let mut both = Compression::Gzip.compress(b"one ").unwrap();
    both.extend(Compression::Gzip.compress(b"two").unwrap());
    assert_eq!(Compression::Gzip.decompress(&both, 100).unwrap(), b"one two");
}

#[test]
fn cut_off_data_is_an_error() {
    let data: Vec<u8> = (0..5000u32).flat_map(|number| number.to_be_bytes()).collect();
    for codec in CODECS {
        let compressed = codec.compress(&data).unwrap();
        let result = codec.decompress(&compressed[..compressed.len() / 2], 1 << 20);
        assert!(result.as_ref().is_err() || result.as_ref().is_ok_and(|out| *out != data), "{codec}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn anything_round_trips(data in prop::collection::vec(any::<u8>(), 0..2000)) {
        for codec in Compression::ALL {
            let compressed = codec.compress(&data).unwrap();
            prop_assert_eq!(&codec.decompress(&compressed, data.len()).unwrap(), &data);
        }
    }

    #[test]
    fn random_bytes_never_panic(data in prop::collection::vec(any::<u8>(), 0..500)) {
        for codec in Compression::ALL {
            if let Ok(out) = codec.decompress(&data, 10_000) {
                prop_assert!(out.len() <= 10_000);
            }
        }
    }
}
