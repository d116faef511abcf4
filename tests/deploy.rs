//! What deploy/ and docs/ say is true of the rest: configurations load, units and packages fit the binaries, alerts name metrics that exist.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use logmill_config::kind::{self, Kind};

const DAEMONS: [(&str, Kind); 4] =
    [("agent", Kind::Agent), ("broker", Kind::Broker), ("sinks", Kind::Sinks), ("index", Kind::Index)];

fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

fn text(relative: &str) -> String {
    fs::read_to_string(path(relative)).unwrap_or_else(|e| panic!("{relative}: {e}"))
}

#[test]
fn the_configurations_of_the_images_load() {
    for (name, expected) in DAEMONS {
        let (kind, _) = kind::check(&path(&format!("deploy/docker/config/{name}.yaml"))).unwrap();
        assert_eq!(kind, expected);
    }
    for (name, expected) in [("agent", Kind::Agent), ("sinks", Kind::Sinks)] {
        let (kind, _) = kind::check(&path(&format!("deploy/docker/kafka/{name}.yaml"))).unwrap();
        assert_eq!(kind, expected);
    }
}

#[test]
fn each_daemon_has_its_unit_user_and_image() {
    let (dockerfile, compose) = (text("deploy/docker/Dockerfile"), text("deploy/docker/compose.yaml"));
    for (name, _) in DAEMONS {
        let unit = text(&format!("deploy/systemd/logmill-{name}.service"));
        for line in [
            "Type=notify".to_owned(),
            format!("User=logmill-{name}"),
            format!("StateDirectory=logmill-{name}"),
            format!("ExecStart=/usr/bin/logmill-{name} --config /etc/logmill/{name}.yaml"),
            "RestartPreventExitStatus=64 78".to_owned(),
            "NoNewPrivileges=yes".to_owned(),
        ] {
            assert!(unit.lines().any(|l| l == line), "logmill-{name}.service: expected {line}");
        }
        assert!(text(&format!("deploy/systemd/logmill-{name}.sysusers")).contains(&format!("u logmill-{name} ")));
        assert!(dockerfile.contains(&format!("FROM base AS {name}\n")), "no target {name}");
        assert!(compose.contains(&format!("\n  {name}:\n")), "no service {name}");
    }
}

/// Variables that the images' documentation names are those their configurations take.
#[test]
fn the_variables_of_the_images_are_documented() {
    let install = text("docs/install.md");
    for (name, _) in DAEMONS {
        for variable in variables(&text(&format!("deploy/docker/config/{name}.yaml"))) {
            assert!(install.contains(&format!("`{variable}`")), "docs/install.md does not name {variable} of {name}");
        }
    }
}

fn variables(text: &str) -> Vec<String> {
    let named = text.split("${").skip(1);
    named.map(|rest| rest.chars().take_while(|c| c.is_ascii_uppercase() || *c == '_').collect()).collect()
}

/// Metric names, in the words of the documents and of the sources.
#[test]
fn alerts_and_operations_name_metrics_that_exist() {
    let mut sources = String::new();
    for house in ["agent/src", "broker/src", "sinks/src", "index/src", "daemon/src"] {
        gather(&path(house), &mut sources);
    }
    let mut seen = 0;
    for document in ["docs/operations.md", "deploy/prometheus/alerts.yaml"] {
        for name in metric_names(&text(document)) {
            seen += 1;
            // The agent's are made from their last part.
            let short = name.strip_prefix("logmill_agent_").unwrap_or(&name).to_owned();
            let there = sources.contains(&format!("\"{name}\"")) || sources.contains(&format!("\"{short}\""));
            assert!(there, "{document}: no metric is named {name}");
        }
    }
    assert!(seen > 20, "{seen} metrics found");
}

fn gather(dir: &Path, all: &mut String) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, all);
        } else {
            all.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

fn metric_names(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
    let ours = |w: &&str| ["agent", "broker", "sinks", "index"].iter().any(|h| w.starts_with(&format!("logmill_{h}_")));
    words.filter(ours).map(str::to_owned).collect()
}
