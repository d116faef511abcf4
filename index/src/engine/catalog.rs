//! Which indices there are, and making and removing them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, atomic::Ordering},
};

use logmill_disk::{ReplaceSites, replace_file};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Engine, Shard,
    names::{NameError, check_name, matches},
    shard::{Change, Pending, Settings},
};
use crate::{
    clock,
    mapping::{Mapping, MappingError},
    wal::Record,
};

/// Indices one data directory may hold.
pub(crate) const MAX_INDICES: usize = 10_000;
/// File of the index templates in the data directory.
pub(super) const TEMPLATES: &str = "templates.json";
/// Templates kept.
const MAX_TEMPLATES: usize = 1_000;

#[derive(Default)]
pub(crate) struct Catalog {
    pub(super) by_name: BTreeMap<Arc<str>, Arc<Shard>>,
    /// Deleted indices whose directory may still be there, with the position of their deletion.
    pub(super) dropping: HashMap<u64, u64>,
    /// Index templates by name: patterns, priority, mapping.
    pub(super) templates: BTreeMap<String, Template>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Template {
    pub(crate) patterns: Vec<String>,
    pub(crate) priority: i64,
    pub(crate) mapping: Option<Value>,
    pub(crate) body: Value,
}

/// Why an index could not be made.
#[derive(Debug)]
pub(crate) enum CreateError {
    Name(NameError),
    Exists(Arc<Shard>),
    Mapping(MappingError),
    TooMany,
    Failed(Arc<str>),
}

impl Catalog {
    fn template_mapping(&self, name: &str) -> Option<&Value> {
        self.templates
            .values()
            .filter(|template| template.patterns.iter().any(|pattern| matches(pattern, name)))
            .max_by_key(|template| template.priority)
            .and_then(|template| template.mapping.as_ref())
    }
}

impl Engine {
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Shard>> {
        self.catalog.read().by_name.get(name).cloned()
    }

    /// All indices by name.
    pub(crate) fn all(&self) -> Vec<Arc<Shard>> {
        self.catalog.read().by_name.values().cloned().collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.catalog.read().by_name.len()
    }

    /// Makes an index; returns it with the log position that must be durable before this is answered.
    ///
    /// # Errors
    /// A bad name, one that exists, a bad mapping, too many indices, a failed disk.
    pub(crate) fn create_index(&self, name: &str, mapping: Option<&Value>) -> Result<(Arc<Shard>, u64), CreateError> {
        check_name(name).map_err(CreateError::Name)?;
        let _order = self.order.lock();
        let mut merged = Mapping::default();
        {
            let catalog = self.catalog.read();
            if let Some(shard) = catalog.by_name.get(name) {
                return Err(CreateError::Exists(shard.clone()));
            }
            if catalog.by_name.len() >= MAX_INDICES {
                return Err(CreateError::TooMany);
            }
            for json in catalog.template_mapping(name).into_iter().chain(mapping) {
                merged.merge_json(json).map_err(CreateError::Mapping)?;
            }
        }
        let settings =
            Settings { name: name.to_owned(), uuid: new_id(), created: clock::now_ms(), mapping: merged.to_json() };
        let text = serde_json::to_string(&settings).unwrap_or_default();
        let mut batch = self.wal.batch();
        let Some(place) = batch.push(&Record::CreateIndex { settings: &text }) else {
            return Err(CreateError::TooMany);
        };
        let end = self.wal.append(batch).map_err(CreateError::Failed)?;
        let shard = Arc::new(Shard::new(place.position, self.index_dir(place.position), &settings, merged));
        shard.state.lock().push(Pending { place, change: Change::Settings });
        self.pending.add(1, 0);
        self.catalog.write().by_name.insert(shard.name.clone(), shard.clone());
        self.enqueue(&shard);
        Ok((shard, end))
    }

    /// The index of this name, made if there is none.
    pub(super) fn get_or_create(&self, name: &str) -> Result<Arc<Shard>, CreateError> {
        if let Some(shard) = self.get(name) {
            return Ok(shard);
        }
        match self.create_index(name, None) {
            Ok((shard, _)) | Err(CreateError::Exists(shard)) => Ok(shard),
            Err(error) => Err(error),
        }
    }

