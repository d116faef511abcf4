//! Globs of one input: which paths match, and from which directories on to look.

use std::{
    ffi::OsStr,
    io,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use logmill_config::agent::Input;

use crate::AgentError;

/// Deepest directory below a base when a glob has `**`.
const MAX_DEPTH: usize = 32;

#[derive(Debug)]
pub(crate) struct Patterns {
    include: GlobSet,
    exclude: GlobSet,
    pub(crate) bases: Vec<Base>,
}

/// A directory to walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base {
    pub(crate) dir: PathBuf,
    /// Levels of directories below it: 0 for its own files alone.
    pub(crate) depth: usize,
}

impl Patterns {
    pub(crate) fn new(input: &Input) -> Result<Self, AgentError> {
        let cwd = |glob: &str| {
            std::env::current_dir().map_err(|source: io::Error| AgentError::WorkingDirectory {
                input: input.name.clone(),
                glob: glob.to_owned(),
                source,
            })
        };
        let (mut include, mut exclude) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        let mut bases = Vec::new();
        let build = |text: &str| {
            let glob = GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build();
            glob.map_err(|source| AgentError::Glob { input: input.name.clone(), glob: text.to_owned(), source })
        };
        for glob in &input.include {
            let absolute = if glob.starts_with('/') { normal(Path::new(glob)) } else { normal(&cwd(glob)?.join(glob)) };
            let text = absolute.to_string_lossy().into_owned();
            include.add(build(&text)?);
            bases.push(base(&absolute));
        }
        for glob in &input.exclude {
            let anchored = glob.starts_with('/') || glob.starts_with("**");
            let text =
                if anchored { glob.clone() } else { normal(&cwd(glob)?.join(glob)).to_string_lossy().into_owned() };
            exclude.add(build(&text)?);
        }
        let set = |builder: GlobSetBuilder| {
            builder.build().map_err(|source| AgentError::Glob {
                input: input.name.clone(),
                glob: input.include.join(", "),
                source,
            })
        };
        Ok(Self { include: set(include)?, exclude: set(exclude)?, bases })
    }

    pub(crate) fn matches(&self, path: &Path) -> bool {
        self.include.is_match(path) && !self.exclude.is_match(path)
    }
}

/// Without `.` and with `..` taken back, by name alone.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(out.pop()),
            part => out.push(part),
        }
    }
    out
}

fn base(glob: &Path) -> Base {
    let is_literal = |part: &Component| !part.as_os_str().to_string_lossy().contains(['*', '?', '[', '{', '\\']);
    let parts: Vec<_> = glob.components().collect();
    let literal = parts.iter().take_while(|p| is_literal(p)).count().min(parts.len().saturating_sub(1));
    let deep = parts[literal..].iter().any(|p| p.as_os_str().to_string_lossy().contains("**"));
    // A brace may hold separators: then the depth is not known.
    let braces = parts[literal..].iter().any(|p| p.as_os_str().to_string_lossy().contains(['{', '}']));
    let depth = if deep || braces { MAX_DEPTH } else { parts.len() - literal - 1 };
    Base { dir: parts[..literal].iter().collect(), depth }
}

/// The names that rotation can have made `name` of.
pub(crate) fn before_rotation(name: &OsStr) -> impl Iterator<Item = &OsStr> {
    let cuts = (1..name.len()).filter(|at| b".-_".contains(&name.as_bytes()[*at]));
    cuts.map(|at| OsStr::from_bytes(&name.as_bytes()[..at])).filter(|original| is_rotated_name(name, original))
}

/// Whether `name` is what rotation makes of `original`: digits and dates after it, not compressed.
pub(crate) fn is_rotated_name(name: &OsStr, original: &OsStr) -> bool {
    name.as_bytes().strip_prefix(original.as_bytes()).is_some_and(|rest| {
        matches!(rest, [b'.' | b'-' | b'_', b'0'..=b'9', ..])
            && rest.iter().all(|b| b.is_ascii_digit() || b"-._:T".contains(b))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases_and_depths() {
        let of = |glob: &str| {
            let base = base(Path::new(glob));
            (base.dir.to_string_lossy().into_owned(), base.depth)
        };
        assert_eq!(("/var/log".into(), 0), of("/var/log/*.log"));
        assert_eq!(("/var/log".into(), MAX_DEPTH), of("/var/log/**/*.log"));
        assert_eq!(("/var/log".into(), 0), of("/var/log/syslog"));
        assert_eq!(("/srv".into(), 2), of("/srv/*/logs/*.log"));
    }

    #[test]
    fn rotated_names() {
        let is_rotated_name = |name: &str, original: &str| is_rotated_name(name.as_ref(), original.as_ref());
        let before_rotation = |name: &'static str| before_rotation(OsStr::new(name));
        for name in ["app.log.1", "app.log-20260501", "app.log.2026-05-01T10:00:00", "app.log.12"] {
            assert!(is_rotated_name(name, "app.log"), "{name}");
        }
        for name in ["app.log", "app.log.gz", "app.log.1.gz", "app.log.bak", "app.logs", "other.log.1"] {
            assert!(!is_rotated_name(name, "app.log"), "{name}");
        }
        assert_eq!(["app.log"], *before_rotation("app.log.1").collect::<Vec<_>>());
        assert_eq!(["app.log", "app.log-2026"], *before_rotation("app.log-2026.1").collect::<Vec<_>>());
        assert_eq!(0, before_rotation("app.log").count() + before_rotation("").count() + before_rotation(".1").count());
    }

    #[test]
    fn names_are_made_absolute_and_plain() {
        assert_eq!(Path::new("/a/c/*.log"), normal(Path::new("/a/./b/../c/*.log")));
    }
}
