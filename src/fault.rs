//! Errors with an exit code of their own; everything else exits with 1.

use std::io;

use logmill_daemon::exit;

/// What kind of failure it is, told to the shell by the exit code.
#[derive(Debug)]
pub(crate) enum Fault {
    /// 64: the command line asks for what there is not.
    Usage(String),
    /// 78: a configuration file is wrong.
    Config(String),
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Usage(message) | Self::Config(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Fault {}

/// A wrong-usage error.
pub(crate) fn usage(message: impl Into<String>) -> anyhow::Error {
    Fault::Usage(message.into()).into()
}

/// 0 when only the reader of our output went away.
pub(crate) fn exit_code(e: &anyhow::Error) -> u8 {
    if let Some(fault) = e.downcast_ref::<Fault>() {
        return match fault {
            Fault::Usage(_) => exit::USAGE,
            Fault::Config(_) => exit::CONFIG,
        };
    }
    let closed = |e: &(dyn std::error::Error + 'static)| {
        e.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
    };
    if e.chain().any(closed) { 0 } else { exit::FAILED }
}
