//! One index: its identity, its mapping, what is pending and what the version map knows.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    path::PathBuf,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use tantivy::TantivyDocument;
use tokio::sync::watch;

use super::store::Store;
use crate::{mapping::Mapping, wal::Place};

pub(crate) struct Shard {
    /// Position of the record that created it; names its directory.
    pub(crate) number: u64,
    pub(crate) name: Arc<str>,
    pub(crate) uuid: String,
    /// Milliseconds since the epoch.
    pub(crate) created: i64,
    pub(crate) dir: PathBuf,
    mapping: RwLock<Arc<Mapping>>,
    pub(super) state: Mutex<State>,
    pub(super) store: Mutex<Store>,
    /// In the applier's queue.
    pub(super) queued: AtomicBool,
    pub(super) deleted: AtomicBool,
    /// Last use of the reader, by the engine's counter.
    pub(super) used: AtomicU64,
    /// The log position up to which the last commit is complete.
    pub(super) visible: watch::Sender<u64>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) next_seq_no: u64,
    pub(super) pending: VecDeque<Pending>,
    /// What the last commit does not have, by id.
    pub(super) versions: HashMap<u128, Version>,
    /// Counts commits that took entries out of `versions`: a searcher from before is then too old for look-ups.
    pub(super) commits: u64,
    /// The first position that is in no commit yet.
    pub(super) uncommitted: Option<u64>,
}

/// A decided change that has not been given to Tantivy.
pub(super) struct Pending {
    pub(super) place: Place,
    pub(super) change: Change,
}

pub(super) enum Change {
    /// The index itself, or its mapping: only a commit is needed.
    Settings,
    Put {
        /// `None`: to be read from the log.
        document: Option<Box<TantivyDocument>>,
        /// Bytes `document` counts for.
        bytes: u32,
        replaces: Option<Box<str>>,
    },
    Delete {
        id: Box<str>,
    },
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Version {
    pub(super) version: u64,
    pub(super) seq_no: u64,
    /// The record that holds the document.
    pub(super) place: Place,
    pub(super) deleted: bool,
}

/// A 128-bit keyed hash of an id: two ids never share one in practice, and no one can make them.
pub(super) fn id_hash(id: &str) -> u128 {
    static KEYS: LazyLock<(RandomState, RandomState)> = LazyLock::new(Default::default);
    (u128::from(KEYS.0.hash_one(id)) << 64) | u128::from(KEYS.1.hash_one(id))
}

/// What a Tantivy commit carries: who the index is and up to which log position it is complete.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Payload {
    pub(super) format: u32,
    pub(super) settings: Settings,
    pub(super) position: u64,
    pub(super) next_seq_no: u64,
}

/// What creates an index, as the log and commits keep it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Settings {
    pub(super) name: String,
    pub(super) uuid: String,
    pub(super) created: i64,
    pub(super) mapping: serde_json::Value,
}

pub(super) const FORMAT: u32 = 1;

impl std::fmt::Debug for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "index {} ({})", self.name, self.number)
    }
}

impl Shard {
    pub(super) fn new(number: u64, dir: PathBuf, settings: &Settings, mapping: Mapping) -> Self {
        Self {
            number,
            name: settings.name.as_str().into(),
            uuid: settings.uuid.clone(),
            created: settings.created,
            dir,
            mapping: RwLock::new(Arc::new(mapping)),
            state: Mutex::new(State::default()),
            store: Mutex::new(Store::default()),
            queued: AtomicBool::new(false),
            deleted: AtomicBool::new(false),
            used: AtomicU64::new(0),
            visible: watch::channel(0).0,
        }
    }

    pub(crate) fn mapping(&self) -> Arc<Mapping> {
        self.mapping.read().clone()
    }

    pub(super) fn set_mapping(&self, mapping: Arc<Mapping>) {
        *self.mapping.write() = mapping;
    }

    pub(super) fn settings(&self) -> Settings {
        Settings {
            name: self.name.to_string(),
            uuid: self.uuid.clone(),
            created: self.created,
            mapping: self.mapping().to_json(),
        }
    }

    /// The first log position this index still needs.
    pub(super) fn needed(&self) -> Option<u64> {
        self.state.lock().uncommitted
    }

    pub(super) fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }
}

impl State {
    pub(super) fn push(&mut self, pending: Pending) {
        self.uncommitted.get_or_insert(pending.place.position);
        self.pending.push_back(pending);
    }
}
