//! The report: machine, versions, one table a workload, as Markdown.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use logmill_e2e::{
    clock::{self, Instant},
    peers::script,
    process::binary,
};

use crate::plot::Bars;

pub struct Report {
    path: PathBuf,
    began: Instant,
    sections: Vec<(String, String)>,
    /// File names and their SVG.
    plots: Vec<(String, String)>,
}

const HEAD: &str =
    "# Benchmarks\n\nWritten by `cargo run --release -p logmill-bench -- all` from the tree as it stands.\n\n";

impl Report {
    pub fn new(path: PathBuf) -> Self {
        Self { path, began: clock::now(), sections: Vec::new(), plots: Vec::new() }
    }

    pub fn section(&mut self, title: &str, about: &str, header: &[&str]) {
        let seconds = self.began.elapsed().as_secs();
        eprintln!("[{:02}:{:02}] {title} …", seconds / 60, seconds % 60);
        let text = format!("{about}\n\n| {} |\n|{}\n", header.join(" | "), "---|".repeat(header.len()));
        self.sections.push((title.to_owned(), text));
    }

    /// A line of the table of the section that was begun last.
    pub fn row(&mut self, cells: &[String]) {
        if let Some((_, text)) = self.sections.last_mut() {
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        }
    }

    /// Puts a sentence below the table.
    pub fn note(&mut self, words: &str) {
        if let Some((_, text)) = self.sections.last_mut() {
            let _ = writeln!(text, "\n{words}");
        }
    }

    /// Puts a chart below the table; `name` is its file's.
    pub fn plot(&mut self, name: &str, chart: &Bars) {
        if let Some((_, text)) = self.sections.last_mut() {
            let _ = writeln!(text, "\n![{}](benchmarks/{name}.svg)", chart.title());
        }
        self.plots.push((format!("{name}.svg"), chart.svg()));
    }

    pub fn text(&self) -> String {
        text(&self.sections)
    }

    /// Writes what was measured so far. Sections of the file that were not measured now stay as they are.
    pub fn write(&self) -> Result<()> {
        let path = &self.path;
        let before = std::fs::read_to_string(path).unwrap_or_default();
        let mut sections: Vec<(String, String)> = before
            .split("\n## ")
            .skip(1)
            .filter_map(|section| section.split_once("\n\n"))
            .map(|(title, text)| (title.to_owned(), text.to_owned()))
            .collect();
        for (title, text) in &self.sections {
            match sections.iter_mut().find(|(known, _)| known == title) {
                Some((_, known)) => known.clone_from(text),
                None => sections.push((title.clone(), text.clone())),
            }
        }
        let plots = path.with_extension("");
        for (name, svg) in &self.plots {
            std::fs::create_dir_all(&plots).with_context(|| format!("making {}", plots.display()))?;
            std::fs::write(plots.join(name), svg).with_context(|| format!("writing {name}"))?;
        }
        let machine = format!(
            "Machine: {}. Linux {}. {}; beside it {}.\n\
             Memory is peak RssAnon (librdkafka included), CPU is user + system of the\n\
             process, both from /proc. Files lie on the machine's ordinary disk, fsync on where nothing else is said. A run during which the\n\
             hypervisor gave more than 2 % of the processors' time to others is done again, three times at most and for two\n\
             minutes an area.\n",
            cpu(),
            kernel(),
            first_line(&binary("logmill-broker")?, &["--version"])?,
            peers().join(", "),
        );
        std::fs::write(path, format!("{HEAD}{machine}\n{}", text(&sections)))
            .with_context(|| format!("writing {}", path.display()))
    }
}

fn text(sections: &[(String, String)]) -> String {
    let sections: Vec<String> =
        sections.iter().map(|(title, text)| format!("## {title}\n\n{}\n", text.trim_end())).collect();
    sections.join("\n")
}

/// Long work says where it is.
pub fn progress(text: &str) {
    eprintln!("  {text}");
}

/// Name and version of each that is there.
fn peers() -> Vec<String> {
    let peers = ["kafka", "search", "rsyslog", "syslog-ng", "camel"];
    peers.iter().filter_map(|name| first_line(&script(name), &["version"]).ok()).collect()
}

fn first_line(program: &Path, args: &[&str]) -> Result<String> {
    let output = Command::new(program).args(args).output().with_context(|| format!("running {}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().next().map(str::to_owned).with_context(|| format!("{} does not tell its version", program.display()))
}

fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        info.lines().find_map(|l| l.strip_prefix("model name")).map_or("?", |m| m.trim_start_matches([' ', '\t', ':']));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores, {model}")
}

fn kernel() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}
