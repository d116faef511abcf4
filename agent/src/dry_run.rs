//! What an agent would read and send, without sending it or keeping anything: for `logmill check --dry-run`.

use std::{
    borrow::Cow,
    fs::File,
    io,
    path::{Path, PathBuf},
};

use logmill_config::agent::{AgentConfig, Input};

use crate::{
    AgentError,
    clock::Now,
    discover::{Patterns, Walker},
    feed,
    frame::{Content, Found, Framing},
    identity::Stat,
    record::{self, Encoder, Flags, Line, Parser, PathFields, Shape},
    source::{Format, Source},
    transform::{Made, Place, Transform},
};

/// Of a file's beginning so much is looked at.
const HEAD: usize = 1 << 20;
/// Longer records are cut with a mark.
const LONGEST: usize = 1_000_000;
/// Of a file's, reasons of a program's failures.
const FAILURES: usize = 3;

/// What one input matches.
#[derive(Debug)]
pub struct InputPreview {
    pub name: String,
    /// The word of its `source`: `files`, or where else its lines come from.
    pub source: &'static str,
    /// Of the journal one, which stands for its newest entries; of standard input none.
    pub files: Vec<FilePreview>,
    /// Directories that cannot be listed.
    pub faults: Vec<String>,
}

/// A file that would be read.
#[derive(Debug)]
pub struct FilePreview {
    pub path: PathBuf,
    /// Bytes on disk.
    pub size: u64,
    /// The values of the first records, JSON each; or why the file cannot be read.
    pub events: Result<Vec<String>, String>,
    /// Records before the last of these that the input's program left out.
    pub left_out: usize,
    /// Why the program failed with records, the first few reasons.
    pub failures: Vec<String>,
}

impl FilePreview {
    fn new(path: PathBuf) -> Self {
        Self { path, size: 0, events: Ok(Vec::new()), left_out: 0, failures: Vec::new() }
    }
}

/// The files of each input, the first `files` of them with their first `events`.
///
/// # Errors
/// A glob, pattern or program that the check of the configuration let pass.
pub fn dry_run(config: &AgentConfig, files: usize, events: usize) -> Result<Vec<InputPreview>, AgentError> {
    let host = config.host_name.clone().unwrap_or_else(crate::run::host_name);
    // What an earlier input takes, a later one does not.
    let mut taken = Vec::new();
    config.inputs.iter().map(|input| preview(config, input, &host, &mut taken, files, events)).collect()
}

fn preview(
    config: &AgentConfig,
    input: &Input,
    host: &str,
    taken: &mut Vec<PathBuf>,
    files: usize,
    events: usize,
) -> Result<InputPreview, AgentError> {
    if !input.source.is_files() {
        return fed(input, host, events);
    }
    let patterns = Patterns::new(input)?;
    let mut reader = Reader::new(input)?;
    let mut faults = Vec::new();
    let mut warn = |path: &Path, error: &io::Error| faults.push(format!("{}: {error}", path.display()));
    let mut enter = |_: &Path| ();
    let state_dir = Stat::of_path(&config.state_dir).map_or((0, 0), |s| (s.dev, s.ino));
    let mut walker = Walker::new(state_dir, &mut warn, &mut enter);
    patterns.bases.iter().for_each(|base| walker.walk(base));
    let paths = walker.listings.iter().flat_map(|l| l.files.iter().map(|(name, _)| l.dir.join(name)));
    let mut paths: Vec<PathBuf> = paths.filter(|path| patterns.matches(path) && !taken.contains(path)).collect();
    paths.sort();
    taken.extend(paths.iter().cloned());
    let shown = |(nth, path): (usize, PathBuf)| {
        let mut shown = FilePreview::new(path);
        if nth < files
            && let Err(error) = reader.first(&mut shown, host, events)
        {
            shown.events = Err(error.to_string());
        }
        shown.size = shown.path.metadata().map_or(0, |m| m.len());
        shown
    };
    let files = paths.into_iter().enumerate().map(shown).collect();
    Ok(InputPreview { name: input.name.clone(), source: input.source.name(), files, faults })
}

/// What is no file: entries of the journal are there to be shown, standard input is not.
fn fed(input: &Input, host: &str, events: usize) -> Result<InputPreview, AgentError> {
    let mut reader = Reader::new(input)?;
    let mut files = Vec::new();
    if input.source.is_journal() {
        let mut shown = FilePreview::new(input.source.name().into());
        match feed::preview(input, events) {
            Ok(lines) => reader.entries(&mut shown, &lines, host),
            Err(error) => shown.events = Err(error.to_string()),
        }
        files.push(shown);
    }
    Ok(InputPreview { name: input.name.clone(), source: input.source.name(), files, faults: Vec::new() })
}

/// Makes records of an input's files.
struct Reader<'a> {
    input: &'a Input,
    framing: Framing,
    parser: Parser,
    path_fields: PathFields,
    transform: Option<Transform>,
}

impl<'a> Reader<'a> {
    fn new(input: &'a Input) -> Result<Self, AgentError> {
        let pattern_error = |source| AgentError::Pattern { input: input.name.clone(), source };
        Ok(Self {
            input,
            framing: Framing::new(input).map_err(pattern_error)?,
            parser: Parser::new(input).map_err(pattern_error)?,
            path_fields: PathFields::new(input.path_fields.as_ref()).map_err(pattern_error)?,
            transform: Transform::open(input)?,
        })
    }

