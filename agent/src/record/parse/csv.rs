//! Comma-separated values (RFC 4180), one record a line, in columns that the configuration names.

use std::cell::RefCell;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use jiff::tz::TimeZone;

use super::{Parsed, TIMESTAMP, time_of};

#[derive(Debug)]
pub(super) struct Csv {
    columns: Vec<Option<String>>,
    /// How the time is written; RFC 3339 or seconds since 1970 if not given.
    time: Option<String>,
    row: RefCell<Row>,
}

/// The reader, whose copies do not work, and the values of the last line with where each ends.
#[derive(Debug)]
struct Row {
    reader: Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Csv {
    pub(super) fn new(columns: &[Option<String>], delimiter: u8, time: Option<&str>) -> Self {
        let reader = ReaderBuilder::new().delimiter(delimiter).build();
        let row = Row { reader, text: Vec::new(), ends: vec![0; columns.len() + 1] };
        Self { columns: columns.to_vec(), time: time.map(str::to_owned), row: RefCell::new(row) }
    }

    /// `None` where there are more or fewer columns than named ones.
    pub(super) fn parse(&self, line: &str, numbers: &[String], zone: &TimeZone) -> Option<Parsed> {
        let mut row = self.row.borrow_mut();
        if row.read(line) != Some(self.columns.len()) {
            return None;
        }
        let mut parsed = Parsed::with_message(line);
        let mut begin = 0;
        for (column, end) in self.columns.iter().zip(&row.ends) {
            // Cut at delimiters and quotes, which are ASCII: what was UTF-8 is.
            let value = std::str::from_utf8(row.text.get(begin..*end)?).ok()?;
            begin = *end;
            match column.as_deref() {
                Some(TIMESTAMP) => parsed.time = Some(time_of(value, self.time.as_deref(), zone)?),
                Some(field) if !value.is_empty() => parsed.free(field, value, numbers),
                _ => {}
            }
        }
        Some(parsed)
    }
}

impl Row {
    /// The number of columns; `None` where there are more than have a place.
    fn read(&mut self, line: &str) -> Option<usize> {
        self.reader.reset();
        self.text.resize(line.len() + 1, 0);
        let (result, read, written, columns) = self.reader.read_record(line.as_bytes(), &mut self.text, &mut self.ends);
        if result != ReadRecordResult::InputEmpty || read < line.len() {
            return None;
        }
        // The line's end ends the last column.
        let (_, _, _, last) =
            self.reader.read_record(&[], self.text.get_mut(written..)?, self.ends.get_mut(columns..)?);
        Some(columns + last)
    }
}
