//! What the configuration files may say, told by the loader itself: it reads a file in which every key stands and no value can
//! be read ([`crate::tree::Kind::Any`]), and what it asks for is written down. What a key is for is the comment at that key
//! in the reference file.

mod facts;
mod notes;
mod page;
mod schema;

#[cfg(test)]
mod tests;

pub use page::page;
pub use schema::schema;

pub(crate) use facts::{Fact, Wanted};

use crate::{
    ConfigFile,
    agent::AgentConfig,
    broker::BrokerConfig,
    index::IndexConfig,
    kind::Kind,
    problem::{Findings, Mark},
    section::Section,
    sinks::SinksConfig,
    tree::{self, Node},
};

/// A file's keys, in the order of the reference file.
#[derive(Debug)]
struct Description {
    kind: Kind,
    keys: Vec<Key>,
}

/// A key, or with a path that ends in `[]` what the items of a list are.
#[derive(Debug, Default)]
struct Key {
    /// `inputs[].limits[].per`
    path: String,
    /// Any of these.
    wanted: Vec<Wanted>,
    /// Holds the user's own keys.
    own_keys: bool,
    needed: bool,
    /// As a file would say it.
    default: Option<String>,
    /// In words, where it depends on something.
    default_in_words: Option<String>,
    about: String,
    /// What the reference file shows.
    shown: Option<String>,
}

impl Key {
    fn is_item(&self) -> bool {
        self.path.ends_with("[]")
    }

    /// Where it stands: `""` at the top, else a section or the items of a list of sections.
    fn section(&self) -> &str {
        self.path.rsplit_once('.').map_or("", |(section, _)| section)
    }

    fn name(&self) -> &str {
        self.path.rsplit_once('.').map_or(&self.path, |(_, name)| name)
    }
}

impl Description {
    fn of(kind: Kind) -> Self {
        let (facts, reference) = match kind {
            Kind::Agent => asked_for::<AgentConfig>(),
            Kind::Broker => asked_for::<BrokerConfig>(),
            Kind::Sinks => asked_for::<SinksConfig>(),
            Kind::Index => asked_for::<IndexConfig>(),
        };
        let mut keys = facts::keys(facts);
        notes::put(&mut keys, reference);
        Self { kind, keys }
    }

    fn key(&self, path: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.path == path)
    }

    /// The keys of a section, but for the items of its lists.
    fn keys_of(&self, section: &str) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(move |key| !key.is_item() && key.section() == section)
    }
}

fn asked_for<T: ConfigFile>() -> (Vec<(String, Fact)>, &'static str) {
    let findings = Findings::default();
    let any = Node { mark: Mark::default(), kind: tree::Kind::Any };
    let mut root = Section::root(&any, &findings);
    T::build(&mut root);
    root.finish();
    (findings.into_facts(), T::REFERENCE)
}