    /// Of the journal.
    fn entries(&mut self, shown: &mut FilePreview, lines: &[String], host: &str) {
        let shape = Shape::new(host, None, &self.input.fields);
        let now_ms = Now::read().unix_ms;
        let (mut encoder, read_time, mut out) = (Encoder::default(), record::read_time(now_ms), Vec::new());
        for line in lines {
            let bytes = line.as_bytes();
            let line = Line { bytes, offset: 0, flags: Flags::default(), read_time: &read_time, foreign: false };
            let value = encoder.encode(&line, &shape, &self.parser, LONGEST);
            let path = Path::new(&self.input.name);
            match self.transformed(value, path, 0, now_ms, shown) {
                Some(made) => out.push(String::from_utf8_lossy(&made).into_owned()),
                None => shown.left_out += 1,
            }
        }
        shown.events = Ok(out);
    }

    fn first(&mut self, shown: &mut FilePreview, host: &str, events: usize) -> io::Result<()> {
        let path = shown.path.clone();
        let path = path.as_path();
        let format = path.file_name().and_then(Format::of_name).map(|(format, _)| format);
        let packed = format.filter(|_| Format::is_of(path));
        let file = File::open(path)?;
        let modified = Stat::of_file(&file)?.modified / 1_000_000;
        let source = match packed {
            Some(format) => Source::packed(file, format, HEAD),
            None => Source::Plain(file),
        };
        let head = source.bytes_at(0, HEAD.max(self.framing.longest()))?;
        let text = self.framing.text.of_file(&head).unwrap_or(self.framing.text);
        let framing = self.framing.in_encoding(text);
        let shape = Shape::new(host, Some(path), &self.path_fields.with(path, &self.input.fields));
        let (mut encoder, mut content) = (Encoder::default(), Content::default());
        let read_time = record::read_time(modified);
        let (mut at, mut out) = (0, Vec::new());
        // What is there now is all there is: its end ends the last line.
        while at < head.len() && out.len() < events {
            let rest = &head[at..];
            let (bytes, flags, next) = match framing.find(rest, Some(rest.len())) {
                Found::Line { raw, keep, next, cut, .. } => {
                    (&rest[..keep], Flags { truncated: keep < raw, split: cut, ..Flags::default() }, next)
                }
                Found::Piece { raw } => (&rest[..raw], Flags { split: true, ..Flags::default() }, raw),
                Found::TooLong { next } | Found::Hole { next } => {
                    at += next;
                    continue;
                }
                Found::Incomplete | Found::Long => break,
            };
            let whole = Line { bytes, offset: at as u64, flags, read_time: &read_time, foreign: false };
            let line = match framing.content(bytes, at == 0, &mut content) {
                None => whole,
                Some(content) => Line {
                    bytes: &content.text,
                    flags: Flags { stream: content.stream, ..flags },
                    read_time: content.time.as_deref().unwrap_or(&read_time),
                    foreign: content.foreign,
                    ..whole
                },
            };
            if !line.bytes.is_empty() {
                let value = encoder.encode(&line, &shape, &self.parser, LONGEST);
                match self.transformed(value, path, at as u64, modified, shown) {
                    Some(made) => out.push(String::from_utf8_lossy(&made).into_owned()),
                    None => shown.left_out += 1,
                }
            }
            at += next;
        }
        shown.events = Ok(out);
        Ok(())
    }

    /// `None` where the input's program leaves it out. Its id is not told: that is the running agent's.
    fn transformed<'v>(
        &mut self,
        value: &'v [u8],
        path: &Path,
        offset: u64,
        time_ms: i64,
        shown: &mut FilePreview,
    ) -> Option<Cow<'v, [u8]>> {
        let Some(transform) = &mut self.transform else { return Some(Cow::Borrowed(value)) };
        let made = transform.run(&Place { path, offset, time_ms, id: [0; 16] }, value, LONGEST);
        if let Some(failure) = made.failure()
            && shown.failures.len() < FAILURES
        {
            shown.failures.push(failure.to_owned());
        }
        match made {
            Made::Record { value, .. } | Made::Failed { value, .. } => Some(Cow::Owned(value)),
            Made::Dropped { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use logmill_config::ConfigFile;

    use super::*;

    #[test]
    fn files_and_their_first_events() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write("a.log", "> one\n more\n\n> two\n> three");
        write("b.log", "> b\n");
        write("c.txt", "no\n");
        let yaml = format!(
            "kafka: {{ brokers: [a:1] }}\nhost_name: h\ninputs:\n  - {{ name: app, include: [\"{0}/*.log\"], topic: t, multiline: {{ start: '^>' }} }}\n\
             \x20 - {{ name: rest, include: [\"{0}/*\", \"{0}/none/*\"], topic: t }}\n",
            dir.path().display()
        );
        let config = AgentConfig::parse("agent.yaml", &yaml).unwrap();
        let found = dry_run(&config, 1, 2).unwrap();
        assert_eq!(["a.log", "b.log"], *names(&found[0]));
        let events = found[0].files[0].events.as_ref().unwrap();
        let messages: Vec<String> = events
            .iter()
            .map(|e| serde_json::from_str::<serde_json::Value>(e).unwrap()["message"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(["> one\n more", "> two"], *messages);
        assert!(found[0].files[1].events.as_ref().unwrap().is_empty(), "only the first file's events");
        assert_eq!(["c.txt"], *names(&found[1]), "the others are taken");
        assert_eq!(1, found[1].faults.len(), "{:?}", found[1].faults);
    }

    fn names(input: &InputPreview) -> Vec<String> {
        input.files.iter().map(|f| f.path.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }
}
