//! What differs between two texts of one configuration file: key paths, never values, since these may be secrets.

use std::path::Path;

use crate::{
    file,
    problem::{Errors, Findings},
    tree::{self, Entry, Kind, Node},
};

/// What a file said at one time.
#[derive(Debug)]
pub struct Snapshot(Option<Node>);

impl Snapshot {
    /// # Errors
    /// The file cannot be read. What is wrong in it is for `load` to say.
    pub fn read(path: &Path) -> Result<Self, Errors> {
        Ok(Self::of(&file::read(path)?, &file::process_env))
    }

    pub(crate) fn of(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Self {
        Self(tree::parse(text.trim_start_matches('\u{feff}'), env, &Findings::default()))
    }

    /// The highest keys that are different, there only before, or there only now: `inputs.app.limits`. An item of a
    /// list goes by its `name` where all of them have one; other lists differ as a whole.
    pub fn changed_keys(&self, newer: &Self) -> Vec<String> {
        let mut keys = Vec::new();
        differing(self.0.as_ref(), newer.0.as_ref(), "", &mut keys);
        keys
    }
}

fn differing(old: Option<&Node>, new: Option<&Node>, path: &str, keys: &mut Vec<String>) {
    let (Some(old), Some(new)) = (old, new) else {
        if old.is_some() || new.is_some() {
            keys.push(path.to_owned());
        }
        return;
    };
    match (children(old), children(new)) {
        (Some(before), Some(now)) => {
            let added = now.iter().filter(|(name, _)| !before.iter().any(|(other, _)| other == name));
            for (name, _) in before.iter().chain(added) {
                let path = if path.is_empty() { (*name).to_owned() } else { format!("{path}.{name}") };
                differing(child(&before, name), child(&now, name), &path, keys);
            }
        }
        _ if same(old, new) => {}
        _ => keys.push(path.to_owned()),
    }
}

fn child<'a>(children: &[(&str, &'a Node)], name: &str) -> Option<&'a Node> {
    children.iter().find(|(other, _)| *other == name).map(|(_, node)| *node)
}

/// A section's entries, or a list's items by their names.
fn children(node: &Node) -> Option<Vec<(&str, &Node)>> {
    match &node.kind {
        Kind::Map(entries) => Some(entries.iter().map(|e| (e.key.as_str(), &e.value)).collect()),
        Kind::List(items) if !items.is_empty() => items.iter().map(|item| Some((name_of(item)?, item))).collect(),
        _ => None,
    }
}

fn name_of(item: &Node) -> Option<&str> {
    let Kind::Map(entries) = &item.kind else { return None };
    match &entries.iter().find(|e| e.key == "name")?.value.kind {
        Kind::Scalar { text, .. } => Some(text),
        _ => None,
    }
}

fn same(a: &Node, b: &Node) -> bool {
    let entry = |(a, b): (&Entry, &Entry)| a.key == b.key && same(&a.value, &b.value);
    match (&a.kind, &b.kind) {
        (Kind::Null, Kind::Null) => true,
        (Kind::Scalar { text: a, .. }, Kind::Scalar { text: b, .. }) => a == b,
        (Kind::List(a), Kind::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Kind::Map(a), Kind::Map(b)) => a.len() == b.len() && a.iter().zip(b).all(entry),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(old: &str, new: &str) -> Vec<String> {
        let env = |name: &str| (name == "PORT").then(|| "9092".to_owned());
        Snapshot::of(old, &env).changed_keys(&Snapshot::of(new, &env))
    }

    #[test]
    fn the_highest_key_that_differs() {
        let old = "kafka: { brokers: [a:1], compression: lz4 }\nmetrics: 127.0.0.1:9601\n";
        assert_eq!(changed(old, old), Vec::<String>::new());
        let new =
            "# the same in other words\nmetrics: '127.0.0.1:9601'\nkafka:\n  compression: lz4\n  brokers: [a:1]\n";
        assert_eq!(changed(old, new), Vec::<String>::new());
        assert_eq!(changed(old, &old.replace("a:1", "b:1")), ["kafka.brokers"]);
        assert_eq!(changed(old, "metrics: 127.0.0.1:9601\nbuffer_bytes: 1MiB\n"), ["kafka", "buffer_bytes"]);
    }

    #[test]
    fn items_go_by_name() {
        let old = "inputs:\n  - { name: a, topic: t }\n  - { name: b, topic: t, limits: [{ lines_per_second: 5 }] }\n";
        let new = "inputs:\n  - { name: b, topic: t, limits: [{ lines_per_second: 6 }] }\n  - { name: c, topic: t }\n";
        assert_eq!(changed(old, new), ["inputs.a", "inputs.b.limits", "inputs.c"]);
    }

    #[test]
    fn variables_are_put_in_first() {
        assert_eq!(changed("listen: \"h:${PORT}\"", "listen: h:9092"), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_yaml_differs_as_a_whole() {
        assert_eq!(changed("a: 1", "a: [1"), [""]);
        assert_eq!(changed("a: [1, 2]", "a: [2, 1]"), ["a"]);
        assert_eq!(changed("a: []", "a: [{ name: x }]"), ["a"]);
    }
}
