//! How far a journal was read, beside its spool: written only once what came before it is durable there.
//!
//! Between two writings the last entry in the spool says more. That is believed as long as the machine was not
//! started anew, since a power cut may take what was not synced; older cursors only mean that entries are read again.

use std::{io, path::Path};

use logmill_disk::{Disk, ReplaceSites, read_file, replace_file};
use serde_json::{Value, json};

const NAME: &str = "cursor";
const LONGEST: u64 = 64 << 10;
const SITES: ReplaceSites = ReplaceSites { data: "journal cursor", dir: "journal cursor name" };

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Saved {
    /// The last entry; none when the journal was empty.
    pub(super) cursor: Option<String>,
    /// Of the machine's run in which it was written.
    pub(super) boot: String,
}

/// None where nothing was saved. What cannot be read stands for the journal's beginning: its entries keep their ids.
pub(super) fn load(disk: &dyn Disk, dir: &Path) -> io::Result<Option<Saved>> {
    let path = dir.join(NAME);
    if !disk.exists(&path) {
        return Ok(None);
    }
    let bytes = match read_file(disk, &path, LONGEST) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::InvalidData => Vec::new(),
        Err(e) => return Err(e),
    };
    let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    Ok(Some(Saved { cursor: text("cursor"), boot: text("boot").unwrap_or_default() }))
}

/// Durable when it returns.
pub(super) fn save(disk: &dyn Disk, dir: &Path, saved: &Saved) -> io::Result<()> {
    let text = format!("{}\n", json!({ "cursor": saved.cursor, "boot": saved.boot }));
    replace_file(disk, &dir.join(NAME), text.as_bytes(), SITES)
}

/// The machine's run.
pub(super) fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use logmill_disk::RealDisk;

    use super::*;

    #[test]
    fn what_is_saved_is_loaded_and_damage_is_the_beginning() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(None, load(&RealDisk, dir.path()).unwrap());
        for cursor in [Some("s=1;i=2".to_owned()), None] {
            let saved = Saved { cursor, boot: "b".into() };
            save(&RealDisk, dir.path(), &saved).unwrap();
            assert_eq!(Some(saved), load(&RealDisk, dir.path()).unwrap());
        }
        std::fs::write(dir.path().join(NAME), "{\"cursor\":\"s=1").unwrap();
        let beginning = Saved { cursor: None, boot: String::new() };
        assert_eq!(Some(beginning), load(&RealDisk, dir.path()).unwrap());
    }
}
