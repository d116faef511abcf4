//! Replacing a small file so that after a power cut it is either the old one or the new one, whole.

use crate::{Disk, SyncSite};
use std::{io, path::Path};

/// The two syncs of a replacement: the new content, and the directory that names it.
#[derive(Debug, Clone, Copy)]
pub struct ReplaceSites {
    pub data: SyncSite,
    pub dir: SyncSite,
}

/// Writes `<path>.tmp`, syncs it, renames it over `path`, syncs the directory. Durable when it returns `Ok`; after an error either content may be there.
pub fn replace_file(disk: &dyn Disk, path: &Path, content: &[u8], sites: ReplaceSites) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    let temporary = Path::new(&name);
    let file = disk.open(temporary, true)?;
    file.set_len(0)?;
    file.write_all_at(content, 0)?;
    file.sync_data(sites.data)?;
    disk.rename(temporary, path)?;
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => disk.sync_dir(parent, sites.dir),
        _ => disk.sync_dir(Path::new("."), sites.dir),
    }
}
