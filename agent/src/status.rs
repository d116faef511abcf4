//! What the agent tells of its files when it is asked: where each stands, and what it waits for.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::wake::Waker;

/// One file at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileStatus {
    pub(crate) input: String,
    pub(crate) path: String,
    /// Its name now, if another.
    pub(crate) name: Option<String>,
    pub(crate) size: u64,
    /// All before it is acknowledged or dropped.
    pub(crate) acknowledged: u64,
    /// All before it is read.
    pub(crate) read: u64,
    pub(crate) bytes_per_second: u64,
    pub(crate) state: String,
}

impl FileStatus {
    pub(crate) fn lag(&self) -> u64 {
        self.size.saturating_sub(self.acknowledged)
    }

    fn json(&self) -> Value {
        json!({
            "input": self.input,
            "path": self.path,
            "name": self.name,
            "size": self.size,
            "acknowledged": self.acknowledged,
            "read": self.read,
            "lag": self.lag(),
            "bytes_per_second": self.bytes_per_second,
            "state": self.state,
        })
    }
}

/// Hands questions to the reading thread.
#[derive(Clone, Default)]
pub(crate) struct Desk(Arc<Mutex<Vec<oneshot::Sender<Vec<FileStatus>>>>>);

impl Desk {
    /// Waits for the reading thread's next turn; empty when it has ended.
    pub(crate) async fn ask(&self, waker: &Waker) -> Vec<FileStatus> {
        let (asked, answer) = oneshot::channel();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
        waker.wake();
        answer.await.unwrap_or_default()
    }

    pub(crate) fn questions(&self) -> Vec<oneshot::Sender<Vec<FileStatus>>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One object per line, as programs read it.
pub(crate) fn lines(files: Vec<FileStatus>) -> String {
    files.iter().map(|file| format!("{}\n", file.json())).collect()
}

/// A table for people, the file with the largest lag first.
pub(crate) fn table(mut files: Vec<FileStatus>) -> String {
    files.sort_by(|a, b| (b.lag(), &a.path).cmp(&(a.lag(), &b.path)));
    let head = ["INPUT", "SIZE", "ACKNOWLEDGED", "LAG", "RATE/S", "STATE", "FILE"].map(str::to_owned);
    let row = |file: &FileStatus| {
        let path = match &file.name {
            Some(name) => format!("{} (now {})", printable(&file.path), printable(name)),
            None => printable(&file.path),
        };
        let numbers = [file.size, file.acknowledged, file.lag(), file.bytes_per_second].map(|n| n.to_string());
        let [size, acknowledged, lag, rate] = numbers;
        [file.input.clone(), size, acknowledged, lag, rate, file.state.clone(), path]
    };
    let rows: Vec<[String; 7]> = std::iter::once(head).chain(files.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 7] = std::array::from_fn(width);
    let mut out = String::new();
    for row in &rows {
        for (column, text) in row.iter().enumerate() {
            let gap = " ".repeat(widths[column] - text.chars().count());
            match column {
                1..=4 => out.extend([gap.as_str(), text, "  "]),
                6 => out.push_str(text),
                _ => out.extend([text, gap.as_str(), "  "]),
            }
        }
        out.push('\n');
    }
    out
}

/// A file's name is its writer's: it must neither break a table nor reach the terminal as an instruction.
fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { c.escape_default().collect() } else { c.to_string() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_that_is_furthest_behind_comes_first() {
        let file = |path: &str, acknowledged, name: Option<&str>| FileStatus {
            input: "app".into(),
            path: path.into(),
            name: name.map(str::to_owned),
            size: 1000,
            acknowledged,
            read: 1000,
            bytes_per_second: 5,
            state: "at its end".into(),
        };
        let files = vec![file("/a.log", 1000, None), file("/b.log", 10, Some("/b.log.1"))];
        let expected = "\
INPUT  SIZE  ACKNOWLEDGED  LAG  RATE/S  STATE       FILE
app    1000            10  990       5  at its end  /b.log (now /b.log.1)
app    1000          1000    0       5  at its end  /a.log
";
        assert_eq!(expected, table(files.clone()));
        assert_eq!(2, lines(files.clone()).lines().count());
        assert!(lines(files).contains(r#""lag":990"#));
        let odd = table(vec![file("/new\nline\u{1b}[31m.log", 0, None)]);
        assert_eq!((2, true), (odd.lines().count(), odd.ends_with("/new\\nline\\u{1b}[31m.log\n")), "{odd}");
    }
}
