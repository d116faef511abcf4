//! From a program's text to a program, or to what is wrong with it, with line and caret.

use std::{fs::File, io::Read, path::Path};

use logmill_config::{
    Problem,
    sinks::{SinksConfig, Source, Transform},
};
use vrl::{
    compiler::{CompileConfig, Function, Program, compile_with_external, state::ExternalEnv},
    diagnostic::Formatter,
    path::OwnedTargetPath,
    value::{Kind, kind::Collection},
};

/// A longer file is no program.
const MOST: u64 = 1 << 20;

/// Functions of VRL's standard library that a program is not given: those that unpack without bound what anybody may have
/// sent, and the one that writes a line to the log for an event. Those that reach network, environment and files are not
/// compiled in.
const NOT_GIVEN: [&str; 6] = ["decode_gzip", "decode_lz4", "decode_snappy", "decode_zlib", "decode_zstd", "log"];

pub(crate) struct Compiled {
    pub(crate) program: Program,
    /// What is odd but allowed, in words.
    pub(crate) warnings: String,
}

/// The mistakes in the programs of a configuration, each at the key that names the program.
pub fn mistakes(config: &SinksConfig) -> Vec<Problem> {
    transforms(config).filter_map(|transform| Some(transform.mistake(compile(transform).err()?))).collect()
}

/// What is odd but allowed in them.
pub fn warnings(config: &SinksConfig) -> Vec<Problem> {
    let warnings = |transform| compile(transform).ok().map(|compiled| compiled.warnings);
    transforms(config)
        .filter_map(|transform| Some(transform.mistake(warnings(transform).filter(|words| !words.is_empty())?)))
        .collect()
}

fn transforms(config: &SinksConfig) -> impl Iterator<Item = &Transform> {
    config.sinks.iter().filter_map(|sink| sink.transform.as_ref())
}

/// # Errors
/// In words, of several lines.
pub(crate) fn compile(transform: &Transform) -> Result<Compiled, String> {
    match &transform.source {
        Source::Inline(text) => compile_text(text),
        Source::File(path) => {
            let of_file = |words: String| format!("{}: {words}", path.display());
            compile_text(&read(path).map_err(of_file)?).map_err(of_file)
        }
    }
}

fn read(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|e| format!("cannot open: {e}"))?;
    let read = file.take(MOST + 1).read_to_string(&mut text).map_err(|e| format!("cannot read: {e}"))?;
    if read as u64 > MOST { Err("larger than 1 MiB, which no program is".to_owned()) } else { Ok(text) }
}

fn compile_text(text: &str) -> Result<Compiled, String> {
    let mut config = CompileConfig::default();
    config.set_read_only_path(OwnedTargetPath::metadata_root(), true);
    let environment = ExternalEnv::new_with_kind(Kind::object(Collection::any()), Kind::object(record()));
    let result = compile_with_external(text, &functions(), &environment, config)
        .map_err(|diagnostics| format!("does not compile:{}", Formatter::new(text, diagnostics)))?;
    let after = result.program.final_type_info().state.external.target_kind().clone();
    if !after.contains_object() {
        return Err(format!("makes {after} of every event, expected an object"));
    }
    let warnings = Formatter::new(text, result.warnings).to_string();
    Ok(Compiled { program: result.program, warnings })
}

fn functions() -> Vec<Box<dyn Function>> {
    let mut all = vrl::stdlib::all();
    all.retain(|function| !NOT_GIVEN.contains(&function.identifier()));
    all
}

/// The types of what stands behind `%`.
fn record() -> Collection<vrl::value::kind::Field> {
    Collection::empty()
        .with_known("topic", Kind::bytes())
        .with_known("partition", Kind::integer())
        .with_known("offset", Kind::integer())
        .with_known("timestamp", Kind::integer())
        .with_known("key", Kind::bytes().or_null())
        .with_known("id", Kind::bytes().or_null())
}
