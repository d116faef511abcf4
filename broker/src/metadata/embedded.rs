//! The metadata store of a single node: an append-only file of checksummed changes.
//!
//! File: the line `logmill metadata 1\n`, then frames of length (u32, big-endian), CRC-32C of the payload (u32), payload (one [`Change`] as JSON).
//! Invariants: a change is published only after its frame was synced; after a failed sync, or a failed write that cannot be taken back, nothing more is
//! accepted, since what is on disk is unknown; a frame that is cut off or damaged at the end was never acknowledged and is cut away when the file is opened.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use logmill_disk::{Disk, DiskFile, ReplaceSites, read_file, replace_file};
use parking_lot::Mutex;

use super::{
    change::{self, Change},
    image::Image,
    store::{Committed, MetadataError, MetadataStore},
};
use crate::error::Error;

const HEADER: &[u8] = b"logmill metadata 1\n";
/// Bytes of length and checksum in front of a payload.
const FRAME_HEADER: usize = 8;
/// No metadata file of one node comes near this.
const MAX_FILE_BYTES: u64 = 1 << 30;
/// The file is rewritten when it has so many more changes than needed.
const SPARE_CHANGES: usize = 1000;
const SITES: ReplaceSites = ReplaceSites { data: "metadata rewrite", dir: "metadata rewrite directory" };

pub(crate) struct EmbeddedStore {
    shared: Arc<Shared>,
}

struct Shared {
    image: ArcSwap<Image>,
    writer: Mutex<Writer>,
}

struct Writer {
    file: Arc<dyn DiskFile>,
    end: u64,
    /// Why nothing is accepted any more.
    failed: Option<String>,
}

impl EmbeddedStore {
    /// Reads `logmill.metadata` in `dir`, making it, with a cluster id from `new_cluster_id`, if there is none.
    pub(crate) fn open(disk: &dyn Disk, dir: &Path, new_cluster_id: impl FnOnce() -> String) -> Result<Self, Error> {
        let path = dir.join("logmill.metadata");
        let fail = |reason: String| Error::Metadata { path: path.clone(), reason };
        let io = |error: io::Error| Error::Metadata { path: path.clone(), reason: error.to_string() };
        if !disk.exists(&path) {
            let first = Change::ClusterId { id: new_cluster_id() };
            let content = encode_all(&[first]).map_err(fail)?;
            replace_file(disk, &path, &content, SITES).map_err(io)?;
        }
        let bytes = read_file(disk, &path, MAX_FILE_BYTES).map_err(io)?;
        let Replayed { image, changes, end } = replay(&bytes).map_err(fail)?;
        let needed = change::rebuild(&image);
        let mut end = end as u64;
        if changes > needed.len() + SPARE_CHANGES {
            let content = encode_all(&needed).map_err(fail)?;
            replace_file(disk, &path, &content, SITES).map_err(io)?;
            end = content.len() as u64;
        }
        let file = disk.open(&path, false).map_err(io)?;
        if file.len().map_err(io)? > end {
            tracing::warn!(path = %PathBuf::from(&path).display(), "the last metadata change was cut off by a crash; it was never acknowledged");
            file.set_len(end).map_err(io)?;
            file.sync_data("metadata tail").map_err(io)?;
        }
        let writer = Mutex::new(Writer { file, end, failed: None });
        Ok(Self { shared: Arc::new(Shared { image: ArcSwap::from_pointee(image), writer }) })
    }
}

impl MetadataStore for EmbeddedStore {
    fn image(&self) -> Arc<Image> {
        self.shared.image.load_full()
    }

    fn commit(&self, change: Change) -> Committed<'_> {
        let shared = self.shared.clone();
        Box::pin(async move {
            tokio::task::spawn_blocking(move || shared.commit(&change))
                .await
                .map_err(|e| MetadataError::Storage(e.to_string()))?
        })
    }
}

