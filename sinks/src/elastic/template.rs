//! The index template that new indices begin with: ECS types for what logs have in common, put once before the first
//! document. A template of that name that somebody else made stays as it is.

mod mapping;

use std::time::Duration;

use ::elasticsearch::http::Method;
use logmill_config::sinks;
use openssl::sha::sha256;
use serde_json::{Value, json};

use super::{
    classify,
    fingerprint::hex,
    pool::{Pool, Said},
    response,
};
use crate::connector::{Outcome, Outcomes};

/// Who put a template, in its `_meta`.
const OURS: &str = "logmill";
const JSON: &str = "application/json";

pub(super) struct Templates {
    sink: String,
    name: String,
    pattern: String,
    data_stream: bool,
    priority: u32,
    retention: Option<Duration>,
}

/// What is done about the template that is there.
#[derive(Debug, PartialEq, Eq)]
enum There {
    /// None, or an older one of ours.
    Put,
    /// Ours, as it should be.
    Same,
    /// Somebody else's.
    Foreign,
}

/// By which means the node deletes old indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lifecycle {
    /// Elasticsearch's policies, named in the index's settings.
    Ilm,
    /// OpenSearch's, which find indices by themselves.
    Ism,
    /// The data stream's own.
    Stream,
}

impl Templates {
    pub(super) fn new(sink: &str, config: &sinks::Elasticsearch) -> Self {
        Self {
            sink: sink.to_owned(),
            name: config.template.name.clone(),
            pattern: pattern(&config.index),
            data_stream: config.data_stream,
            priority: config.template.priority,
            retention: config.template.retention,
        }
    }

    /// # Errors
    /// What the sink is to do instead of delivering.
    pub(super) async fn put(&self, pool: &Pool, timeout: Duration) -> Result<(), Outcome> {
        let path = format!("_index_template/{}", self.name);
        let found = pool.send(Method::Get, &path, JSON, None, timeout).await?;
        let lifecycle = match self.retention {
            Some(_) if self.data_stream => Some(Lifecycle::Stream),
            Some(retention) => self.policies(retention, pool, timeout).await?,
            None => None,
        };
        let body = self.body(lifecycle);
        match found.status {
            200 => match there(&found.body, &body) {
                There::Put => {}
                There::Same => return Ok(()),
                There::Foreign => {
                    tracing::info!(sink = %self.sink, template = self.name, "the index template is not logmill's and stays as it is");
                    return Ok(());
                }
            },
            404 => {}
            _ => return self.answered(&found),
        }
        let mut said = pool.send(Method::Put, &path, JSON, Some(body.to_string().into()), timeout).await?;
        if let (Some(retention), true) = (self.retention, lifecycle == Some(Lifecycle::Stream) && no_lifecycle(&said)) {
            let instead = self.policies(retention, pool, timeout).await?;
            said = pool.send(Method::Put, &path, JSON, Some(self.body(instead).to_string().into()), timeout).await?;
        }
        self.answered(&said)
    }

    fn answered(&self, said: &Said) -> Result<(), Outcome> {
        let fault = response::request_error(&said.body);
        match said.status {
            200..=299 => {
                tracing::info!(sink = %self.sink, template = self.name, pattern = self.pattern, "put the index template");
                Ok(())
            }
            // Nothing here knows templates.
            404 | 405 | 501 => {
                tracing::warn!(sink = %self.sink, "takes no index template, goes on without: {}", fault.words(said.status));
                Ok(())
            }
            status => match classify::request(status, fault) {
                // Who is not let in would be refused elsewhere too.
                Outcomes::All(Outcome::Pause { reason }) if status != 401 => Err(Outcome::Pause {
                    reason: format!(
                        "the index template {} is refused, mend that or set template: {{ put: false }}: {reason}",
                        self.name
                    ),
                }),
                Outcomes::All(outcome) => Err(outcome),
                _ => Err(Outcome::Pause { reason: format!("the index template is refused: status {status}") }),
            },
        }
    }

    /// Makes the policy that indices are deleted by, where the node has such.
    async fn policies(
        &self,
        retention: Duration,
        pool: &Pool,
        timeout: Duration,
    ) -> Result<Option<Lifecycle>, Outcome> {
        for kind in [Lifecycle::Ilm, Lifecycle::Ism] {
            let (path, policy) = self.policy(kind, retention);
            let said = pool.send(Method::Put, &path, JSON, Some(policy.to_string().into()), timeout).await?;
            match said.status {
                200..=299 | 409 => return Ok(Some(kind)),
                // No such endpoint: the other one, or none.
                400 | 404 | 405 => {}
                _ => self.answered(&said)?,
            }
        }
        tracing::warn!(sink = %self.sink, "the node has no lifecycle management: template.retention deletes nothing");
        Ok(None)
    }

    fn policy(&self, kind: Lifecycle, retention: Duration) -> (String, Value) {
        let age = format!("{}s", retention.as_secs());
        match kind {
            Lifecycle::Ilm | Lifecycle::Stream => (
                format!("_ilm/policy/{}", self.name),
                json!({"policy": {"_meta": {"managed_by": OURS}, "phases": {
                    "hot": {"min_age": "0ms", "actions": {}},
                    "delete": {"min_age": age, "actions": {"delete": {}}}
                }}}),
            ),
            Lifecycle::Ism => (
                format!("_plugins/_ism/policies/{}", self.name),
                json!({"policy": {
                    "description": "put by logmill", "default_state": "kept",
                    "states": [
                        {"name": "kept", "actions": [], "transitions": [{"state_name": "gone", "conditions": {"min_index_age": age}}]},
                        {"name": "gone", "actions": [{"delete": {}}], "transitions": []}
                    ],
                    "ism_template": [{"index_patterns": [self.pattern], "priority": self.priority}]
                }}),
            ),
        }
    }

