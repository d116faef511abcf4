//! Puts a tag to an encoded record; everything else stays byte for byte.

use super::scan::{Kind, Member, object};

const TAGS: &str = "tags";

/// `value` with `tag` among its `tags`; as it is where `tags` is an object, which no tag goes beside.
pub(crate) fn tagged(value: &[u8], tag: &str) -> Vec<u8> {
    let mut out = value.to_vec();
    let mut members = Vec::new();
    let Some(text) = std::str::from_utf8(value).ok().filter(|text| object(text, &mut members)) else { return out };
    let is_tags = |member: &&Member| text.get(member.key.clone()) == Some(TAGS);
    let Some(Member { value: at, kind, .. }) = members.iter().rev().find(is_tags) else {
        if let Some(end) = text.rfind('}') {
            let comma = if members.is_empty() { "" } else { "," };
            out.splice(end..end, format!("{comma}\"{TAGS}\":[\"{tag}\"]").into_bytes());
        }
        return out;
    };
    let old = text.get(at.clone()).unwrap_or_default();
    let new = match kind {
        Kind::Array { of_objects: true } | Kind::Object => return out,
        Kind::Word if old == "null" => format!("[\"{tag}\"]"),
        Kind::Word | Kind::String | Kind::Number => format!("[{old},\"{tag}\"]"),
        Kind::Array { of_objects: false } => {
            let inside = old.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or_default().trim();
            if inside.is_empty() { format!("[\"{tag}\"]") } else { format!("[{inside},\"{tag}\"]") }
        }
    };
    out.splice(at.clone(), new.into_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_comes_to_those_that_are_there() {
        for (record, expected) in [
            (r#"{}"#, r#"{"tags":["new"]}"#),
            (r#"{"message":"a}","log":{"offset":1}}"#, r#"{"message":"a}","log":{"offset":1},"tags":["new"]}"#),
            (r#"{"tags":["a" , "b"],"n":1e999}"#, r#"{"tags":["a" , "b","new"],"n":1e999}"#),
            (r#"{"tags":[["]"]]}"#, r#"{"tags":[["]"],"new"]}"#),
            (r#"{"tags": [ ],"x":1}"#, r#"{"tags": ["new"],"x":1}"#),
            (r#"{"tags":"]","x":1}"#, r#"{"tags":["]","new"],"x":1}"#),
            (r#"{"tags":null}"#, r#"{"tags":["new"]}"#),
            (r#"{"tags":{"a":1}}"#, r#"{"tags":{"a":1}}"#),
            (r#"{"log":{"tags":"x"}}"#, r#"{"log":{"tags":"x"},"tags":["new"]}"#),
        ] {
            assert_eq!(String::from_utf8(tagged(record.as_bytes(), "new")).unwrap(), expected);
        }
        assert_eq!(tagged(b"no record", "new"), b"no record");
    }
}
