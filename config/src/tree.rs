//! YAML text → a small tree whose every node knows its line and column.
//!
//! Built from parser events rather than from a ready-made document type, so that duplicate keys are seen, every
//! scalar keeps its own text, and nothing is bigger than the file: no aliases, bounded depth, one document.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use crate::{
    expand::expand,
    problem::{Findings, Mark},
};

/// Lists and sections inside one another at most.
const MAX_DEPTH: usize = 32;

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) mark: Mark,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    /// Nothing, `~` or `null`.
    Null,
    /// `plain`: written without quotes.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Already reported; whoever reads it stays silent.
    Bad,
    /// In no file: stands for all that could be there, to write down what is asked for ([`crate::describe`]).
    Any,
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) mark: Mark,
    pub(crate) value: Node,
}

/// An open list or section.
enum Frame {
    List { mark: Mark, items: Vec<Node> },
    Map { mark: Mark, entries: Vec<Entry>, seen: HashMap<String, usize>, key: Option<(String, Mark)> },
}

/// Parses one document. `None` when the text is not YAML, which has then been reported.
pub(crate) fn parse(text: &str, env: &dyn Fn(&str) -> Option<String>, findings: &Findings) -> Option<Node> {
    let mut builder = Builder { stack: Vec::new(), root: None, findings, env };
    let mut documents = 0;
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = match event {
            Ok(event) => event,
            Err(e) => {
                let at = mark(e.marker());
                let variable = text.lines().nth(at.line - 1).is_some_and(|line| line.contains("${"));
                let hint = if variable { ", quote a value with ${…} inside {} or []" } else { "" };
                findings.error(at, "", format!("not valid YAML: {}{hint}", e.info()));
                return None;
            }
        };
        let at = mark(&span.start);
        match event {
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    findings.error(at, "", "a second YAML document, expected one per file");
                    return None;
                }
            }
            Event::Scalar(text, style, _, _) => builder.scalar(&text, style == ScalarStyle::Plain, at)?,
            Event::SequenceStart(..) => builder.open(Frame::List { mark: at, items: Vec::new() }, at)?,
            Event::MappingStart(..) => {
                let frame = Frame::Map { mark: at, entries: Vec::new(), seen: HashMap::new(), key: None };
                builder.open(frame, at)?;
            }
            Event::SequenceEnd | Event::MappingEnd => builder.close()?,
            Event::Alias(_) => {
                builder.refuse_as_key(at)?;
                findings.error(at, &builder.here(), "aliases (*name) are not supported, write the value out");
                builder.place(Node { mark: at, kind: Kind::Bad });
            }
            Event::StreamEnd => break,
            Event::Nothing | Event::StreamStart | Event::DocumentEnd => {}
        }
    }
    Some(builder.root.unwrap_or(Node { mark: Mark { line: 1, column: 1 }, kind: Kind::Null }))
}

struct Builder<'a> {
    stack: Vec<Frame>,
    root: Option<Node>,
    findings: &'a Findings,
    env: &'a dyn Fn(&str) -> Option<String>,
}

impl Builder<'_> {
    fn scalar(&mut self, text: &str, plain: bool, at: Mark) -> Option<()> {
        let mut duplicate = None;
        if let Some(Frame::Map { seen, key: key @ None, .. }) = self.stack.last_mut() {
            if let Some(first) = seen.get(text) {
                let message = format!("duplicate key, first given on line {first}");
                duplicate = Some(message);
            } else {
                seen.insert(text.to_owned(), at.line);
            }
            *key = Some((text.to_owned(), at));
            if let Some(message) = duplicate {
                self.findings.error(at, &self.here(), message);
            }
            return Some(());
        }
        let kind = if plain && matches!(text, "" | "~" | "null" | "Null" | "NULL") {
            Kind::Null
        } else {
            match expand(text, self.env) {
                Ok(text) => Kind::Scalar { text: text.into_owned(), plain },
                Err(message) => {
                    self.findings.error(at, &self.here(), message);
                    Kind::Bad
                }
            }
        };
        self.place(Node { mark: at, kind });
        Some(())
    }

    fn open(&mut self, frame: Frame, at: Mark) -> Option<()> {
        self.refuse_as_key(at)?;
        if self.stack.len() >= MAX_DEPTH {
            self.findings.error(at, "", format!("nested deeper than {MAX_DEPTH} levels"));
            return None;
        }
        self.stack.push(frame);
        Some(())
    }

    fn close(&mut self) -> Option<()> {
        let node = match self.stack.pop()? {
            Frame::List { mark, items } => Node { mark, kind: Kind::List(items) },
            Frame::Map { mark, entries, .. } => Node { mark, kind: Kind::Map(entries) },
        };
        self.place(node);
        Some(())
    }

    /// The key path of what comes next.
    fn here(&self) -> String {
        let mut path = String::new();
        for frame in &self.stack {
            match frame {
                Frame::List { items, .. } => path.push_str(&format!("[{}]", items.len())),
                Frame::Map { key: Some((key, _)), .. } if path.is_empty() => path.push_str(key),
                Frame::Map { key: Some((key, _)), .. } => path.push_str(&format!(".{key}")),
                Frame::Map { .. } => {}
            }
        }
        path
    }

    /// A list, section or alias where a key belongs.
    fn refuse_as_key(&self, at: Mark) -> Option<()> {
        if let Some(Frame::Map { key: None, .. }) = self.stack.last() {
            self.findings.error(at, "", "a key must be plain text");
            return None;
        }
        Some(())
    }

    fn place(&mut self, node: Node) {
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some(Frame::List { items, .. }) => items.push(node),
            Some(Frame::Map { entries, key, .. }) => {
                if let Some((key, mark)) = key.take() {
                    entries.push(Entry { key, mark, value: node });
                }
            }
        }
    }
}

fn mark(marker: &Marker) -> Mark {
    Mark { line: marker.line().max(1), column: marker.col() + 1 }
}