    fn body(&self, lifecycle: Option<Lifecycle>) -> Value {
        let mut template = json!({"mappings": mapping::ecs()});
        match (lifecycle, self.retention) {
            (Some(Lifecycle::Ilm), _) => template["settings"] = json!({"index.lifecycle.name": self.name}),
            (Some(Lifecycle::Stream), Some(retention)) => {
                template["lifecycle"] = json!({"data_retention": format!("{}s", retention.as_secs())});
            }
            _ => {}
        }
        let mut body = json!({"index_patterns": [self.pattern], "priority": self.priority, "template": template});
        if self.data_stream {
            body["data_stream"] = json!({});
        }
        let digest = hex(&sha256(body.to_string().as_bytes()));
        body["_meta"] = json!({"managed_by": OURS, "sha256": digest});
        body
    }
}

/// Whether a template is refused for its data stream's lifecycle, which this node does not know: OpenSearch, and
/// Elasticsearch before 8.11.
fn no_lifecycle(said: &Said) -> bool {
    said.status == 400 && String::from_utf8_lossy(&said.body).contains("unknown field [lifecycle]")
}

fn there(found: &[u8], ours: &Value) -> There {
    let answer: Value = serde_json::from_slice(found).unwrap_or_default();
    let Some(meta) = answer.pointer("/index_templates/0/index_template/_meta") else { return There::Foreign };
    match (meta["managed_by"] == OURS, meta["sha256"] == ours["_meta"]["sha256"]) {
        (true, true) => There::Same,
        (true, false) => There::Put,
        (false, _) => There::Foreign,
    }
}

/// `app-%Y.%m.%d` is `app-*`, `{service.name}` anything.
fn pattern(index: &str) -> String {
    let mut pattern = String::with_capacity(index.len());
    let mut chars = index.chars();
    while let Some(c) = chars.next() {
        match c {
            '%' => drop(chars.next()),
            '{' => drop(chars.by_ref().find(|c| *c == '}')),
            c => {
                pattern.push(c);
                continue;
            }
        }
        if !pattern.ends_with('*') {
            pattern.push('*');
        }
    }
    // Dates in a row with dots between them are one star.
    while let Some(shorter) = pattern.strip_suffix(".*").filter(|rest| rest.ends_with('*')).map(str::to_owned) {
        pattern = shorter;
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::settings;

    #[test]
    fn patterns() {
        for (index, expected) in [
            ("app-%Y.%m.%d", "app-*"),
            ("app", "app"),
            ("logs-{service.name}-default", "logs-*-default"),
            ("a-{x}%Y", "a-*"),
            ("a-%Y-%m", "a-*-*"),
        ] {
            assert_eq!(pattern(index), expected, "{index}");
        }
    }

    #[test]
    fn a_template_of_ours_is_renewed_and_others_are_left_alone() {
        let templates = Templates::new("s", &settings("http://h"));
        let body = templates.body(None);
        assert_eq!((&body["index_patterns"][0], &body["priority"]), (&json!("app-*"), &json!(50)));
        let answer =
            |template: &Value| json!({"index_templates": [{"name": "x", "index_template": template}]}).to_string();
        assert_eq!(there(answer(&body).as_bytes(), &body), There::Same);
        let other = templates.body(Some(Lifecycle::Ilm));
        assert_eq!(other["template"]["settings"]["index.lifecycle.name"], "logmill-s");
        assert_eq!(there(answer(&other).as_bytes(), &body), There::Put);
        assert_eq!(there(answer(&json!({"index_patterns": ["app-*"]})).as_bytes(), &body), There::Foreign);
        assert_eq!(there(b"{}", &body), There::Foreign);
        assert_eq!(there(b"<html>", &body), There::Foreign);
    }

    #[test]
    fn a_node_that_knows_no_lifecycle_says_so() {
        let answer = |status, body: &'static str| Said { status, body: body.into(), retry_after: None };
        let opensearch = r#"{"error":{"root_cause":[{"type":"x_content_parse_exception","reason":"[1:78] [template] unknown field [lifecycle]"}],"type":"x_content_parse_exception",
            "reason":"[1:90] [index_template] failed to parse field [template]"},"status":400}"#;
        assert!(no_lifecycle(&answer(400, opensearch)));
        assert!(!no_lifecycle(&answer(200, r#"{"acknowledged":true}"#)));
        assert!(!no_lifecycle(&answer(400, r#"{"error":{"type":"invalid_index_template_exception"},"status":400}"#)));
    }

    #[test]
    fn a_data_stream_keeps_its_own_time() {
        let mut config = settings("http://h");
        (config.index, config.data_stream) = ("logs-app-default".into(), true);
        config.template.retention = Some(Duration::from_secs(86_400));
        let body = Templates::new("s", &config).body(Some(Lifecycle::Stream));
        assert_eq!(body["data_stream"], json!({}));
        assert_eq!(body["template"]["lifecycle"]["data_retention"], "86400s");
    }
}
