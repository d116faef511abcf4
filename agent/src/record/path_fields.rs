//! Fields that a file's path tells: named groups of a regular expression, or what Kubernetes writes into it.

use std::{collections::BTreeMap, path::Path};

use logmill_config::agent;
use regex::Regex;
use serde_json::Value;

/// The kubelet's own directory, and the links to its files by pod and container.
const KUBERNETES: [&str; 2] = [
    r"/pods/(?<kubernetes__namespace>[^/_]+)_(?<kubernetes__pod__name>[^/_]+)_(?<kubernetes__pod__uid>[^/_]+)/(?<kubernetes__container__name>[^/]+)/[^/]+$",
    r"/containers/(?<kubernetes__pod__name>[^/_]+)_(?<kubernetes__namespace>[^/_]+)_(?<kubernetes__container__name>[^/]+)-(?<container__id>[0-9a-f]{64})\.log$",
];

#[derive(Debug, Default)]
pub(crate) struct PathFields(Vec<Regex>);

impl PathFields {
    /// # Errors
    /// The pattern is no regular expression (configuration checks that before).
    pub(crate) fn new(config: Option<&agent::PathFields>) -> Result<Self, regex::Error> {
        let patterns = match config {
            None => vec![],
            Some(agent::PathFields::Kubernetes) => KUBERNETES.to_vec(),
            Some(agent::PathFields::Pattern(pattern)) => vec![pattern.as_str()],
        };
        Ok(Self(patterns.into_iter().map(Regex::new).collect::<Result<_, _>>()?))
    }

    /// What `path` tells, and `fields`, which win.
    pub(crate) fn with(&self, path: &Path, fields: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
        let path = path.to_string_lossy();
        let mut all = BTreeMap::new();
        if let Some((regex, found)) = self.0.iter().find_map(|regex| Some((regex, regex.captures(&path)?))) {
            let groups = regex.capture_names().flatten().filter_map(|name| Some((name, found.name(name)?)));
            all.extend(groups.map(|(name, text)| (name.replace("__", "."), Value::from(text.as_str()))));
        }
        all.extend(fields.iter().map(|(name, value)| (name.clone(), value.clone())));
        all
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn of(config: agent::PathFields, path: &str) -> Vec<(String, String)> {
        let fields = BTreeMap::from([("cloud.region".to_owned(), Value::from("west"))]);
        let all = PathFields::new(Some(&config)).unwrap().with(Path::new(path), &fields);
        all.into_iter().map(|(name, value)| (name, value.as_str().unwrap().to_owned())).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn pods_by_both_of_their_paths() {
        let id = "ab".repeat(32);
        let pod = "/var/log/pods/shop_cart-5d_2f1c-77/web/0.log";
        let expected = [
            ("cloud.region", "west"),
            ("kubernetes.container.name", "web"),
            ("kubernetes.namespace", "shop"),
            ("kubernetes.pod.name", "cart-5d"),
            ("kubernetes.pod.uid", "2f1c-77"),
        ];
        assert_eq!(pairs(&expected), of(agent::PathFields::Kubernetes, pod));
        let link = format!("/var/log/containers/cart-5d_shop_web-1-{id}.log");
        let expected = [
            ("cloud.region", "west"),
            ("container.id", id.as_str()),
            ("kubernetes.container.name", "web-1"),
            ("kubernetes.namespace", "shop"),
            ("kubernetes.pod.name", "cart-5d"),
        ];
        assert_eq!(pairs(&expected), of(agent::PathFields::Kubernetes, &link));
        assert_eq!(pairs(&[("cloud.region", "west")]), of(agent::PathFields::Kubernetes, "/var/log/syslog"));
    }

    #[test]
    fn a_pattern_of_ones_own() {
        let pattern = agent::PathFields::Pattern("^/srv/(?<service__name>[^/]+)/(?<cloud__region>[^/]+)/".into());
        let expected = [("cloud.region", "west"), ("service.name", "cart")];
        assert_eq!(pairs(&expected), of(pattern, "/srv/cart/east/a.log"), "configured fields win");
    }
}
