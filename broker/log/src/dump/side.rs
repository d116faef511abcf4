//! What lies beside segments: aborted transactions, producers, epochs, checkpoints, the topic's id.

use super::{Entry, Field, Visit};
use crate::{aborted_index, checkpoint_file, names, producer_snapshot};
use std::io;

pub(super) fn transactions(bytes: &[u8], visit: &mut Visit<'_>) -> io::Result<()> {
    let entries = match aborted_index::decode(bytes) {
        Ok(entries) => entries,
        Err(problem) => return visit(Entry::of_file(problem)),
    };
    let mut before = i64::MIN;
    for one in entries {
        let fields = vec![
            ("producer_id", one.producer_id.into()),
            ("first_offset", one.first_offset.into()),
            ("last_offset", one.last_offset.into()),
            ("last_stable_offset", one.last_stable_offset.into()),
        ];
        let problem =
            (one.last_offset < before || one.first_offset > one.last_offset).then(|| "out of order".to_owned());
        visit(Entry::new("transaction", fields).with(problem))?;
        before = one.last_offset;
    }
    Ok(())
}

pub(super) fn producers(bytes: &[u8], visit: &mut Visit<'_>) -> io::Result<()> {
    let Some(producers) = producer_snapshot::decode(bytes) else {
        return visit(Entry::of_file("damaged: its version, checksum or length is wrong"));
    };
    let mut all: Vec<_> = producers.iter().collect();
    all.sort_by_key(|(id, _)| *id);
    for (id, producer) in all {
        let last = producer.last();
        let fields = vec![
            ("producer_id", id.into()),
            ("producer_epoch", producer.epoch.into()),
            ("last_sequence", last.map_or(-1, |batch| batch.last_sequence).into()),
            ("last_offset", last.map_or(-1, |batch| batch.last_offset).into()),
            ("last_timestamp", producer.last_timestamp.into()),
            ("coordinator_epoch", producer.coordinator_epoch.into()),
            ("transaction_start", producer.transaction_start.map_or(Field::Null, Field::Number)),
        ];
        visit(Entry::new("producer", fields))?;
    }
    Ok(())
}

pub(super) fn epochs(bytes: &[u8], visit: &mut Visit<'_>) -> io::Result<()> {
    match checkpoint_file::parse_epochs(bytes) {
        Ok(entries) => {
            let mut before: Option<(i32, i64)> = None;
            for (epoch, start) in entries {
                let ascends =
                    before.is_none_or(|(epoch_before, start_before)| epoch_before < epoch && start_before <= start);
                let fields = vec![("leader_epoch", epoch.into()), ("start_offset", start.into())];
                visit(Entry::new("epoch", fields).with((!ascends).then(|| "out of order".to_owned())))?;
                before = Some((epoch, start));
            }
            Ok(())
        }
        Err(problem) => visit(Entry::of_file(problem)),
    }
}

pub(super) fn offsets(bytes: &[u8], visit: &mut Visit<'_>) -> io::Result<()> {
    match checkpoint_file::parse_offsets(bytes) {
        Ok(offsets) => offsets.into_iter().try_for_each(|((topic, partition), offset)| {
            let fields =
                vec![("topic", Field::Text(topic)), ("partition", partition.into()), ("offset", offset.into())];
            visit(Entry::new("offset", fields))
        }),
        Err(problem) => visit(Entry::of_file(problem)),
    }
}

pub(super) fn topic(bytes: &[u8], visit: &mut Visit<'_>) -> io::Result<()> {
    match names::parse_partition_metadata(bytes) {
        // Apache Kafka writes no newline at the end.
        Some(_) if bytes.strip_suffix(b"\n").unwrap_or(bytes).split(|byte| *byte == b'\n').count() != 2 => {
            visit(Entry::of_file("more than a version and a topic id"))
        }
        Some(id) => visit(Entry::new("topic_id", vec![("topic_id", Field::Text(names::print_topic_id(&id)))])),
        None => visit(Entry::of_file("expected version 0 and a topic id")),
    }
}
