//! Scenarios as data: requests and what their answers must hold, run on the embedded index and on a real node alike.
//!
//! A file is `{"steps": [{"request": "POST /i/_search", "body": …, "status": 200, "expect": …}, …]}`. `body` is JSON, or with
//! `lines` newline-delimited JSON, or with `text` sent as it is. `expect` is matched in part: keys it does not name are free, lists
//! must match element by element, `"<any>"`, `"<number>"`, `"<string>"` and `"<absent>"` stand for themselves, and a string
//! that begins with `~` must be contained. `status` may be left out: any will do then.

use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    pub steps: Vec<Step>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Method and path.
    pub request: String,
    pub body: Option<Value>,
    pub lines: Option<Vec<Value>>,
    pub text: Option<String>,
    /// Of the body; JSON unless given.
    pub content_type: Option<String>,
    pub status: Option<u16>,
    pub expect: Option<Value>,
    /// Why, for the reader.
    #[serde(default)]
    pub note: String,
}

impl Scenario {
    /// # Errors
    /// Where the file is not of the form above.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }
}

impl Step {
    pub fn method(&self) -> &str {
        self.request.split(' ').next().unwrap_or_default()
    }

    /// Path with query.
    pub fn path(&self) -> &str {
        self.request.split_once(' ').map_or("/", |(_, path)| path)
    }

    /// The body's bytes and media type, if there is a body.
    pub fn payload(&self) -> Option<(Vec<u8>, String)> {
        let media = |default: &str| self.content_type.clone().unwrap_or_else(|| default.to_owned());
        if let Some(text) = &self.text {
            return Some((text.clone().into_bytes(), media("application/json")));
        }
        if let Some(lines) = &self.lines {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            return Some((text.into_bytes(), media("application/x-ndjson")));
        }
        self.body.as_ref().map(|body| (body.to_string().into_bytes(), media("application/json")))
    }

    /// Checks an answer.
    ///
    /// # Errors
    /// What differs, and where.
    pub fn check(&self, status: u16, body: &[u8]) -> Result<(), String> {
        let told = || format!("{}: {}", self.request, String::from_utf8_lossy(&body[..body.len().min(2000)]));
        if let Some(wanted) = self.status
            && wanted != status
        {
            return Err(format!("status {status} instead of {wanted} for {}", told()));
        }
        let Some(expect) = &self.expect else { return Ok(()) };
        let found =
            serde_json::from_slice(body).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(body).into_owned()));
        difference(expect, Some(&found), "$").map_or(Ok(()), |what| Err(format!("{what} in answer to {}", told())))
    }
}

/// Where `found` is not as expected.
fn difference(expect: &Value, found: Option<&Value>, at: &str) -> Option<String> {
    if expect == "<absent>" {
        return found.map(|found| format!("{at} should be absent, is {found}"));
    }
    let Some(found) = found else { return Some(format!("{at} is missing")) };
    let wrong = |what: &str| Some(format!("{at} is {found}, expected {what}"));
    match (expect, found) {
        (Value::String(text), _) if text == "<any>" => None,
        (Value::String(text), found) if text == "<number>" => {
            if found.is_number() {
                None
            } else {
                wrong("a number")
            }
        }
        (Value::String(text), found) if text == "<string>" => {
            if found.is_string() {
                None
            } else {
                wrong("a string")
            }
        }
        (Value::String(part), Value::String(text)) if part.starts_with('~') => {
            if text.contains(&part[1..]) {
                None
            } else {
                wrong(&format!("something with '{}'", &part[1..]))
            }
        }
        (Value::Object(expect), Value::Object(found)) => {
            expect.iter().find_map(|(key, value)| difference(value, found.get(key), &format!("{at}.{key}")))
        }
        (Value::Array(expect), Value::Array(list)) if expect.len() == list.len() => expect
            .iter()
            .zip(list)
            .enumerate()
            .find_map(|(place, (expect, found))| difference(expect, Some(found), &format!("{at}[{place}]"))),
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap_or(f64::NAN), b.as_f64().unwrap_or(f64::NAN));
            if (a - b).abs() <= 1e-9 * a.abs().max(1.0) { None } else { wrong(&expect.to_string()) }
        }
        (expect, found) if expect == found => None,
        (expect, _) => wrong(&expect.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::difference;

    #[test]
    fn tells_differences() {
        let found = json!({"a": [1, {"b": "text"}], "n": null});
        assert_eq!(difference(&json!({"a": [1, {"b": "~ex"}]}), Some(&found), "$"), None);
        assert_eq!(difference(&json!({"a": "<any>", "x": "<absent>"}), Some(&found), "$"), None);
        assert!(difference(&json!({"a": [1]}), Some(&found), "$").is_some());
        assert!(difference(&json!({"x": 1}), Some(&found), "$").unwrap().contains("$.x is missing"));
        assert!(difference(&json!({"n": 0}), Some(&found), "$").is_some());
        assert!(difference(&json!({"a": "<absent>"}), Some(&found), "$").is_some());
    }
}
