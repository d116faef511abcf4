//! Alterations of a topic's settings by Kafka's rules (KIP-339): set, delete, append, subtract, or all of them replaced.

use std::collections::{BTreeMap, BTreeSet};

use super::{Defaults, check_all, definition, table::Kind};

/// Settings by Kafka's names.
pub(crate) type Settings = BTreeMap<String, String>;

/// What to do with one setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Set,
    Delete,
    /// Adds the items of a comma-separated value that are not there yet.
    Append,
    /// Takes the items of a comma-separated value out.
    Subtract,
}

impl Operation {
    /// By Kafka's number.
    pub(crate) fn from_code(code: i8) -> Option<Self> {
        [Self::Set, Self::Delete, Self::Append, Self::Subtract].get(usize::try_from(code).ok()?).copied()
    }

    fn name(self) -> &'static str {
        match self {
            Self::Set => "SET",
            Self::Delete => "DELETE",
            Self::Append => "APPEND",
            Self::Subtract => "SUBTRACT",
        }
    }
}

/// One setting of an alteration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Edit<'a> {
    pub(crate) name: &'a str,
    pub(crate) operation: Operation,
    pub(crate) value: Option<&'a str>,
}

/// Why settings are not altered, in Kafka's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AlterationError {
    /// The request contradicts itself.
    #[error("{0}")]
    Request(String),
    /// What would come out is not allowed.
    #[error("{0}")]
    Config(String),
}

