//! What `--version` says: the release, and from what and how the binary was built.

/// `0.1.0 (COMMIT, PROFILE, TARGET)`; the commit only where it was known when building (see build.rs).
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("LOGMILL_BUILD"), ")");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_profile_and_target() {
        let profile = if cfg!(debug_assertions) { "debug, " } else { "release, " };
        assert!(VERSION.starts_with(concat!(env!("CARGO_PKG_VERSION"), " (")), "{VERSION}");
        assert!(VERSION.contains(profile) && VERSION.ends_with("-linux-gnu)"), "{VERSION}");
    }
}
