//! Deciding writes: versions, sequence numbers, their records in the log. Under the engine's `order` lock.

use std::{collections::HashMap, sync::Arc};

use tantivy::{Searcher, TantivyDocument, TantivyError};

use super::{
    Engine, Shard,
    shard::{Change, Pending, State, Version, id_hash},
    store,
    write::{Bulk, Done, Failure, Operation, OperationKind, Outcome, Prepared, Target, Verb, parse},
};
use crate::{
    schema,
    wal::{Batch, Place, Record},
};

/// What is there under an id.
#[derive(Debug, Clone, Copy)]
pub(super) struct Present {
    pub(super) version: u64,
    pub(super) seq_no: u64,
    pub(super) place: At,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum At {
    Log(Place),
    Store(tantivy::DocAddress),
}

/// Searchers for look-ups by id, valid while no later commit emptied the version map.
#[derive(Default)]
pub(super) struct Lookups(HashMap<u64, (u64, Option<Searcher>)>);

impl Lookups {
    /// Looks an id up: first what no commit has, then the last commit.
    pub(super) fn find(
        &mut self,
        engine: &Engine,
        shard: &Shard,
        state: &State,
        id: &str,
    ) -> Result<Option<Present>, TantivyError> {
        if let Some(known) = state.versions.get(&id_hash(id)) {
            return Ok((!known.deleted).then_some(Present {
                version: known.version,
                seq_no: known.seq_no,
                place: At::Log(known.place),
            }));
        }
        let Some(searcher) = self.searcher(engine, shard, state.commits)? else { return Ok(None) };
        let Some(address) = store::find(searcher, id)? else { return Ok(None) };
        let (version, seq_no) = store::version_of(searcher, address)?;
        Ok(Some(Present { version, seq_no, place: At::Store(address) }))
    }

    pub(super) fn searcher(
        &mut self,
        engine: &Engine,
        shard: &Shard,
        commits: u64,
    ) -> Result<Option<&Searcher>, TantivyError> {
        let stale = self.0.get(&shard.number).is_none_or(|(at, _)| *at != commits);
        if stale {
            let searcher = engine.reader(shard)?.map(|opened| opened.reader.searcher());
            self.0.insert(shard.number, (commits, searcher));
        }
        Ok(self.0.get(&shard.number).and_then(|(_, searcher)| searcher.as_ref()))
    }
}

impl Engine {
    pub(super) fn decide(
        &self,
        prepared: Vec<Result<Prepared<'_>, (&Operation<'_>, Failure)>>,
        targets: &mut [Target],
        bulk: &mut Bulk,
    ) {
        let _order = self.order.lock();
        let mut reparse = vec![false; targets.len()];
        for (target, reparse) in targets.iter_mut().zip(&mut reparse) {
            let present = target.shard.mapping();
            if !Arc::ptr_eq(&present, &target.base) {
                // Others extended the mapping meanwhile: the documents must be read by it.
                (target.base, target.working) = (present.clone(), present);
                *reparse = true;
            }
        }
        let mut batch = self.wal.batch();
        let mut lookups = Lookups::default();
        for item in prepared {
            bulk.outcomes.push(match item {
                Ok(item) => {
                    let target = &mut targets[item.target];
                    let again = reparse[item.target];
                    let (verb, index, id) = (item.verb, target.shard.name.to_string(), item.id.clone());
                    let result = self.decide_one(item, target, again, &mut batch, &mut lookups);
                    Outcome { verb, index, id, result }
                }
                Err((operation, failure)) => Outcome {
                    verb: operation.verb,
                    index: operation.index.to_string(),
                    id: operation.id.as_deref().unwrap_or_default().to_owned(),
                    result: Err(failure),
                },
            });
        }
        for target in targets.iter() {
            if !Arc::ptr_eq(&target.base, &target.working) {
                target.shard.set_mapping(target.working.clone());
            }
        }
        if batch.is_empty() {
            // What an answer is based on (a conflict with a document under way) must be durable too.
            bulk.end = bulk.end.max(self.wal.next_position());
            return;
        }
        match self.wal.append(batch) {
            Ok(end) => bulk.end = bulk.end.max(end),
            Err(_) => bulk.end = u64::MAX,
        }
    }

