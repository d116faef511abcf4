//! Reads a sink's `file:` section.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use super::{KIB, MIB, SECOND};
use crate::{
    sinks::{File, FileCompression},
    value::Value,
};

/// `taken` are the files of the sinks before.
pub(super) fn read(value: &Value, taken: &mut BTreeSet<PathBuf>) -> Option<File> {
    let mut s = value.section()?;
    let path = s.need("path", "/var/lib/logmill-sinks/app.ndjson", |v| {
        let path = v.path()?;
        if path.file_name().is_none() || path.as_os_str().to_string_lossy().ends_with('/') {
            return v.fail("names no file, expected e.g. /var/lib/logmill-sinks/app.ndjson");
        }
        if !taken.insert(path.clone()) {
            return v.fail("is written by another sink, expected a file of its own");
        }
        Some(path)
    });
    let compressions =
        [("none", FileCompression::None), ("gzip", FileCompression::Gzip), ("zstd", FileCompression::Zstd)];
    let file = File {
        path: path.unwrap_or_default(),
        max_bytes: s.or("max_bytes", 128 * MIB, |v| v.size(4 * KIB, 1 << 40)),
        max_age: s.or("max_age", 3600 * SECOND, |v| v.duration(SECOND, 366 * 86_400 * SECOND)),
        compression: s.or("compression", FileCompression::None, |v| v.choice(&compressions, &[])),
        linger: s.or("linger", Duration::from_millis(200), |v| v.duration(Duration::ZERO, 60 * SECOND)),
    };
    s.finish();
    Some(file)
}
