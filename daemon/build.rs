//! Puts commit, profile and target into the binaries. `LOGMILL_COMMIT` names the commit where there is no repository (a
//! source archive, a container); a release build asks git otherwise. A debug build does not, so that a commit compiles nothing anew.

use std::{env, path::Path, process::Command};

fn main() {
    println!("cargo::rerun-if-env-changed=LOGMILL_COMMIT");
    println!("cargo::rerun-if-changed=build.rs");
    let profile = env::var("PROFILE").unwrap_or_default();
    let given = env::var("LOGMILL_COMMIT").ok().filter(|commit| !commit.is_empty());
    let commit = given.or_else(|| if profile == "release" { of_repository() } else { None });
    let target = env::var("TARGET").unwrap_or_default();
    let parts = commit.into_iter().chain([profile, target]);
    println!("cargo::rustc-env=LOGMILL_BUILD={}", parts.collect::<Vec<_>>().join(", "));
}

/// The commit checked out, with a mark when files differ from it.
fn of_repository() -> Option<String> {
    for changes in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", changes]).filter(|path| Path::new(path).exists()) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let clean = git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    Some(if clean { commit } else { format!("{commit} with changes") })
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let words = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| words.trim().to_owned())
}
