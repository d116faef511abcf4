//! Partial updates and reading one document as of now.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{
    Engine, Shard,
    decide::{At, Lookups, Present, unreadable},
    shard::State,
    store::{self, StoredDocument},
    write::{Failure, Prepared},
};
use crate::wal::{Batch, Record};

impl Engine {
    /// The document under an id as of now, committed or not.
    ///
    /// # Errors
    /// The index or the log cannot be read.
    pub(crate) fn document(&self, shard: &Shard, id: &str) -> Result<Option<StoredDocument>, Failure> {
        // A commit may move the document from the log to the store between look-up and reading.
        for _ in 0..3 {
            let mut lookups = Lookups::default();
            let state = shard.state.lock();
            let Some(present) = lookups.find(self, shard, &state, id).map_err(|error| unreadable(&error))? else {
                return Ok(None);
            };
            let commits = state.commits;
            drop(state);
            if let Ok(source) = self.source(shard, &mut lookups, commits, &present, None) {
                return Ok(Some(StoredDocument { source, version: present.version, seq_no: present.seq_no }));
            }
        }
        Err(Failure::new(500, "engine_exception", "cannot read the document"))
    }

    fn source(
        &self,
        shard: &Shard,
        lookups: &mut Lookups,
        commits: u64,
        present: &Present,
        batch: Option<&Batch>,
    ) -> Result<Vec<u8>, Failure> {
        let gone = || Failure::new(500, "engine_exception", "the document's record is unreadable");
        match present.place {
            At::Log(place) => {
                // Decided a moment ago, it is not in the log yet.
                let body = match batch.and_then(|batch| batch.read(place)) {
                    Some(body) => Cow::Borrowed(body),
                    None => Cow::Owned(self.wal.read(place.position, place.length).map_err(|_| gone())?),
                };
                match Record::decode(&body) {
                    Some(Record::Put { source, .. }) => Ok(source.to_vec()),
                    _ => Err(gone()),
                }
            }
            At::Store(address) => {
                let searcher =
                    lookups.searcher(self, shard, commits).map_err(|error| unreadable(&error))?.ok_or_else(gone)?;
                store::stored(searcher, address).map(|(_, source)| source).map_err(|error| unreadable(&error))
            }
        }
    }

    /// The new source an update makes; `None` if it changes nothing.
    pub(super) fn merged(
        &self,
        shard: &Shard,
        state: &State,
        lookups: &mut Lookups,
        present: Option<&Present>,
        item: &Prepared<'_>,
        batch: &Batch,
    ) -> Result<Option<Vec<u8>>, Failure> {
        let body: Map<String, Value> = serde_json::from_slice(item.source)
            .map_err(|error| Failure::new(400, "x_content_parse_exception", format!("[UpdateRequest] {error}")))?;
        if body.contains_key("script") {
            return Err(Failure::new(400, "illegal_argument_exception", "scripts are not supported here"));
        }
        let part = body.get("doc");
        let Some(present) = present else {
            let upsert = if body.get("doc_as_upsert") == Some(&Value::Bool(true)) { part } else { body.get("upsert") };
            let Some(upsert) = upsert else {
                return Err(Failure {
                    uuid: Some(shard.uuid.clone()),
                    ..Failure::new(404, "document_missing_exception", format!("[{}]: document missing", item.id))
                });
            };
            return Ok(Some(upsert.to_string().into_bytes()));
        };
        let Some(part) = part else {
            return Err(Failure::new(
                400,
                "action_request_validation_exception",
                "Validation Failed: 1: script or doc is missing;",
            ));
        };
        let old = self.source(shard, lookups, state.commits, present, Some(batch))?;
        let old: Value =
            serde_json::from_slice(&old).map_err(|error| Failure::new(500, "engine_exception", error.to_string()))?;
        let mut new = old.clone();
        merge(&mut new, part);
        Ok((new != old || body.get("detect_noop") == Some(&Value::Bool(false))).then(|| new.to_string().into_bytes()))
    }
}

fn merge(into: &mut Value, part: &Value) {
    match (into, part) {
        (Value::Object(into), Value::Object(part)) => {
            for (key, value) in part {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, part) => *into = part.clone(),
    }
}