impl Shared {
    fn commit(&self, change: &Change) -> Result<Arc<Image>, MetadataError> {
        let mut writer = self.writer.lock();
        if let Some(reason) = &writer.failed {
            return Err(MetadataError::Storage(reason.clone()));
        }
        let mut image = Image::clone(&self.image.load());
        change::apply(&mut image, change)?;
        let mut frame = Vec::with_capacity(256);
        encode(change, &mut frame).map_err(MetadataError::Storage)?;
        writer.append(&frame)?;
        let image = Arc::new(image);
        self.image.store(image.clone());
        Ok(image)
    }
}

impl Writer {
    fn append(&mut self, frame: &[u8]) -> Result<(), MetadataError> {
        let written = self.file.write_all_at(frame, self.end);
        if let Err(error) = &written
            && self.file.set_len(self.end).is_ok()
        {
            tracing::error!(%error, "a change could not be written to the metadata file and was taken back");
            return Err(MetadataError::Unwritten(error.to_string()));
        }
        if let Err(error) = written.and_then(|()| self.file.sync_data("metadata change")) {
            let reason = error.to_string();
            tracing::error!(%error, "writing the metadata file failed; topics cannot be changed until a restart");
            self.failed = Some(reason.clone());
            return Err(MetadataError::Storage(reason));
        }
        self.end += frame.len() as u64;
        Ok(())
    }
}

fn encode(change: &Change, out: &mut Vec<u8>) -> Result<(), String> {
    let payload = serde_json::to_vec(change).map_err(|e| e.to_string())?;
    let len = u32::try_from(payload.len()).map_err(|e| e.to_string())?;
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(&crc32c::crc32c(&payload).to_be_bytes());
    out.extend_from_slice(&payload);
    Ok(())
}

fn encode_all(changes: &[Change]) -> Result<Vec<u8>, String> {
    let mut out = HEADER.to_vec();
    changes.iter().try_for_each(|change| encode(change, &mut out))?;
    Ok(out)
}

struct Replayed {
    image: Image,
    changes: usize,
    /// First byte after the last good frame.
    end: usize,
}

fn replay(bytes: &[u8]) -> Result<Replayed, String> {
    let Some(mut rest) = bytes.strip_prefix(HEADER) else {
        return Err("expected the line `logmill metadata 1` at its beginning".to_owned());
    };
    let (mut image, mut changes) = (Image::default(), 0);
    loop {
        let end = bytes.len() - rest.len();
        let Some((payload, after)) = split_frame(rest) else {
            // A change is one write, and the next one begins after its sync: only the last frame can be cut off.
            let damaged_inside = whole_frame(rest).is_some_and(|after| split_frame(after).is_some());
            return if damaged_inside {
                Err(format!(
                    "checksum mismatch at byte {end}, with good changes after it; restore the file from a backup"
                ))
            } else {
                Ok(Replayed { image, changes, end })
            };
        };
        let at = |problem: String| format!("change at byte {end}: {problem}");
        let change: Change = serde_json::from_slice(payload).map_err(|e| at(e.to_string()))?;
        change::apply(&mut image, &change).map_err(|e| at(e.to_string()))?;
        changes += 1;
        rest = after;
    }
}

/// The payload of a good first frame, and what follows it.
fn split_frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let after = whole_frame(bytes)?;
    let payload = bytes.get(FRAME_HEADER..bytes.len() - after.len())?;
    let crc = u32::from_be_bytes(*bytes.get(4..)?.first_chunk()?);
    (crc32c::crc32c(payload) == crc).then_some((payload, after))
}

/// What follows the first frame, judged by its length only.
fn whole_frame(bytes: &[u8]) -> Option<&[u8]> {
    let len = usize::try_from(u32::from_be_bytes(*bytes.first_chunk()?)).ok()?;
    bytes.get(FRAME_HEADER.checked_add(len)?..)
}

#[cfg(test)]
mod tests;
