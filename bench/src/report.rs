//! The report: machine, versions, one table a workload, as Markdown.

use std::{fmt::Write, path::Path};

use anyhow::{Context, Result};

pub struct Report {
    text: String,
}

impl Report {
    pub fn new() -> Self {
        let mut text = String::from(
            "# Benchmarks\n\nWritten by `cargo run --release -p logmill-bench -- all` from the tree as it stands.\n\n",
        );
        let _ = writeln!(
            text,
            "Machine: {}. Linux {}. Memory is peak RssAnon (librdkafka included), CPU is user + system\nof the process, both from /proc. Files lie on the machine's ordinary disk, fsync on.\n",
            cpu(),
            kernel()
        );
        Self { text }
    }

    pub fn section(&mut self, title: &str, about: &str, header: &[&str]) {
        eprintln!("{title} …");
        let _ = writeln!(
            self.text,
            "## {title}\n\n{about}\n\n| {} |\n|{}",
            header.join(" | "),
            "---|".repeat(header.len())
        );
    }

    pub fn row(&mut self, cells: &[String]) {
        let _ = writeln!(self.text, "| {} |", cells.join(" | "));
    }

    pub fn end(&mut self) {
        self.text.push('\n');
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        std::fs::write(path, self.text.trim_end().to_owned() + "\n")
            .with_context(|| format!("writing {}", path.display()))
    }
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
