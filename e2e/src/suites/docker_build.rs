//! The Dockerfile as it stands, its stage that compiles included: all images from the sources, each asked, the broker's started.

use std::{path::Path, time::Duration};

use anyhow::{Result, ensure};

use super::{Room, docker::BASE};
use crate::{
    clock,
    docker::{Docker, Network},
};

const RUST: &str = "rust:1.95-bookworm";
const IMAGES: [(&str, &str); 5] = [
    ("agent", "/usr/bin/logmill-agent"),
    ("broker", "/usr/bin/logmill-broker"),
    ("sinks", "/usr/bin/logmill-sinks"),
    ("index", "/usr/bin/logmill-index"),
    ("logmill", "/usr/bin/logmill"),
];
const SOON: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(300);

pub(super) async fn run(room: &Room) -> Result<String> {
    let docker = Docker::start(&room.dir.join("docker"), Network::Machine).await?;
    docker.import_base(BASE)?;
    docker.import_rust(RUST)?;
    println!("  {RUST} made");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (file, context) = (root.join("deploy/docker/Dockerfile"), root.display().to_string());
    let file = file.display().to_string();
    let (began, mut megabytes) = (clock::now(), Vec::new());
    for (target, program) in IMAGES {
        let image = format!("logmill/{target}");
        let build = ["build", "--network", "host", "--file", &file, "--target", target, "--tag", &image, &context];
        docker.run(&build)?;
        let version =
            docker.run(&["run", "--rm", "--network", "none", "--entrypoint", program, &image, "--version"])?;
        ensure!(version.contains("linux-gnu)"), "{target}: {version}");
        let size: u64 = docker.run(&["inspect", "--format", "{{.Size}}", &image])?.parse()?;
        megabytes.push(format!("{target} {} MB", size / 1_000_000));
        println!("  {image} made after {:.1} min: {version}", began.elapsed().as_secs_f64() / 60.0);
    }
    let minutes = began.elapsed().as_secs_f64() / 60.0;
    let alone = ["run", "--detach", "--name", "broker", "--network", "none", "--read-only", "--cap-drop", "ALL"];
    docker.run(&[&alone[..], &["logmill/broker"]].concat())?;
    clock::until("the broker in its container to be ready", SOON, TICK, || async {
        let asked = ["/usr/bin/logmill-broker", "--config", "/etc/logmill/broker.yaml", "--health", "ready"];
        docker.run(&[&["exec", "broker"], &asked[..]].concat()).map(Some)
    })
    .await?;
    docker.run(&["stop", "--time", "15", "broker"])?;
    let code = docker.run(&["inspect", "--format", "{{.State.ExitCode}}", "broker"])?;
    ensure!(code == "0", "the broker stopped with {code}");
    Ok(format!(
        "compiled in the image in {minutes:.1} min: {}; the broker ready and stopped in order",
        megabytes.join(", ")
    ))
}
