//! Which topic a record goes to, where its fields decide it.
//!
//! Kafka's topics are not made for the values of just any field: their number is bounded. A field that is missing, that
//! gives no topic's name, or one topic too many, sends the record to the topic for all others.

use std::collections::HashSet;

use logmill_config::{
    agent::TopicBy,
    template::{Part, Template},
};

use super::find;

/// Longest name of a topic.
const LONGEST: usize = 249;

/// The topics of one input.
#[derive(Debug)]
pub(crate) struct Topics {
    template: Template,
    most: usize,
    known: HashSet<String>,
}

/// Why a record's fields give no topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoTopic {
    /// A field is not there, or holds no text, number or boolean.
    Missing,
    /// The name would be too long.
    TooLong,
    /// There are as many topics as there may be.
    TooMany,
}

impl NoTopic {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::TooLong => "too_long",
            Self::TooMany => "too_many",
        }
    }
}

impl Topics {
    pub(crate) fn new(by: &TopicBy) -> Self {
        Self { template: by.template.clone(), most: by.most, known: HashSet::new() }
    }

    /// Puts the name into `topic` that the record `value` gives. Characters that no topic may have become `_`.
    pub(crate) fn name(&mut self, value: &[u8], topic: &mut String) -> Result<(), NoTopic> {
        topic.clear();
        let value = std::str::from_utf8(value).map_err(|_| NoTopic::Missing)?;
        for part in self.template.parts() {
            match part {
                Part::Text(text) => topic.push_str(text),
                Part::Field(path) => {
                    let (_, text) = find(value, path).ok_or(NoTopic::Missing)?;
                    let text = match serde_json::from_str(text) {
                        Ok(serde_json::Value::String(text)) if !text.is_empty() => text,
                        Ok(serde_json::Value::Number(_) | serde_json::Value::Bool(_)) => text.to_owned(),
                        _ => return Err(NoTopic::Missing),
                    };
                    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
                    topic.extend(text.chars().map(|c| if plain(c) { c } else { '_' }));
                }
                Part::Meta(_) => return Err(NoTopic::Missing),
            }
            if topic.len() > LONGEST {
                return Err(NoTopic::TooLong);
            }
        }
        if [".", ".."].contains(&topic.as_str()) {
            return Err(NoTopic::Missing);
        }
        if !self.known.contains(topic.as_str()) {
            if self.known.len() >= self.most {
                return Err(NoTopic::TooMany);
            }
            self.known.insert(topic.clone());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn topics(template: &str, most: usize) -> Topics {
        Topics::new(&TopicBy { template: Template::parse(template).unwrap(), most })
    }

    fn name(topics: &mut Topics, value: &str) -> Result<String, NoTopic> {
        let mut topic = String::from("before");
        topics.name(value.as_bytes(), &mut topic).map(|()| topic)
    }

    #[test]
    fn fields_give_the_name_and_what_cannot_be_in_one_is_replaced() {
        let mut topics = topics("logs.{service.name}-{n}", 10);
        assert_eq!(Ok("logs.shop-7".into()), name(&mut topics, r#"{"service":{"name":"shop"},"n":7}"#));
        assert_eq!(Ok("logs.a_b___-true".into()), name(&mut topics, r#"{"service":{"name":"a/b \u00e4?"},"n":true}"#));
    }

    #[test]
    fn what_gives_no_name_says_why() {
        let mut topics = topics("{a}", 10);
        for value in [r#"{"a":""}"#, r#"{"a":null}"#, r#"{"a":{}}"#, r#"{"a":[1]}"#, "{}", r#"{"a":".."}"#] {
            assert_eq!(Err(NoTopic::Missing), name(&mut topics, value), "{value}");
        }
        let long = |n: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(n));
        assert_eq!(Err(NoTopic::TooLong), name(&mut topics, &long(250)));
        assert!(name(&mut topics, &long(249)).is_ok());
    }

    #[test]
    fn the_number_of_topics_is_bounded_and_known_ones_stay() {
        let mut topics = topics("t{a}", 2);
        for (a, expected) in [(1, Ok("t1")), (2, Ok("t2")), (3, Err(NoTopic::TooMany)), (1, Ok("t1"))] {
            assert_eq!(expected.map(str::to_owned), name(&mut topics, &format!(r#"{{"a":{a}}}"#)));
        }
    }
}
