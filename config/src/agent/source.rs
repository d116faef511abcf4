//! Where an input's lines come from: files, standard input, the systemd journal.

/// What cannot be read twice, or not cheaply, goes through a spool: files below `state_dir` that are read like others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Source {
    /// Those that `include` matches.
    #[default]
    Files,
    /// The process's standard input.
    Stdin {
        /// What the spool holds on disk at most. Default 64 MiB.
        spool_bytes: u64,
    },
    /// The entries of the machine's journal.
    Journal {
        /// Of these units alone. Default: all entries.
        units: Vec<String>,
        /// This one and those that are more urgent: 0 (emerg) to 7 (debug). Default: all.
        priority: Option<u8>,
        /// What the spool holds on disk at most. Default 64 MiB.
        spool_bytes: u64,
    },
}

impl Source {
    pub fn is_files(&self) -> bool {
        matches!(self, Self::Files)
    }

    pub fn is_stdin(&self) -> bool {
        matches!(self, Self::Stdin { .. })
    }

    pub fn is_journal(&self) -> bool {
        matches!(self, Self::Journal { .. })
    }

    /// The word of the configuration.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Stdin { .. } => "stdin",
            Self::Journal { .. } => "journal",
        }
    }

    /// None of files, which need no spool.
    pub fn spool_bytes(&self) -> Option<u64> {
        match self {
            Self::Files => None,
            Self::Stdin { spool_bytes } | Self::Journal { spool_bytes, .. } => Some(*spool_bytes),
        }
    }
}
