//! What a reference file says of each key: the comment behind it, or the lines above it, and the value that it shows. A key
//! that stands there as a comment counts as well, since what is a key and what is prose shows from what the loader asks for.
//!
//! A comment's part `default: …` is the default in words, `no default` says nothing more; both end at a `;` or a full stop.

use super::Key;
use crate::{
    problem::Findings,
    tree::{self, Kind, Node},
};

#[derive(Debug, PartialEq)]
struct Note {
    path: String,
    /// `None` for sections and lists.
    shown: Option<String>,
    comment: String,
}

/// Puts what `reference` says to the keys, and brings them in its order.
pub(super) fn put(keys: &mut [Key], reference: &str) {
    let known: Vec<String> = keys.iter().map(|key| key.path.clone()).collect();
    let notes = notes(reference, &|path| known.iter().any(|k| k == path));
    let place = |path: &str| notes.iter().position(|note| note.path == path).unwrap_or(notes.len());
    for key in keys.iter_mut() {
        let own = |note: &&Note| note.path == key.path;
        let commented = |note: &&Note| !note.comment.is_empty();
        // `tls.ca_file` is in several places, and means the same in each.
        let akin = |note: &&Note| last_two(&key.path).is_some_and(|two| last_two(&note.path) == Some(two));
        let note = notes.iter().filter(own).find(commented).or_else(|| notes.iter().filter(akin).find(commented));
        if let Some(note) = note {
            (key.about, key.default_in_words) = without_default(&note.comment);
        }
        key.shown = notes.iter().find(own).and_then(|note| note.shown.clone());
    }
    keys.sort_by_cached_key(|key| place(key.path.trim_end_matches("[]")));
}

fn last_two(path: &str) -> Option<(&str, &str)> {
    let (section, name) = path.rsplit_once('.')?;
    Some((section.rsplit_once('.').map_or(section, |(_, section)| section), name))
}

/// An open section or list item: the column of its keys' owner, and its path.
type Open = (usize, String);

fn notes(text: &str, known: &dyn Fn(&str) -> bool) -> Vec<Note> {
    let mut notes = Vec::new();
    let (mut open, mut above): (Vec<Open>, Vec<&str>) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let Some(line) = Line::of(line) else {
            above.clear();
            continue;
        };
        match line.place(&open) {
            Some((path, now_open)) if !line.commented || known(path.trim_end_matches("[]")) || known(&path) => {
                let (value, behind) = cut_comment(line.value());
                let comment = match behind {
                    "" if !line.item => above.join(" "),
                    comment => comment.to_owned(),
                };
                note(&path, value, comment, &mut notes);
                open = now_open;
                above.clear();
            }
            _ if line.commented => above.push(line.body),
            _ => above.clear(),
        }
    }
    notes.retain(|note| known(&note.path));
    notes
}

/// A line of the file without its `#`, if that is what it begins with.
struct Line<'a> {
    commented: bool,
    /// Of what stands behind `- `, if that is there.
    column: usize,
    item: bool,
    body: &'a str,
}

impl<'a> Line<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let body = line.trim_start();
        let (commented, mut column) = (body.starts_with('#'), line.len() - body.len());
        let mut body = body;
        if let Some(rest) = body.strip_prefix('#') {
            let rest = rest.strip_prefix(' ').unwrap_or(rest);
            body = rest.trim_start();
            column += rest.len() - body.len();
        }
        let item = body.starts_with("- ");
        if item {
            body = body.split_at(2).1;
            column += 2;
        }
        (!body.is_empty()).then_some(Self { commented, column, item, body })
    }

    /// `key` of `key: value`.
    fn key(&self) -> Option<&'a str> {
        let (key, rest) = self.body.split_once(':')?;
        let is_key = !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        (is_key && (rest.is_empty() || rest.starts_with(' '))).then_some(key)
    }

    fn value(&self) -> &'a str {
        match self.key() {
            Some(key) => self.body.get(key.len() + 1..).unwrap_or_default().trim(),
            None => self.body,
        }
    }

    /// The path of what stands here, and what is open behind it.
    fn place(&self, open: &[Open]) -> Option<(String, Vec<Open>)> {
        let column = if self.item { self.column - 2 } else { self.column };
        let mut open: Vec<Open> = open.iter().filter(|(at, _)| *at < column).cloned().collect();
        if self.item {
            let list = open.last().map_or("", |(_, path)| path);
            open.push((column, format!("{list}[]")));
        }
        let above = open.last().map_or("", |(_, path)| path).to_owned();
        let Some(key) = self.key() else {
            return (self.item && self.body.starts_with('{')).then_some((above, open));
        };
        let path = if above.is_empty() { key.to_owned() } else { format!("{above}.{key}") };
        open.push((self.column, path.clone()));
        Some((path, open))
    }
}

