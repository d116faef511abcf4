//! The Debian packages of the binaries beside this one, made by deploy/debian/build.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

/// Makes packages of this version into `dir`; gives their paths.
pub fn build(dir: &Path, version: &str, packages: &[&str]) -> Result<Vec<PathBuf>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/debian/build");
    let binaries = std::env::current_exe()?;
    let binaries = binaries.parent().context("no directory of binaries")?;
    let output = Command::new(script)
        .arg("--binaries")
        .arg(binaries)
        .arg("--output")
        .arg(dir)
        .args(["--version", version])
        .args(packages)
        .env("DEB_COMPRESSION_LEVEL", "1")
        .output()
        .context("running deploy/debian/build")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "deploy/debian/build: {errors}");
    let made: Vec<PathBuf> = String::from_utf8_lossy(&output.stdout).lines().map(PathBuf::from).collect();
    ensure!(made.len() == packages.len(), "{} packages for {packages:?}", made.len());
    Ok(made)
}
