//! A mutational fuzzer over requests that real clients have sent (corpus/requests: a frame without its length per file, named by client, API key and version;
//! confluent-kafka-python, kcat, aiokafka, kafkajs, franz-go, sarama, Apache Kafka's Java client of 4.3.0 and 2.8.2, its tools of 4.1.2): decoding whatever becomes of them
//! neither panics nor asks for memory that the input could not fill. Every run tries the same inputs; LOGMILL_FUZZ_ROUNDS=N tries N times as many.

#[path = "../../../tests/fuzz/mutate.rs"]
mod mutate;

use std::path::Path;

use super::{for_every_api, hostile::MEMORY_PER_BYTE};
use crate::{Reader, RequestHeader, allocations::allocated_by, message::Message};

macro_rules! decoders {
    ($($api:ident: $request:ident, $response:ident;)*) => {
        /// Whether it is a request that can be decoded; `None` for an API or version without messages.
        fn decode(frame: &[u8]) -> Option<bool> {
            let mut reader = Reader::new(frame);
            let Ok(header) = RequestHeader::decode(&mut reader) else { return Some(false) };
            let version = header.api_version;
            $(
                use crate::messages::$api::$request;
                if header.api_key == <$request as crate::ApiMessage>::KEY && $request::VERSIONS.contains(&version) {
                    return Some($request::decode(&mut reader, version).is_ok());
                }
            )*
            None
        }
    };
}

for_every_api!(decoders);

fn requests() -> Vec<(String, Vec<u8>)> {
    mutate::corpus(&Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/requests"))
}

#[test]
fn what_clients_send_is_understood() {
    for (name, frame) in requests() {
        assert_eq!(decode(&frame), Some(true), "{name}");
    }
}

#[test]
fn nothing_made_of_real_requests_does_harm() {
    let corpus = requests();
    for seed in 0..mutate::rounds(60_000) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (name, one) = &corpus[rng.usize(..corpus.len())];
        let (_, other) = &corpus[rng.usize(..corpus.len())];
        let mut input = one.clone();
        // Mostly with its API key and version, so that what follows is reached.
        let mut changed = input.split_off(if rng.u8(..8) > 0 { 4 } else { 0 });
        mutate::mutate(&mut changed, other, &mut rng);
        input.append(&mut changed);
        let decoded = std::panic::catch_unwind(|| allocated_by(|| decode(&input)));
        let allocated = decoded.unwrap_or_else(|_| panic!("seed {seed}, {name}: {input:02x?}"));
        assert!(allocated <= MEMORY_PER_BYTE * input.len(), "seed {seed}, {name}: {allocated} bytes for {input:02x?}");
    }
}
