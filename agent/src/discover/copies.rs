//! Whose copy a file can be by its name, and how much of both must be equal to believe it.
//!
//! Files of several instances often begin with the same banner. To take one for the copy of another would lose its
//! lines, to read a copy from its beginning only gives lines twice: so the names must fit too.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
};

/// Bytes of the original that must have been read, where the name is what rotation makes or says "old".
const SURE_NAME: u64 = 256;
/// The same, for names that an independent file could have as well: more than a banner.
const OTHER_NAME: u64 = 2048;
/// What people append to the name of a file that they put aside.
const PUT_ASIDE: [&str; 6] = ["bak", "backup", "copy", "old", "orig", "prev"];

/// The names that a file's original can have, with the bytes of it that must have been read.
pub(crate) fn originals(copy: &OsStr) -> impl Iterator<Item = (OsString, u64)> + '_ {
    let bytes = copy.as_bytes();
    let name = |part: &[u8]| OsStr::from_bytes(part).to_owned();
    let cuts = (1..bytes.len()).filter(|at| b".-_".contains(&bytes[*at]));
    // app.log.1, app.log-20260501, app.log.old
    let appended = cuts.map(move |at| {
        let (original, rest) = (name(&bytes[..at]), &bytes[at + 1..]);
        let sure = super::is_rotated_name(copy, &original) || PUT_ASIDE.iter().any(|word| word.as_bytes() == rest);
        (original, if sure { SURE_NAME } else { OTHER_NAME })
    });
    // app-20260501.log, app.1.log
    let ending = bytes.iter().rposition(|b| *b == b'.').filter(|at| *at > 0);
    let inserted = ending.into_iter().flat_map(move |end| {
        let (stem, ending) = bytes.split_at(end);
        let originals = super::before_rotation(OsStr::from_bytes(stem));
        originals.map(move |original| (name(&[original.as_bytes(), ending].concat()), OTHER_NAME))
    });
    appended.chain(inserted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_copies() {
        let least =
            |copy: &str, original: &str| originals(copy.as_ref()).find(|(name, _)| name == original).map(|(_, n)| n);
        for copy in ["app.log.1", "app.log-20260501", "app.log.old", "app.log-2026-05-01", "app.log_bak"] {
            assert_eq!(Some(SURE_NAME), least(copy, "app.log"), "{copy}");
        }
        for copy in ["app-20260501.log", "app.1.log", "app.log.saved"] {
            assert_eq!(Some(OTHER_NAME), least(copy, "app.log"), "{copy}");
        }
        for copy in ["app.log", "other.log", "app", "app-error.log", "1.log", ".log", ""] {
            assert_eq!(None, least(copy, "app.log"), "{copy}");
        }
    }
}
