//! Who a file is, whatever its name: the generation, from which every line's id follows.
//!
//! A generation is a hash of host id, inode and birth time. The device number is left out, since it changes over
//! remounts. Without a birth time the file's beginning takes its place. A truncation starts a new generation, which
//! also holds the number of truncations and, without a birth time, the new beginning. What the checkpoint says always wins over what is
//! computed here.

use std::{fs, io, os::fd::AsFd, path::Path};

use logmill_disk::Disk;
use rustix::fs::{AtFlags, CWD, FileType, Statx, StatxFlags};

/// Bytes of a file's beginning that are looked at.
pub(crate) const BEGINNING: usize = 1024;

/// Identity of one file's contents from its creation, or its last truncation, on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Generation(pub(crate) [u8; 16]);

/// What statx says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) dev: u64,
    pub(crate) ino: u64,
    /// Nanoseconds since 1970; 0 when the file system does not tell.
    pub(crate) birth: i64,
    pub(crate) size: u64,
    /// Nanoseconds since 1970.
    pub(crate) modified: i64,
    /// When anything of it was changed; nanoseconds since 1970, and nobody can set it back.
    pub(crate) changed: i64,
    pub(crate) links: u32,
    pub(crate) kind: FileType,
}

impl Stat {
    pub(crate) fn of_path(path: &Path) -> io::Result<Self> {
        // A network file system is asked anew, as opening would ask it.
        Ok(Self::new(&rustix::fs::statx(CWD, path, AtFlags::STATX_FORCE_SYNC, Self::mask())?))
    }

    pub(crate) fn of_file(file: impl AsFd) -> io::Result<Self> {
        Ok(Self::new(&rustix::fs::statx(file, c"", AtFlags::EMPTY_PATH, Self::mask())?))
    }

    pub(crate) fn is_file(&self) -> bool {
        self.kind == FileType::RegularFile
    }

    fn mask() -> StatxFlags {
        StatxFlags::BASIC_STATS | StatxFlags::BTIME
    }

    fn new(raw: &Statx) -> Self {
        let nanos = |sec: i64, nsec: u32| sec.saturating_mul(1_000_000_000).saturating_add(i64::from(nsec));
        let has_birth = raw.stx_mask & StatxFlags::BTIME.bits() != 0;
        Self {
            dev: (u64::from(raw.stx_dev_major) << 32) | u64::from(raw.stx_dev_minor),
            ino: raw.stx_ino,
            birth: if has_birth { nanos(raw.stx_btime.tv_sec, raw.stx_btime.tv_nsec) } else { 0 },
            size: raw.stx_size,
            modified: nanos(raw.stx_mtime.tv_sec, raw.stx_mtime.tv_nsec),
            changed: nanos(raw.stx_ctime.tv_sec, raw.stx_ctime.tv_nsec),
            links: raw.stx_nlink,
            kind: FileType::from_raw_mode(u32::from(raw.stx_mode)),
        }
    }
}

/// The part of a beginning that identifies a file without birth time: its first line, at most [`BEGINNING`] bytes,
/// so that a file that has grown since still gives the same.
pub(crate) fn first_line(beginning: &[u8]) -> &[u8] {
    let beginning = &beginning[..beginning.len().min(BEGINNING)];
    memchr::memchr(b'\n', beginning).map_or(beginning, |end| &beginning[..=end])
}

/// Generation of a file seen from its creation on. `beginning` matters only when `birth` is 0.
pub(crate) fn generation(host: &str, ino: u64, birth: i64, beginning: &[u8]) -> Generation {
    let mut hasher = start(host, ino, birth);
    if birth == 0 {
        hasher.update(first_line(beginning));
    }
    finish(&hasher)
}

/// Generation of a file after its `truncations`-th truncation (from 1), which now begins with `beginning`.
pub(crate) fn generation_after_truncation(
    host: &str,
    ino: u64,
    birth: i64,
    truncations: u32,
    beginning: &[u8],
) -> Generation {
    let mut hasher = start(host, ino, birth);
    hasher.update(b"truncated").update(&truncations.to_le_bytes()).update(first_line(beginning));
    finish(&hasher)
}

fn start(host: &str, ino: u64, birth: i64) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"logmill generation 1");
    hasher.update(&(host.len() as u64).to_le_bytes()).update(host.as_bytes());
    hasher.update(&ino.to_le_bytes()).update(&birth.to_le_bytes());
    hasher
}

fn finish(hasher: &blake3::Hasher) -> Generation {
    let mut id = [0; 16];
    id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    Generation(id)
}

/// 64 bits over some bytes, to recognise them again.
pub(crate) fn fingerprint(bytes: &[u8]) -> u64 {
    let hash = blake3::hash(bytes);
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_le_bytes(first)
}

/// The host id kept in the state directory; at the first start the machine id, or a random one where there is none.
pub(crate) fn host_id(disk: &dyn Disk, state_dir: &Path) -> io::Result<String> {
    let path = state_dir.join("host-id");
    if disk.exists(&path) {
        let file = disk.open(&path, false)?;
        let mut text = vec![0; usize::try_from(file.len()?.min(128)).unwrap_or(128)];
        file.read_exact_at(&mut text, 0)?;
        let text = String::from_utf8_lossy(&text).trim().to_owned();
        if !text.is_empty() {
            return Ok(text);
        }
    }
    let id = machine_id().map_or_else(random_id, Ok)?;
    let file = disk.open(&path, true)?;
    file.write_all_at(format!("{id}\n").as_bytes(), 0)?;
    file.sync_data("host id")?;
    disk.sync_dir(state_dir, "state directory")?;
    Ok(id)
}

fn machine_id() -> Option<String> {
    ["/etc/machine-id", "/var/lib/dbus/machine-id"].iter().find_map(|path| {
        let text = fs::read_to_string(path).ok()?;
        let id = text.trim();
        (id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())).then(|| id.to_owned())
    })
}

fn random_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/uuid")?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn a_generation_depends_on_host_inode_and_birth_only_when_there_is_a_birth() {
        let one = generation("h", 1, 5, b"x");
        assert_eq!(one, generation("h", 1, 5, b"y"));
        assert_ne!(one, generation("i", 1, 5, b"x"));
        assert_ne!(one, generation("h", 2, 5, b"x"));
        assert_ne!(one, generation("h", 1, 6, b"x"));
    }

    #[test]
    fn without_birth_the_first_line_counts_and_growth_does_not_change_it() {
        let one = generation("h", 1, 0, b"first\n");
        assert_eq!(one, generation("h", 1, 0, b"first\nsecond\n"));
        assert_ne!(one, generation("h", 1, 0, b"other\nsecond\n"));
    }

    #[test]
    fn truncations_with_equal_beginnings_differ() {
        let one = generation_after_truncation("h", 1, 5, 1, b"a\n");
        assert_ne!(one, generation_after_truncation("h", 1, 5, 2, b"a\n"));
        assert_ne!(one, generation_after_truncation("h", 1, 5, 1, b"b\n"));
    }

    #[test]
    fn statx_gives_the_same_for_name_and_descriptor() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let by_path = Stat::of_path(file.path()).unwrap();
        assert_eq!(by_path, Stat::of_file(file.as_file()).unwrap());
        assert!(by_path.is_file());
        assert!(!Stat::of_path(Path::new("/")).unwrap().is_file());
    }
}