    fn decide_one(
        &self,
        mut item: Prepared<'_>,
        target: &mut Target,
        reparse: bool,
        batch: &mut Batch,
        lookups: &mut Lookups,
    ) -> Result<Done, Failure> {
        let shard = target.shard.clone();
        if shard.is_deleted() {
            return Err(Failure::new(404, "index_not_found_exception", format!("no such index [{}]", shard.name)));
        }
        let mut document = std::mem::replace(&mut item.document, Ok(None))?;
        let mut state = shard.state.lock();
        let present = if item.fresh {
            None
        } else {
            lookups.find(self, &shard, &state, &item.id).map_err(|error| unreadable(&error))?
        };
        let version = next_version(&item, present.as_ref(), &shard)?;
        let seq_no = state.next_seq_no;
        let (index, id) = (shard.number, item.id.as_str());
        if item.verb == Verb::Delete {
            if present.is_none() {
                return Ok(Done { result: "not_found", status: 404, version: 1, seq_no });
            }
            let place = batch.push(&Record::Delete { index, seq_no, version, id }).ok_or_else(too_large)?;
            self.stage(&mut state, place, Change::Delete { id: id.into() });
            note(&mut state, id, Version { version, seq_no, place, deleted: true });
            return Ok(Done { result: "deleted", status: 200, version, seq_no });
        }
        let mut source = std::borrow::Cow::Borrowed(item.source);
        if item.verb == Verb::Update {
            match self.merged(&shard, &state, lookups, present.as_ref(), &item, batch)? {
                Some(merged) => source = merged.into(),
                None => {
                    let (version, seq_no) = present.map_or((1, seq_no), |present| (present.version, present.seq_no));
                    return Ok(Done { result: "noop", status: 200, version, seq_no });
                }
            }
        }
        if reparse || item.verb == Verb::Update {
            document = Some(parse(&mut target.working, id, &source)?);
        }
        let replaces = present.is_some();
        let place =
            batch.push(&Record::Put { index, seq_no, version, replaces, id, source: &source }).ok_or_else(too_large)?;
        let change = self.put(document, id, source.len(), replaces, seq_no, version);
        self.stage(&mut state, place, change);
        note(&mut state, id, Version { version, seq_no, place, deleted: false });
        let (result, status) = if replaces { ("updated", 200) } else { ("created", 201) };
        Ok(Done { result, status, version, seq_no })
    }

    fn put(
        &self,
        document: Option<Box<TantivyDocument>>,
        id: &str,
        source: usize,
        replaces: bool,
        seq_no: u64,
        version: u64,
    ) -> Change {
        let document = document.map(|mut document| {
            finish(&mut document, seq_no, version);
            document
        });
        // Source, its values again, and the tree around them.
        let bytes = if document.is_some() { u32::try_from(source * 3 + 512).unwrap_or(u32::MAX) } else { 0 };
        Change::Put { document, bytes, replaces: replaces.then(|| id.into()) }
    }

    fn stage(&self, state: &mut State, place: Place, change: Change) {
        let bytes = if let Change::Put { bytes, .. } = &change { *bytes as usize } else { 0 };
        self.pending.add(1, bytes);
        state.push(Pending { place, change });
    }
}

/// Adds what is known only when a write is decided.
pub(super) fn finish(document: &mut TantivyDocument, seq_no: u64, version: u64) {
    let fields = schema::fields();
    document.add_u64(fields.seq_no, seq_no);
    document.add_u64(fields.version, version);
}

fn note(state: &mut State, id: &str, version: Version) {
    state.next_seq_no = version.seq_no + 1;
    state.versions.insert(id_hash(id), version);
}

/// The version a write gets, if it may happen.
fn next_version(item: &Prepared<'_>, present: Option<&Present>, shard: &Shard) -> Result<u64, Failure> {
    let id = &item.id;
    let conflict = |reason: String| {
        Err(Failure {
            uuid: Some(shard.uuid.clone()),
            ..Failure::new(409, "version_conflict_engine_exception", format!("[{id}]: version conflict, {reason}"))
        })
    };
    if let (Verb::Create, Some(present)) = (item.verb, present) {
        return conflict(format!("document already exists (current version [{}])", present.version));
    }
    match (item.kind, present) {
        (OperationKind::External { version, or_equal }, Some(present))
            if version < present.version || (version == present.version && !or_equal) =>
        {
            conflict(format!(
                "current version [{}] is higher or equal to the one provided [{version}]",
                present.version
            ))
        }
        (OperationKind::External { version, .. }, _) => Ok(version),
        (OperationKind::IfSeqNo(wanted), Some(present)) if wanted != present.seq_no => conflict(format!(
            "required seqNo [{wanted}], primary term [1]. current document has seqNo [{}] and primary term [1]",
            present.seq_no
        )),
        (OperationKind::IfSeqNo(wanted), None) => {
            conflict(format!("required seqNo [{wanted}], primary term [1]. but no document was found"))
        }
        (_, Some(present)) => Ok(present.version.saturating_add(1)),
        (_, None) => Ok(1),
    }
}

pub(super) fn unreadable(error: &TantivyError) -> Failure {
    Failure::new(500, "engine_exception", format!("cannot read the index: {error}"))
}

fn too_large() -> Failure {
    Failure::new(413, "illegal_argument_exception", "document is too large")
}
