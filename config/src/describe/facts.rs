//! What the loader asked for, gathered by key.

use std::{any::Any, fmt::Debug, net::SocketAddr, path::PathBuf, time::Duration};

use super::Key;
use crate::units::{format_duration, format_size};

/// What is known of a key once the loader has asked for it in some way.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fact {
    Key,
    /// Reported when it is absent.
    Needed,
    /// What holds when it is absent: as a person writes it, where that needs nothing but the value; and by its `Debug`.
    Default {
        written: Option<String>,
        debug: String,
    },
    Wanted(Wanted),
    /// The keys below it are the user's own.
    OwnKeys,
}

/// What a value has to be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Wanted {
    /// Text, or more exactly what.
    Text(&'static str),
    Boolean,
    Number {
        least: String,
        most: String,
    },
    Size {
        least: u64,
        most: u64,
    },
    Duration {
        least: Duration,
        most: Duration,
    },
    /// Words with the `Debug` of what they stand for; `field:NAME` is a word in which NAME is the user's.
    OneOf(Vec<(String, String)>),
    List {
        at_least: usize,
    },
    Section,
}

impl Fact {
    pub(crate) fn default<T: Debug + 'static>(value: &T) -> Self {
        let any: &dyn Any = value;
        let list = |items: &Vec<String>| (!items.is_empty()).then(|| format!("[{}]", items.join(", ")));
        let written = any
            .downcast_ref::<Duration>()
            .map(|d| format_duration(*d))
            .or_else(|| any.downcast_ref::<String>().cloned())
            .or_else(|| any.downcast_ref::<Option<String>>().cloned().flatten())
            .or_else(|| any.downcast_ref::<PathBuf>().map(|path| path.display().to_string()))
            .or_else(|| any.downcast_ref::<SocketAddr>().map(SocketAddr::to_string))
            .or_else(|| any.downcast_ref::<Vec<String>>().and_then(list));
        Self::Default { written, debug: format!("{value:?}") }
    }
}

impl Wanted {
    pub(crate) fn one_of<T: Debug>(choices: &[(&str, T)]) -> Self {
        Self::OneOf(choices.iter().map(|(word, chosen)| ((*word).to_owned(), format!("{chosen:?}"))).collect())
    }

    /// The default as a file would say it.
    fn write(&self, written: Option<&String>, debug: &str) -> Option<String> {
        match self {
            Self::Boolean | Self::Number { .. } => Some(debug.to_owned()),
            Self::Size { .. } => debug.parse().ok().map(format_size),
            Self::OneOf(words) => words.iter().find(|(_, chosen)| chosen == debug).map(|(word, _)| word.clone()),
            Self::Text(_) | Self::Duration { .. } | Self::List { .. } => written.cloned(),
            Self::Section => None,
        }
    }
}

/// A key's default as a file would say it, where that is known, and as Rust does.
type Written = (Option<String>, String);

/// The keys in the order in which they were first asked for.
pub(super) fn keys(facts: Vec<(String, Fact)>) -> Vec<Key> {
    let mut keys: Vec<(Key, Option<Written>)> = Vec::new();
    for (path, fact) in facts {
        let at = keys.iter().position(|(key, _)| key.path == path).unwrap_or(keys.len());
        if at == keys.len() {
            keys.push((Key { path, ..Key::default() }, None));
        }
        let Some((key, default)) = keys.get_mut(at) else { continue };
        match fact {
            Fact::Key => {}
            Fact::Needed => key.needed = true,
            Fact::Default { written, debug } => *default = Some((written, debug)),
            Fact::OwnKeys => key.own_keys = true,
            Fact::Wanted(wanted) if key.wanted.contains(&wanted) => {}
            Fact::Wanted(Wanted::OneOf(more)) => match key.wanted.last_mut() {
                Some(Wanted::OneOf(words)) => words.extend(more),
                _ => key.wanted.push(Wanted::OneOf(more)),
            },
            Fact::Wanted(wanted) => key.wanted.push(wanted),
        }
    }
    let written = |(mut key, default): (Key, Option<Written>)| {
        key.default =
            default.and_then(|(written, debug)| key.wanted.iter().find_map(|w| w.write(written.as_ref(), &debug)));
        key
    };
    keys.into_iter().map(written).collect()
}