    /// Removes an index with all its documents; returns the position that must be durable before this is answered.
    ///
    /// # Errors
    /// The disk failed.
    pub(crate) fn delete_index(&self, shard: &Arc<Shard>) -> Result<u64, Arc<str>> {
        let _order = self.order.lock();
        if shard.is_deleted() {
            return Ok(self.wal.next_position());
        }
        let mut batch = self.wal.batch();
        let Some(place) = batch.push(&Record::DeleteIndex { index: shard.number }) else {
            return Ok(self.wal.next_position());
        };
        let end = self.wal.append(batch)?;
        shard.deleted.store(true, Ordering::Release);
        {
            let mut catalog = self.catalog.write();
            catalog.by_name.remove(&shard.name);
            catalog.dropping.insert(shard.number, place.position);
        }
        let mut state = shard.state.lock();
        let dropped = std::mem::take(&mut state.pending);
        state.versions = HashMap::new();
        state.uncommitted = None;
        drop(state);
        self.forget(&dropped);
        self.close_reader(shard);
        self.enqueue(shard);
        Ok(end)
    }

    /// Merges a mapping into an index; returns the position that must be durable before this is answered.
    ///
    /// # Errors
    /// The mapping conflicts, or (inner) the disk failed.
    pub(crate) fn put_mapping(&self, shard: &Arc<Shard>, json: &Value) -> Result<Result<u64, Arc<str>>, MappingError> {
        let _order = self.order.lock();
        let mut mapping = (*shard.mapping()).clone();
        mapping.merge_json(json)?;
        let text = json.to_string();
        let mut batch = self.wal.batch();
        let Some(place) = batch.push(&Record::PutMapping { index: shard.number, mapping: &text }) else {
            return Ok(Ok(self.wal.next_position()));
        };
        let end = match self.wal.append(batch) {
            Ok(end) => end,
            Err(error) => return Ok(Err(error)),
        };
        shard.set_mapping(Arc::new(mapping));
        shard.state.lock().push(Pending { place, change: Change::Settings });
        self.pending.add(1, 0);
        self.enqueue(shard);
        Ok(Ok(end))
    }

    /// Keeps a template; `false` when there are too many.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn put_template(&self, name: &str, template: Template) -> Result<bool, String> {
        let _order = self.order.lock();
        let mut templates = self.catalog.read().templates.clone();
        if templates.len() >= MAX_TEMPLATES && !templates.contains_key(name) {
            return Ok(false);
        }
        templates.insert(name.to_owned(), template);
        self.keep_templates(templates)?;
        Ok(true)
    }

    /// Whether there was one.
    ///
    /// # Errors
    /// The rest cannot be written.
    pub(crate) fn remove_template(&self, name: &str) -> Result<bool, String> {
        let _order = self.order.lock();
        let mut templates = self.catalog.read().templates.clone();
        let removed = templates.remove(name).is_some();
        if removed {
            self.keep_templates(templates)?;
        }
        Ok(removed)
    }

    fn keep_templates(&self, templates: BTreeMap<String, Template>) -> Result<(), String> {
        let content = serde_json::to_vec(&templates).map_err(|error| error.to_string())?;
        let path = self.options.data_dir.join(TEMPLATES);
        let sites = ReplaceSites { data: "index templates", dir: "index templates directory" };
        replace_file(self.disk.as_ref(), &path, &content, sites)
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        self.catalog.write().templates = templates;
        Ok(())
    }

    pub(crate) fn templates(&self) -> Vec<(String, Template)> {
        self.catalog.read().templates.iter().map(|(name, template)| (name.clone(), template.clone())).collect()
    }

    pub(super) fn index_dir(&self, number: u64) -> std::path::PathBuf {
        self.options.data_dir.join("indices").join(format!("{number:020}"))
    }
}

/// 20 characters of base64url, as Elasticsearch's own ids look.
pub(crate) fn new_id() -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.encode(&uuid::Uuid::new_v4().as_bytes()[..15])
}
