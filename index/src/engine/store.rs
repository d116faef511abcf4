//! An index's Tantivy directory: made on its first commit, opened for reading when asked, closed when others need the room.

use std::{io, path::Path, sync::Arc};

use tantivy::{
    DocAddress, DocSet, Index, IndexReader, ReloadPolicy, Searcher, TERMINATED, TantivyDocument, TantivyError,
    directory::MmapDirectory,
    schema::{IndexRecordOption, document::Value},
};

use super::{Engine, Shard, shard::Payload};
use crate::{analysis, schema};
use std::sync::atomic::Ordering;

/// Segments kept open for reading over all indices, each about six mapped files (the kernel allows 65530 maps).
const MAX_OPEN_INDICES: usize = 512;

#[derive(Default)]
pub(super) struct Store {
    /// The directory exists with a commit in it.
    pub(super) exists: bool,
    pub(super) open: Option<Arc<Opened>>,
}

/// An index opened for reading.
pub(crate) struct Opened {
    pub(crate) reader: IndexReader,
}

/// A document found by id.
pub(crate) struct StoredDocument {
    pub(crate) source: Vec<u8>,
    pub(crate) version: u64,
    pub(crate) seq_no: u64,
}

/// Opens the Tantivy index in `dir`.
pub(super) fn open(dir: &Path) -> Result<Index, TantivyError> {
    let mut index = Index::open(MmapDirectory::open(dir)?)?;
    index.set_tokenizers(analysis::tokenizers());
    Ok(index)
}

pub(super) fn create(dir: &Path) -> Result<Index, TantivyError> {
    Index::builder().schema(schema::schema()).tokenizers(analysis::tokenizers()).create_in_dir(dir)
}

/// The payload of the last commit; `None` if there was none.
pub(super) fn payload(index: &Index) -> Result<Option<Payload>, TantivyError> {
    let Some(text) = index.load_metas()?.payload else { return Ok(None) };
    serde_json::from_str(&text).map(Some).map_err(|error| TantivyError::IoError(Arc::new(io::Error::other(error))))
}

impl Engine {
    /// The index opened for reading; `None` while it has no commit.
    ///
    /// # Errors
    /// Its files cannot be read.
    pub(crate) fn reader(&self, shard: &Shard) -> Result<Option<Arc<Opened>>, TantivyError> {
        shard.used.store(self.clock.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        let mut store = shard.store.lock();
        if let Some(open) = &store.open {
            return Ok(Some(open.clone()));
        }
        if !store.exists || shard.is_deleted() {
            return Ok(None);
        }
        let index = open(&shard.dir)?;
        let reader =
            index.reader_builder().reload_policy(ReloadPolicy::Manual).doc_store_cache_num_blocks(2).try_into()?;
        let opened = Arc::new(Opened { reader });
        store.open = Some(opened.clone());
        drop(store);
        self.metrics.open_readers.inc();
        self.close_old_readers();
        Ok(Some(opened))
    }

    /// Closes the least recently used readers above the limit.
    fn close_old_readers(&self) {
        if usize::try_from(self.metrics.open_readers.get()).unwrap_or(0) <= MAX_OPEN_INDICES {
            return;
        }
        let mut open: Vec<_> = self.all().into_iter().filter(|shard| shard.store.lock().open.is_some()).collect();
        open.sort_by_key(|shard| shard.used.load(Ordering::Relaxed));
        let surplus = open.len().saturating_sub(MAX_OPEN_INDICES * 7 / 8);
        for shard in open.into_iter().take(surplus) {
            self.close_reader(&shard);
        }
    }

    pub(super) fn close_reader(&self, shard: &Shard) {
        if shard.store.lock().open.take().is_some() {
            self.metrics.open_readers.dec();
        }
    }
}

/// Where the live document of this id is.
pub(super) fn find(searcher: &Searcher, id: &str) -> Result<Option<DocAddress>, TantivyError> {
    let fields = schema::fields();
    let term = schema::id_term(id);
    for (ordinal, segment) in searcher.segment_readers().iter().enumerate() {
        let inverted = segment.inverted_index(fields.id)?;
        let Some(info) = inverted.get_term_info(&term)? else { continue };
        let mut postings = inverted.read_postings_from_terminfo(&info, IndexRecordOption::Basic)?;
        while postings.doc() != TERMINATED {
            if !segment.is_deleted(postings.doc()) {
                return Ok(Some(DocAddress::new(u32::try_from(ordinal).unwrap_or(u32::MAX), postings.doc())));
            }
            postings.advance();
        }
    }
    Ok(None)
}

/// `_version` and `_seq_no` of a document.
pub(crate) fn version_of(searcher: &Searcher, address: DocAddress) -> Result<(u64, u64), TantivyError> {
    let columns = searcher.segment_reader(address.segment_ord).fast_fields();
    let first = |name: &str| Ok::<_, TantivyError>(columns.u64(name)?.first(address.doc_id).unwrap_or(1));
    Ok((first("_version")?, first("_seq_no")?))
}

/// `_id` and `_source` of a document.
pub(crate) fn stored(searcher: &Searcher, address: DocAddress) -> Result<(String, Vec<u8>), TantivyError> {
    let fields = schema::fields();
    let document: TantivyDocument = searcher.doc(address)?;
    let id = document.get_first(fields.id).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default();
    let source =
        document.get_first(fields.source).and_then(|value| value.as_bytes().map(<[u8]>::to_vec)).unwrap_or_default();
    Ok((id, source))
}
