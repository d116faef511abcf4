//! From a path or a text to a checked value: read, parse, walk, and give all mistakes at once.

use std::{fs::File, io::Read, path::Path};

use crate::{
    problem::{Errors, Findings, Problem},
    section::Section,
    tree,
};

/// Larger files are refused.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// A configuration and what is odd but allowed about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked<T> {
    pub config: T,
    pub warnings: Vec<Problem>,
}

/// A configuration that a whole file holds.
pub trait ConfigFile: Sized {
    /// The reference file that users copy and `logmill up` runs on.
    const REFERENCE: &'static str;

    #[doc(hidden)]
    fn build(root: &mut Section) -> Self;

    /// Loads and checks a file.
    fn load(path: &Path) -> Result<Self, Errors> {
        Self::parse(&path.display().to_string(), &read(path)?)
    }

    /// As [`ConfigFile::load`], with the mistakes that `verify` finds in what was loaded.
    fn load_verified(path: &Path, verify: impl Fn(&Self) -> Vec<Problem>) -> Result<Self, Errors> {
        let config = Self::load(path)?;
        let problems = verify(&config);
        if problems.is_empty() { Ok(config) } else { Err(Errors { file: path.display().to_string(), problems }) }
    }

    /// Checks a text; `name` stands for it in errors.
    fn parse(name: &str, text: &str) -> Result<Self, Errors> {
        Self::parse_with(name, text, &process_env)
    }

    /// As [`ConfigFile::parse`], with `env` answering for `${VAR}`.
    fn parse_with(name: &str, text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, Errors> {
        Self::check(name, text, env).map(|checked| checked.config)
    }

    /// As [`ConfigFile::parse_with`], with what is odd but allowed.
    fn check(name: &str, text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Checked<Self>, Errors> {
        parse(name, text, env)
    }
}

/// The text of a configuration file.
pub(crate) fn read(path: &Path) -> Result<String, Errors> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|e| Errors::whole(&name, format!("cannot open: {}", plain(&e))))?;
    let mut bytes = Vec::new();
    let mut bounded = file.take(MAX_FILE_BYTES + 1);
    bounded.read_to_end(&mut bytes).map_err(|e| Errors::whole(&name, format!("cannot read: {}", plain(&e))))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(Errors::whole(&name, "larger than 1MiB, which no configuration file is".into()));
    }
    String::from_utf8(bytes).map_err(|e| {
        let before = e.as_bytes().get(..e.utf8_error().valid_up_to()).unwrap_or_default();
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        Errors::whole(&name, format!("line {line} is not valid UTF-8"))
    })
}

/// Parses `text` and builds what it says; `env` answers for `${VAR}`.
fn parse<T: ConfigFile>(name: &str, text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Checked<T>, Errors> {
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(Errors::whole(name, "larger than 1MiB, which no configuration file is".into()));
    }
    let findings = Findings::default();
    let config = tree::parse(text.trim_start_matches('\u{feff}'), env, &findings).map(|root| {
        let mut section = Section::root(&root, &findings);
        let config = T::build(&mut section);
        section.finish();
        config
    });
    let (problems, warnings) = findings.into_sorted();
    match config {
        Some(config) if problems.is_empty() => Ok(Checked { config, warnings }),
        _ => Err(Errors { file: name.to_owned(), problems }),
    }
}

/// The process's environment; a variable that is not UTF-8 counts as not set.
pub(crate) fn process_env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The operating system's words without its error number.
fn plain(e: &std::io::Error) -> String {
    let text = e.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}
