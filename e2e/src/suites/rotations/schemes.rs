//! What logrotate is told for each file, and how that file's writer behaves.

use std::path::Path;

/// How a writer hears of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hears {
    /// It goes on in the renamed file until it is told, as daemons do.
    Reopens,
    /// Not at all: lines between the copy and the truncation are lost.
    Nothing,
    /// It waits while its file is copied and truncated.
    Waits,
}

#[derive(Clone, Copy)]
pub(super) struct Scheme {
    pub(super) name: &'static str,
    options: &'static str,
    pub(super) hears: Hears,
}

const fn scheme(name: &'static str, hears: Hears, options: &'static str) -> Scheme {
    Scheme { name, options, hears }
}

pub(super) const SCHEMES: [Scheme; 13] = [
    scheme("create", Hears::Reopens, "create"),
    scheme("nocreate", Hears::Reopens, "nocreate"),
    scheme("copytruncate", Hears::Nothing, "copytruncate"),
    scheme("copytruncate-waits", Hears::Waits, "copytruncate"),
    scheme("copytruncate-compress", Hears::Waits, "copytruncate compress"),
    scheme("copytruncate-date", Hears::Waits, "copytruncate dateext dateformat -%Y%m%d-%H%M%S"),
    scheme("compress", Hears::Reopens, "create compress"),
    scheme("delaycompress", Hears::Reopens, "create compress delaycompress"),
    scheme("zstd", Hears::Reopens, "create compress compresscmd /usr/bin/zstd compressext .zst"),
    scheme("bzip2", Hears::Reopens, "create compress delaycompress compresscmd /usr/bin/bzip2 compressext .bz2"),
    scheme("dateext", Hears::Reopens, "create dateext dateformat -%Y%m%d-%H%M%S"),
    scheme("dateext-compress", Hears::Reopens, "create dateext dateformat -%Y%m%d-%H%M%S compress"),
    // The rotated files match the globs as well.
    scheme("extension", Hears::Reopens, "create extension .log"),
];

impl Scheme {
    /// A copy that is compressed at once may be found only when the truncated file is already read on.
    pub(super) fn keeps_order(&self) -> bool {
        !(self.options.contains("copytruncate") && self.options.contains("compress"))
    }

    /// Its section of logrotate's configuration. Writers and logrotate hear of each other by files in `marks`.
    pub(super) fn section(&self, logs: &Path, marks: &Path) -> String {
        let (name, marks) = (self.name, marks.display());
        let options: String = words(self.options).map(|option| format!("  {option}\n")).collect();
        let ask = |mark: &str| format!("touch {marks}/{name}.{mark}");
        let wait = |mark: &str| format!("while [ -e {marks}/{name}.{mark} ]; do sleep 0.01; done");
        let scripts = match self.hears {
            Hears::Nothing => String::new(),
            Hears::Reopens => {
                format!("  postrotate\n    {}; {}\n  endscript\n", ask("reopen"), wait("reopen"))
            }
            // The writer answers by taking the first mark away, and writes when the second is gone.
            Hears::Waits => format!(
                "  prerotate\n    {}; {}; {}\n  endscript\n  postrotate\n    rm {marks}/{name}.hold\n  endscript\n",
                ask("hold"),
                ask("wait"),
                wait("wait")
            ),
        };
        format!("{}/{name}.log {{\n  rotate 1000\n  missingok\n{options}{scripts}}}\n", logs.display())
    }
}

/// Options of one scheme, each with its value.
fn words(options: &str) -> impl Iterator<Item = String> {
    let mut words = options.split(' ');
    std::iter::from_fn(move || {
        let word = words.next()?;
        let takes_value = ["dateformat", "compresscmd", "compressext", "extension"].contains(&word);
        Some(if takes_value { format!("{word} {}", words.next().unwrap_or_default()) } else { word.to_owned() })
    })
}