/// What every alteration must be like, whatever it alters: each name once, a value unless it deletes.
pub(crate) fn check_edits(edits: &[Edit<'_>]) -> Result<(), AlterationError> {
    let mut names = BTreeSet::new();
    if !edits.iter().all(|edit| names.insert(edit.name)) {
        return Err(AlterationError::Request("Error due to duplicate config keys".to_owned()));
    }
    let lacks_value = |edit: &&Edit<'_>| edit.operation != Operation::Delete && edit.value.is_none();
    let nulls: Vec<&str> = edits.iter().filter(lacks_value).map(|edit| edit.name).collect();
    if nulls.is_empty() {
        Ok(())
    } else {
        Err(AlterationError::Request(format!("Null value not supported for : {}", nulls.join(", "))))
    }
}

/// The settings after the edits, all of them valid.
pub(crate) fn edited(current: &Settings, edits: &[Edit<'_>], defaults: &Defaults) -> Result<Settings, AlterationError> {
    let list = |settings: &Settings, name: &str| {
        let definition = definition(name).filter(|definition| matches!(definition.kind, Kind::List(_)))?;
        Some(defaults.effective(settings, definition).0.to_owned())
    };
    let settings = apply(current, edits, list)?;
    check(&settings, defaults)?;
    Ok(settings)
}

/// Makes the edits; what comes out is not checked. `list`: the present value of a setting that is a list.
pub(crate) fn apply(
    current: &Settings,
    edits: &[Edit<'_>],
    list: impl Fn(&Settings, &str) -> Option<String>,
) -> Result<Settings, AlterationError> {
    check_edits(edits)?;
    let mut settings = current.clone();
    for edit in edits {
        let value = edit.value.unwrap_or_default().trim();
        match edit.operation {
            Operation::Delete => drop(settings.remove(edit.name)),
            Operation::Set => drop(settings.insert(edit.name.to_owned(), value.to_owned())),
            operation @ (Operation::Append | Operation::Subtract) => {
                let Some(list) = list(&settings, edit.name) else {
                    let (what, name) = (operation.name(), edit.name);
                    let message = format!("Can't {what} to key {name} because its type is not LIST.");
                    return Err(AlterationError::Config(message));
                };
                let list = if operation == Operation::Append { append(&list, value) } else { subtract(&list, value) };
                settings.insert(edit.name.to_owned(), list);
            }
        }
    }
    Ok(settings)
}

/// The settings when `edits`, of which all set, take the place of what there is.
pub(crate) fn replaced(edits: &[Edit<'_>], defaults: &Defaults) -> Result<Settings, AlterationError> {
    edited(&Settings::new(), edits, defaults)
}

/// Each value for itself, and those that bound each other.
pub(crate) fn check(settings: &Settings, defaults: &Defaults) -> Result<(), AlterationError> {
    check_all(settings).map_err(AlterationError::Config)?;
    let number =
        |name: &str| definition(name).and_then(|d| defaults.effective(settings, d).0.trim().parse::<i64>().ok());
    let (least, greatest) = ("min.compaction.lag.ms", "max.compaction.lag.ms");
    match (number(least), number(greatest)) {
        (Some(min), Some(max)) if min > max => {
            Err(AlterationError::Config(format!("conflict topic config setting {least} ({min}) > {greatest} ({max})")))
        }
        _ => Ok(()),
    }
}

fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn append(list: &str, added: &str) -> String {
    let mut all: Vec<&str> = items(list).collect();
    for item in items(added) {
        if !all.contains(&item) {
            all.push(item);
        }
    }
    all.join(",")
}

fn subtract(list: &str, taken: &str) -> String {
    let taken: BTreeSet<&str> = items(taken).collect();
    items(list).filter(|item| !taken.contains(item)).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn edit<'a>(name: &'a str, operation: Operation, value: &'a str) -> Edit<'a> {
        Edit { name, operation, value: Some(value) }
    }

    #[test]
    fn settings_are_set_deleted_appended_and_subtracted() {
        use Operation::{Append, Delete, Set, Subtract};
        let defaults = Defaults::default();
        let current = settings(&[("retention.ms", "1000"), ("segment.bytes", "1048576")]);
        let edits = [
            edit("retention.ms", Set, " 2000 "),
            Edit { name: "segment.bytes", operation: Delete, value: None },
            Edit { name: "not.there", operation: Delete, value: None },
            // The default counts as the list that is there.
            edit("cleanup.policy", Append, "compact,delete"),
        ];
        let after = edited(&current, &edits, &defaults);
        assert_eq!(after, Ok(settings(&[("cleanup.policy", "delete,compact"), ("retention.ms", "2000")])));
        let after = edited(&after.unwrap_or_default(), &[edit("cleanup.policy", Subtract, "delete")], &defaults);
        assert_eq!(after, Ok(settings(&[("cleanup.policy", "compact"), ("retention.ms", "2000")])));
        let after = replaced(&[edit("flush.ms", Set, "5")], &defaults);
        assert_eq!(after, Ok(settings(&[("flush.ms", "5")])));
    }

    #[test]
    fn what_cannot_be_is_refused_as_a_whole() {
        use Operation::{Append, Set, Subtract};
        let defaults = Defaults::default();
        let current = settings(&[("max.compaction.lag.ms", "10")]);
        let null = Edit { name: "retention.ms", operation: Set, value: None };
        for (edits, request) in [
            (vec![edit("retention.ms", Set, "1"), edit("retention.ms", Set, "2")], true),
            (vec![null], true),
            (vec![edit("foo", Set, "1")], false),
            (vec![edit("foo", Append, "1")], false),
            (vec![edit("retention.ms", Append, "1")], false),
            (vec![edit("retention.ms", Set, "1"), edit("segment.bytes", Set, "x")], false),
            (vec![edit("cleanup.policy", Subtract, "delete")], false),
            (vec![edit("min.compaction.lag.ms", Set, "11")], false),
        ] {
            let refused = edited(&current, &edits, &defaults);
            assert_eq!(matches!(refused, Err(AlterationError::Request(_))), request, "{edits:?}: {refused:?}");
            assert_eq!(matches!(refused, Err(AlterationError::Config(_))), !request, "{edits:?}: {refused:?}");
        }
    }

    #[test]
    fn operations_have_kafkas_numbers() {
        let codes: Vec<_> = (-1..5).map(Operation::from_code).collect();
        let of = |operation| Some(operation);
        assert_eq!(
            codes,
            [None, of(Operation::Set), of(Operation::Delete), of(Operation::Append), of(Operation::Subtract), None]
        );
    }
}
