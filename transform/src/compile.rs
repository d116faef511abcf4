//! From a program's text to a program, or to what is wrong with it, with line and caret.

use std::{fs::File, io::Read, path::Path, sync::Arc};

use logmill_config::{
    Problem,
    transform::{Source, Transform},
};
use vrl::{
    compiler::{self, CompileConfig, Function, compile_with_external, state::ExternalEnv},
    diagnostic::Formatter,
    path::OwnedTargetPath,
    value::{Kind, kind::Collection},
};

use crate::{
    metadata::{self, Names},
    run::Runner,
};

/// A longer file is no program.
const MOST: u64 = 1 << 20;

/// Functions of VRL's standard library that a program is not given: those that unpack without bound what anybody may have
/// sent, and the one that writes a line to the log for an event. Those that reach network, environment and files are not
/// compiled in.
const NOT_GIVEN: [&str; 6] = ["decode_gzip", "decode_lz4", "decode_snappy", "decode_zlib", "decode_zstd", "log"];

/// A compiled program. Cheap to clone.
#[derive(Clone)]
pub struct Program {
    program: Arc<compiler::Program>,
    /// What is odd but allowed, in words; empty where nothing is.
    pub warnings: String,
}

impl Program {
    /// `names` are those it may use behind `%`.
    ///
    /// # Errors
    /// In words, of several lines: it cannot be read, or does not compile.
    pub fn compile(transform: &Transform, names: &Names) -> Result<Self, String> {
        match &transform.source {
            Source::Inline(text) => compile(text, names),
            Source::File(path) => {
                let of_file = |words: String| format!("{}: {words}", path.display());
                compile(&read(path).map_err(of_file)?, names).map_err(of_file)
            }
        }
    }

    /// Runs it in one thread.
    pub fn runner(&self) -> Runner {
        Runner::new(Arc::clone(&self.program))
    }
}

/// The mistakes in programs, each at the key that names the program.
pub fn mistakes<'t>(transforms: impl IntoIterator<Item = &'t Transform>, names: &Names) -> Vec<Problem> {
    let mistake = |transform: &'t Transform| Some(transform.mistake(Program::compile(transform, names).err()?));
    transforms.into_iter().filter_map(mistake).collect()
}

/// What is odd but allowed in those that compile.
pub fn warnings<'t>(transforms: impl IntoIterator<Item = &'t Transform>, names: &Names) -> Vec<Problem> {
    let warning = |transform: &'t Transform| {
        let words = Program::compile(transform, names).ok()?.warnings;
        (!words.is_empty()).then(|| transform.mistake(words))
    };
    transforms.into_iter().filter_map(warning).collect()
}

fn read(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|e| format!("cannot open: {e}"))?;
    let read = file.take(MOST + 1).read_to_string(&mut text).map_err(|e| format!("cannot read: {e}"))?;
    if read as u64 > MOST { Err("larger than 1 MiB, which no program is".to_owned()) } else { Ok(text) }
}

fn compile(text: &str, names: &Names) -> Result<Program, String> {
    let mut config = CompileConfig::default();
    config.set_read_only_path(OwnedTargetPath::metadata_root(), true);
    let metadata = Kind::object(metadata::kinds(names));
    let environment = ExternalEnv::new_with_kind(Kind::object(Collection::any()), metadata);
    let result = compile_with_external(text, &functions(), &environment, config)
        .map_err(|diagnostics| format!("does not compile:{}", Formatter::new(text, diagnostics)))?;
    let after = result.program.final_type_info().state.external.target_kind().clone();
    if !after.contains_object() {
        return Err(format!("makes {after} of every event, expected an object"));
    }
    let warnings = Formatter::new(text, result.warnings).to_string();
    Ok(Program { program: Arc::new(result.program), warnings })
}

fn functions() -> Vec<Box<dyn Function>> {
    let mut all = vrl::stdlib::all();
    all.retain(|function| !NOT_GIVEN.contains(&function.identifier()));
    all
}

#[cfg(test)]
pub(crate) mod tests;
