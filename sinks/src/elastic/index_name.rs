//! The index a document goes to: a template over the event's UTC date and its fields.

use std::fmt::Write;

use crate::event_time::Hour;

/// `app-%Y.%m.%d`, `{service.name}-%Y`.
#[derive(Debug, Clone)]
pub(crate) struct IndexTemplate {
    parts: Vec<Part>,
    fields: Vec<String>,
    by_hour: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Date(char),
    /// An index into `fields`.
    Field(usize),
}

impl IndexTemplate {
    pub(crate) fn parse(template: &str) -> Result<Self, String> {
        let (mut parts, mut fields, mut text) = (Vec::new(), Vec::new(), String::new());
        let mut rest = template.chars();
        while let Some(c) = rest.next() {
            let part = match c {
                '%' => match rest.next() {
                    Some(c) if "YymdHjGV".contains(c) => Part::Date(c),
                    Some(c) => {
                        return Err(format!("\"%{c}\" is no date part, expected %Y, %y, %m, %d, %H, %j, %G or %V"));
                    }
                    None => return Err("ends with \"%\", expected a date part such as %Y".into()),
                },
                '{' => {
                    let mut path = String::new();
                    loop {
                        match rest.next() {
                            Some('}') => break,
                            Some(c) => path.push(c),
                            None => return Err("\"{\" without a closing \"}\", expected {field.name}".into()),
                        }
                    }
                    if path.is_empty() {
                        return Err("\"{}\" names no field".into());
                    }
                    fields.push(path);
                    Part::Field(fields.len() - 1)
                }
                c => {
                    text.push(c);
                    continue;
                }
            };
            if !text.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut text)));
            }
            parts.push(part);
        }
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        let by_hour = parts.contains(&Part::Date('H'));
        Ok(Self { parts, fields, by_hour })
    }

    /// Paths of the fields it names, in the order [`IndexNames::name`] wants their values.
    pub(crate) fn fields(&self) -> &[String] {
        &self.fields
    }

    /// Whether any event at all could make a name of it.
    pub(crate) fn check(&self) -> Result<(), String> {
        let values = vec![Some("x".to_owned()); self.fields.len()];
        self.render(Hour::from_millis(0), &values).map(|_| ())
    }

    fn render(&self, hour: Hour, values: &[Option<String>]) -> Result<String, String> {
        let date = hour.date().ok_or("the event's time is outside the years -9999 to 9999")?;
        let mut name = String::with_capacity(48);
        for part in &self.parts {
            let written = match part {
                Part::Text(text) => name.write_str(text),
                Part::Date('Y') => write!(name, "{:04}", date.year()),
                Part::Date('y') => write!(name, "{:02}", date.year().rem_euclid(100)),
                Part::Date('m') => write!(name, "{:02}", date.month()),
                Part::Date('d') => write!(name, "{:02}", date.day()),
                Part::Date('j') => write!(name, "{:03}", date.day_of_year()),
                Part::Date('G') => write!(name, "{:04}", date.iso_week_date().year()),
                Part::Date('V') => write!(name, "{:02}", date.iso_week_date().week()),
                Part::Date(_) => write!(name, "{:02}", hour.hour),
                Part::Field(at) => match values.get(*at).and_then(Option::as_deref) {
                    Some(value) => name.write_str(value),
                    None => {
                        let field = self.fields.get(*at).map_or("", String::as_str);
                        return Err(format!(
                            "the document has no text or number in field {field}, which the index name needs"
                        ));
                    }
                },
            };
            written.map_err(|e| e.to_string())?;
        }
        match fault(&name) {
            None => Ok(name),
            Some(fault) => Err(format!("index name {:?} {fault}", shortened(&name))),
        }
    }
}

fn shortened(name: &str) -> String {
    name.chars().take(80).collect()
}

/// What Elasticsearch refuses in an index name (create index API, path parameters).
fn fault(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("is empty");
    }
    if name.len() > 255 {
        return Some("is longer than 255 bytes");
    }
    if name.starts_with(['-', '_', '+', '.']) {
        return Some("begins with \"-\", \"_\", \"+\" or \".\"");
    }
    if name.chars().any(|c| c.is_control() || "\\/*?\"<>| ,#:".contains(c)) {
        return Some("contains a character Elasticsearch refuses");
    }
    name.chars().any(char::is_uppercase).then_some("is not lower case")
}

/// Renders names and remembers the last one: events of one time share it.
#[derive(Debug)]
pub(crate) struct IndexNames {
    template: IndexTemplate,
    last: Option<(Hour, Result<String, String>)>,
}

impl IndexNames {
    pub(crate) fn new(template: IndexTemplate) -> Self {
        Self { template, last: None }
    }

    /// # Errors
    /// The reason for the dead letter.
    pub(crate) fn name(&mut self, hour: Hour, values: &[Option<String>]) -> Result<&str, String> {
        let key = if self.template.by_hour { hour } else { Hour { day: hour.day, hour: 0 } };
        let fresh = self.template.fields.is_empty() && self.last.as_ref().is_some_and(|(last, _)| *last == key);
        if !fresh {
            self.last = Some((key, self.template.render(hour, values)));
        }
        match &self.last {
            Some((_, Ok(name))) => Ok(name),
            Some((_, Err(reason))) => Err(reason.clone()),
            None => Err(String::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(template: &str, time: &str, values: &[Option<&str>]) -> Result<String, String> {
        let values: Vec<_> = values.iter().map(|v| v.map(str::to_owned)).collect();
        IndexTemplate::parse(template)?.render(Hour::parse(time).unwrap(), &values)
    }

    #[test]
    fn renders_date_and_fields() {
        assert_eq!(name("app-%Y.%m.%d", "1971-02-03T00:00:00Z", &[]).unwrap(), "app-1971.02.03");
        assert_eq!(name("app-%Y.%m.%d", "2099-12-31T23:59:59Z", &[]).unwrap(), "app-2099.12.31");
        assert_eq!(name("{a.b}-%G.%V-%H-%j-%y", "2024-12-30T05:00:00Z", &[Some("x")]).unwrap(), "x-2025.01-05-365-24");
    }

    #[test]
    fn refuses_names_elasticsearch_would_refuse() {
        for value in [None, Some("Upper"), Some("a b"), Some("../x"), Some(""), Some("_x"), Some("a\nb")] {
            assert!(name("{a}", "2024-12-30T05:00:00Z", &[value]).is_err(), "{value:?}");
        }
        assert!(name("{a}", "2024-12-30T05:00:00Z", &[Some(&"x".repeat(256))]).is_err());
        for template in ["%Q", "a%", "{a", "{}"] {
            assert!(IndexTemplate::parse(template).is_err(), "{template}");
        }
    }

    #[test]
    fn the_remembered_name_follows_the_date() {
        let mut names = IndexNames::new(IndexTemplate::parse("a-%Y.%m.%d").unwrap());
        for (time, expected) in [
            ("2024-12-30T05:00:00Z", "a-2024.12.30"),
            ("2024-12-30T06:00:00Z", "a-2024.12.30"),
            ("2024-12-31T05:00:00Z", "a-2024.12.31"),
            ("2024-12-30T05:00:00Z", "a-2024.12.30"),
        ] {
            assert_eq!(names.name(Hour::parse(time).unwrap(), &[]).unwrap(), expected);
        }
    }
}
