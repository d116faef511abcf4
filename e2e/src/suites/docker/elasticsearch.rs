//! The compose file with a real Elasticsearch: lines in, documents out of it.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use anyhow::{Result, ensure};

use super::{container, healthy, whole};
use crate::{
    docker::Docker,
    generate::{Dates, Plan, Writer},
};

const IMAGE: &str = "docker.elastic.co/elasticsearch/elasticsearch";
const FILES: usize = 2;
const LINES: u64 = 3000;
const STARTS_WITHIN: Duration = Duration::from_secs(240);

/// The images of logmill are there; `file` is the compose file.
pub(super) async fn run(docker: &Docker, file: &Path, logs: &Path) -> Result<String> {
    let version = docker.import_elasticsearch(IMAGE)?;
    fs::create_dir_all(logs)?;
    fs::set_permissions(logs, fs::Permissions::from_mode(0o755))?;
    let directory = logs.display().to_string();
    let environment = [("LOGMILL_LOGS_DIR", directory.as_str()), ("ELASTICSEARCH_VERSION", version.as_str())];
    docker.compose(file, &environment, &["up", "--detach", "--no-build"])?;
    for name in ["broker", "sinks", "agent"] {
        healthy(docker, name).await?;
    }
    let plan = Plan {
        dir: logs.to_owned(),
        files: FILES,
        lines_per_file: LINES,
        rotate_every: LINES / 2,
        rate: 0,
        dates: Dates::Now,
    };
    ensure!(Writer::start(plan).join()? == FILES as u64 * LINES, "the writer did not finish");
    whole(docker, FILES, LINES, STARTS_WITHIN).await?;
    for name in ["agent", "sinks", "broker"] {
        docker.run(&["stop", "--time", "15", &container(name)])?;
        let code = docker.run(&["inspect", "--format", "{{.State.ExitCode}}", &container(name)])?;
        ensure!(code == "0", "{name} stopped with {code}");
    }
    docker.compose(file, &environment, &["down", "--volumes"])?;
    Ok(format!("{} lines whole in Elasticsearch {version}", FILES as u64 * LINES))
}
