//! A mutational fuzzer over batches that real clients have written (corpus/batches): whatever becomes of them, reading them neither panics nor gives more
//! than it may. Every run tries the same inputs; LOGMILL_FUZZ_ROUNDS=N tries N times as many.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "fuzz/mutate.rs"]
mod mutate;

use std::path::Path;

use logmill_protocol::records::{
    Batch, BatchHeader, Batches, DownConverter, ProduceLimits, assign_offsets, check_produce, crc_of, is_message_set,
    set_log_append_time, up_convert, without_key,
};

const MAX_DECOMPRESSED: usize = 1 << 20;
const LIMITS: ProduceLimits = ProduceLimits { version: 9, max_message_bytes: 1 << 20 };

fn batches() -> Vec<(String, Vec<u8>)> {
    mutate::corpus(&Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/batches"))
}

/// Everything a broker does with a batch; returns its records, if it has any to give.
fn read(batch: &Batch<'_>) -> Option<usize> {
    let data = batch.decompress(MAX_DECOMPRESSED).ok()?;
    assert!(batch.payload().len() == data.len() || data.len() <= MAX_DECOMPRESSED, "{} bytes", data.len());
    let mut records = 0;
    for record in batch.records_in(&data) {
        let record = record.ok()?;
        let _ = (batch.header.offset_of(&record), batch.header.timestamp_of(&record));
        assert!(record.headers.iter().count() <= record.headers.len());
        records += 1;
    }
    let _ = without_key(batch, &data);
    for magic in [0, 1] {
        let mut converter = DownConverter::new(magic, 0, MAX_DECOMPRESSED);
        if converter.push(batch, MAX_DECOMPRESSED).is_ok() {
            let messages = converter.finish();
            assert!(messages.is_empty() || is_message_set(&messages));
        }
    }
    Some(records)
}

fn feed(input: &[u8]) {
    for batch in Batches::new(input).map_while(Result::ok) {
        read(&batch);
    }
    if is_message_set(input)
        && let Ok(converted) = up_convert(input, MAX_DECOMPRESSED)
    {
        let (batch, rest) = Batch::split(&converted).unwrap();
        assert!(rest.is_empty() && batch.check_crc().is_ok() && read(&batch).is_some(), "a conversion nobody can read");
    }
    if let Ok(batch) = check_produce(input, LIMITS) {
        // What is taken in keeps its records when the broker has put in what is its own.
        let before = read(&batch);
        let mut bytes = batch.bytes.to_vec();
        assign_offsets(&mut bytes, 1 << 40, 7).unwrap();
        set_log_append_time(&mut bytes, 5).unwrap();
        let (placed, _) = Batch::split(&bytes).unwrap();
        assert!(placed.check_crc().is_ok() && read(&placed) == before, "an edit that changed the records");
    }
}

#[test]
fn the_corpus_itself_is_sound() {
    for (name, bytes) in batches() {
        feed(&bytes);
        if name.starts_with("magic-") {
            assert!(up_convert(&bytes, MAX_DECOMPRESSED).is_ok(), "{name}");
        } else {
            let (batch, rest) = Batch::split(&bytes).unwrap();
            assert!(rest.is_empty() && batch.check_crc().is_ok(), "{name}");
            assert_eq!(read(&batch), usize::try_from(batch.header.record_count).ok(), "{name}");
        }
    }
}

#[test]
fn nothing_made_of_real_batches_does_harm() {
    let corpus = batches();
    for seed in 0..mutate::rounds(40_000) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (_, one) = &corpus[rng.usize(..corpus.len())];
        let (_, other) = &corpus[rng.usize(..corpus.len())];
        let mut input = one.clone();
        mutate::mutate(&mut input, other, &mut rng);
        // Half of them get past the checksum.
        if rng.bool() && BatchHeader::parse(&input).is_ok() {
            let crc = crc_of(&input);
            input[17..21].copy_from_slice(&crc.to_be_bytes());
        }
        let fed = std::panic::catch_unwind(|| feed(&input));
        assert!(fed.is_ok(), "seed {seed}: {input:02x?}");
    }
}
