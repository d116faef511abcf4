//! Finished files become compressed ones, which appear under their name only when they are whole and on disk.

use std::{
    fs::{self, File},
    io::{self, BufReader, Write},
    path::{Path, PathBuf},
};

use logmill_config::sinks::FileCompression;

/// What is written until it is whole.
const UNFINISHED: &str = "unfinished";

pub(super) fn extension(compression: FileCompression) -> Option<&'static str> {
    match compression {
        FileCompression::None => None,
        FileCompression::Gzip => Some("gz"),
        FileCompression::Zstd => Some("zst"),
    }
}

/// Compresses `path` and removes it. A kill in between leaves the original, from which the next start makes it again.
pub(super) fn compress(path: &Path, compression: FileCompression) -> io::Result<()> {
    let Some(extension) = extension(compression) else { return Ok(()) };
    let target = with(path, extension);
    let unfinished = with(&target, UNFINISHED);
    let original = File::open(path)?;
    // After a reload the writer before this one may still be compressing the same file.
    original.lock()?;
    if !path.exists() {
        return Ok(());
    }
    let mut from = BufReader::with_capacity(256 << 10, original);
    let to = File::create(&unfinished)?;
    let to = match compression {
        FileCompression::Zstd => {
            let mut encoder = zstd::Encoder::new(to, 3)?;
            encoder.include_checksum(true)?;
            io::copy(&mut from, &mut encoder)?;
            encoder.finish()?
        }
        FileCompression::Gzip | FileCompression::None => {
            let mut encoder = flate2::write::GzEncoder::new(to, flate2::Compression::default());
            io::copy(&mut from, &mut encoder)?;
            encoder.flush()?;
            encoder.finish()?
        }
    };
    to.sync_all()?;
    fs::rename(&unfinished, &target)?;
    sync_directory(path)?;
    fs::remove_file(path)?;
    sync_directory(path)
}

/// Finished files beside `active` that are not compressed yet. What a kill left unfinished is removed.
pub(super) fn left_over(active: &Path) -> io::Result<Vec<PathBuf>> {
    let Some(name) = active.file_name().map(|name| format!("{}.", name.to_string_lossy())) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(directory(active))? {
        let path = entry?.path();
        let rest = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_prefix(&name)).map(str::to_owned);
        match rest {
            Some(rest) if rest.ends_with(UNFINISHED) => fs::remove_file(&path)?,
            Some(rest) if super::writer::is_stamp(&rest) => found.push(path),
            _ => {}
        }
    }
    found.sort();
    Ok(found)
}

fn with(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    PathBuf::from(name)
}

pub(super) fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A name is durable only after its directory was synced.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(directory(path))?.sync_all()
}
