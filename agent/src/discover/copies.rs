//! Whose copy a file can be by its name, and how much of both must be equal to believe it.
//!
//! Files of several instances often begin with the same banner. To take one for the copy of another would lose its
//! lines, to read a copy from its beginning only gives lines twice: so the names must fit too.

/// Bytes of the original that must have been read, where the name is what rotation makes or says "old".
const SURE_NAME: u64 = 256;
/// The same, for names that an independent file could have as well: more than a banner.
const OTHER_NAME: u64 = 2048;
/// What people append to the name of a file that they put aside.
const PUT_ASIDE: [&str; 6] = ["bak", "backup", "copy", "old", "orig", "prev"];

/// The names that a file's original can have, with the bytes of it that must have been read.
pub(crate) fn originals(copy: &str) -> impl Iterator<Item = (String, u64)> + '_ {
    let cuts = copy.char_indices().filter(|(at, c)| *at > 0 && ".-_".contains(*c)).map(|(at, _)| at);
    // app.log.1, app.log-20260501, app.log.old
    let appended = cuts.clone().map(|at| {
        let (original, rest) = (&copy[..at], &copy[at + 1..]);
        let sure = super::is_rotated_name(copy, original) || PUT_ASIDE.contains(&rest);
        (original.to_owned(), if sure { SURE_NAME } else { OTHER_NAME })
    });
    // app-20260501.log, app.1.log
    let ending = copy.rfind('.').filter(|at| *at > 0);
    let inserted = ending.into_iter().flat_map(move |end| {
        let (stem, ending) = copy.split_at(end);
        cuts.clone().filter(move |at| *at < end && super::is_rotated_name(stem, &stem[..*at])).map(move |at| {
            let original = format!("{}{ending}", &stem[..at]);
            (original, OTHER_NAME)
        })
    });
    appended.chain(inserted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_copies() {
        let least = |copy: &str, original: &str| originals(copy).find(|(name, _)| name == original).map(|(_, n)| n);
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