/// The note of `path`, and of what stands inside its value.
fn note(path: &str, value: &str, comment: String, notes: &mut Vec<Note>) {
    let node = tree::parse(&format!("value: {value}"), &|_| None, &Findings::default());
    let node = node.and_then(|node| match node.kind {
        Kind::Map(entries) => entries.into_iter().next().map(|entry| entry.value),
        _ => None,
    });
    let shown = match &node {
        Some(Node { kind: Kind::Scalar { text, .. }, .. }) => Some(text.clone()),
        Some(Node { kind: Kind::List(items), .. }) => {
            let texts: Vec<_> = items.iter().filter_map(text_of).collect();
            (texts.len() == items.len()).then(|| format!("[{}]", texts.join(", ")))
        }
        _ => None,
    };
    notes.push(Note { path: path.to_owned(), shown, comment });
    if let Some(node) = node {
        inside(path, &node, notes);
    }
}

fn inside(path: &str, node: &Node, notes: &mut Vec<Note>) {
    match &node.kind {
        Kind::Map(entries) => {
            for entry in entries {
                let path = format!("{path}.{}", entry.key);
                notes.push(Note {
                    path: path.clone(),
                    shown: text_of(&entry.value).map(str::to_owned),
                    comment: String::new(),
                });
                inside(&path, &entry.value, notes);
            }
        }
        Kind::List(items) => items.iter().for_each(|item| inside(&format!("{path}[]"), item, notes)),
        _ => {}
    }
}

fn text_of(node: &Node) -> Option<&str> {
    if let Kind::Scalar { text, .. } = &node.kind { Some(text) } else { None }
}

/// What stands before a comment, and the comment.
fn cut_comment(value: &str) -> (&str, &str) {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in value.char_indices() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            (None, '#') if before == ' ' => {
                let (value, comment) = value.split_at(at);
                return (value.trim(), comment.trim_start_matches('#').trim());
            }
            _ => {}
        }
        before = c;
    }
    (value, "")
}

/// The comment without what it says of the default, and that.
fn without_default(comment: &str) -> (String, Option<String>) {
    let (mut about, mut default) = (String::new(), None);
    for part in comment.split_inclusive("; ").flat_map(|part| part.split_inclusive(". ")) {
        let bare = part.trim_end_matches(['.', ';', ' ']);
        let lower = bare.to_lowercase();
        if lower == "no default" {
            continue;
        }
        if lower.starts_with("default: ") {
            default = bare.split_once(": ").map(|(_, words)| words.to_owned());
            continue;
        }
        about.push_str(part);
    }
    (about.trim_end_matches(['.', ';', ':', ' ']).to_owned(), default)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(text: &str) -> Vec<(String, Option<String>, String)> {
        let known = ["a", "b", "b.c", "b.d", "l", "l[].x", "l[].y", "l[].y.z"];
        let notes = notes(text, &|path| known.contains(&path));
        notes.into_iter().map(|n| (n.path, n.shown, n.comment)).collect()
    }

    #[test]
    fn comments_stand_behind_or_above_and_keys_may_be_comments() {
        let text = "\
# The file's head.

# Above a: which is
# prose. fsync: too
a: '5 # no' # behind
# Of b.
# b:
#   c: [x, y] # of c
#   d: \"1\"
l:
  # not of x
  - x: 1
    # y: { z: 2 } # of y
# - { x: 3 }
";
        let shown = |text: &str| Some(text.to_owned());
        let expected = [
            ("a", shown("5 # no"), "behind"),
            ("b", None, "Of b."),
            ("b.c", shown("[x, y]"), "of c"),
            ("b.d", shown("1"), ""),
            ("l", None, ""),
            ("l[].x", shown("1"), ""),
            ("l[].y", None, "of y"),
            ("l[].y.z", shown("2"), ""),
        ];
        let found = noted(text);
        for (found, (path, shown, comment)) in found.iter().zip(expected) {
            assert_eq!(*found, (path.to_owned(), shown, comment.to_owned()));
        }
        assert!(found.len() >= 8, "{found:?}");
    }

    #[test]
    fn a_default_in_words_is_taken_out() {
        let cut = |comment| without_default(comment);
        let words = |words: &str| Some(words.to_owned());
        assert_eq!(cut("no default; names, or \"^regex\""), ("names, or \"^regex\"".into(), None));
        assert_eq!(cut("the group; default: the sink's name"), ("the group".into(), words("the sink's name")));
        assert_eq!(cut("Of all. Default: NAME.dead. More."), ("Of all. More".into(), words("NAME.dead")));
        assert_eq!(cut("default with key: index"), ("default with key: index".into(), None));
    }
}
