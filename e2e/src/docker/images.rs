//! The images that ours and the compose files start from, made on this machine under the names they have elsewhere.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use super::{Docker, said};
use crate::peers;

/// What the Dockerfile compiles in has a C compiler and what build scripts call.
const BUILD_TOOLS: &str = "FROM logmill/rust-bare
RUN apt-get update && apt-get install -y --no-install-recommends gcc g++ libc6-dev make perl pkg-config git curl
";

impl Docker {
    /// Makes an image with what a C program needs and nothing else, from the small Debian, under the name of the one that
    /// the Dockerfile starts from.
    pub fn import_base(&self, name: &str) -> Result<()> {
        let (tree, root) = (peers::debian_tree()?, self.dir.join("base"));
        let libraries = "usr/lib/x86_64-linux-gnu";
        for dir in [libraries, "usr/lib64", "usr/bin", "etc/ssl/certs", "tmp", "var/lib"] {
            fs::create_dir_all(root.join(dir))?;
        }
        for link in ["lib", "lib64", "bin"] {
            std::os::unix::fs::symlink(format!("usr/{link}"), root.join(link))?;
        }
        let names = [
            "libc.so.6",
            "libm.so.6",
            "libgcc_s.so.1",
            "libdl.so.2",
            "libpthread.so.0",
            "librt.so.1",
            "libresolv.so.2",
        ];
        for name in names {
            let from = tree.join(libraries).join(name);
            fs::copy(&from, root.join(libraries).join(name)).with_context(|| from.display().to_string())?;
        }
        let loader = "usr/lib64/ld-linux-x86-64.so.2";
        fs::copy(tree.join(libraries).join("ld-linux-x86-64.so.2"), root.join(loader))?;
        let certificates = "etc/ssl/certs/ca-certificates.crt";
        fs::copy(tree.join(certificates), root.join(certificates))?;
        fs::write(
            root.join("etc/passwd"),
            "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n",
        )?;
        fs::write(root.join("etc/group"), "root:x:0:\nnonroot:x:65532:\n")?;
        fs::write(root.join("etc/nsswitch.conf"), "hosts: files dns\n")?;
        let archive = self.dir.join("base.tar").display().to_string();
        said(Command::new("tar").args(["--owner=0", "--group=0", "-cf", &archive, "-C"]).arg(&root).arg("."), "tar")?;
        self.run(&["import", "--change", "USER 65532", &archive, name])?;
        Ok(())
    }

    /// Makes an image to compile in, from the small Debian, Debian's packages and this machine's Rust toolchain and
    /// certificates, under the name of the one that the Dockerfile starts from. Needs [`super::Network::Machine`].
    pub fn import_rust(&self, name: &str) -> Result<()> {
        let (tree, archive) = (peers::debian_tree()?, self.dir.join("rust.tar"));
        let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output().context("running rustc")?;
        ensure!(sysroot.status.success(), "rustc --print sysroot failed");
        let sysroot = PathBuf::from(String::from_utf8(sysroot.stdout)?.trim());
        add_debian(&archive, &tree)?;
        add(&archive, "usr/local/toolchain/", &sysroot, &["bin", "lib"])?;
        add(&archive, "etc/ssl/certs/", Path::new("/etc/ssl/certs"), &["ca-certificates.crt"])?;
        let path = "ENV PATH=/usr/local/toolchain/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let archive = archive.display().to_string();
        self.run(&[
            "import",
            "--change",
            path,
            "--change",
            "ENV CARGO_HOME=/usr/local/cargo",
            &archive,
            "logmill/rust-bare",
        ])?;
        fs::remove_file(&archive)?;
        let context = self.dir.join("rust");
        fs::create_dir_all(&context)?;
        fs::write(context.join("Dockerfile"), BUILD_TOOLS)?;
        self.run(&["build", "--network", "host", "--tag", name, &context.display().to_string()])?;
        Ok(())
    }

    /// Makes an image of the Elasticsearch that `e2e/peers/search` installs, with this machine's Java on the small Debian, under
    /// the name that the compose file uses. Gives its version.
    pub fn import_elasticsearch(&self, name: &str) -> Result<String> {
        let (tree, home, archive) = (peers::debian_tree()?, peers::elasticsearch_home()?, self.dir.join("search.tar"));
        let folder = home.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let version = folder.strip_prefix("elasticsearch-").context("no version in Elasticsearch's folder")?.to_owned();
        let java = fs::canonicalize(which("java")?)?;
        let java = java.parent().and_then(Path::parent).context("java stands in no directory")?;
        let own = self.dir.join("search");
        fs::create_dir_all(own.join("data"))?;
        fs::create_dir_all(own.join("logs"))?;
        fs::write(own.join("entrypoint"), SEARCH_ENTRYPOINT)?;
        fs::set_permissions(own.join("entrypoint"), fs::Permissions::from_mode(0o755))?;
        let options = fs::read_to_string(home.join("config/jvm.options"))?;
        let options = options.lines().filter(|line| !line.contains("incubator.vector")).collect::<Vec<_>>().join("\n");
        fs::create_dir_all(own.join("config"))?;
        fs::write(own.join("config/jvm.options"), options + "\n")?;
        fs::write(own.join("config/elasticsearch.yml"), SEARCH_SETTINGS)?;

        add_debian(&archive, &tree)?;
        let left_out =
            ["--dereference", "--exclude=src.zip", "--exclude=./docs", "--exclude=./jmods", "--exclude=./legal"];
        let java_files = [&left_out[..], &["--exclude=./man", "--ignore-failed-read", "."]].concat();
        add(&archive, "usr/lib/jvm/java/", java, &java_files)?;
        let user = ["--owner=1000", "--group=0"];
        let replaced =
            ["--exclude=./logs", "--exclude=./config/jvm.options", "--exclude=./config/elasticsearch.yml", "."];
        add(&archive, "usr/share/elasticsearch/", &home, &[&user[..], &replaced].concat())?;
        let ours = ["data", "logs", "entrypoint", "config/jvm.options", "config/elasticsearch.yml"];
        add(&archive, "usr/share/elasticsearch/", &own, &[&user[..], &ours].concat())?;
        let archive = archive.display().to_string();
        let mut import = vec!["import"];
        for change in [
            "USER 1000:0",
            "WORKDIR /usr/share/elasticsearch",
            "ENV ES_JAVA_HOME=/usr/lib/jvm/java",
            "ENTRYPOINT [\"/usr/share/elasticsearch/entrypoint\"]",
        ] {
            import.extend(["--change", change]);
        }
        let image = format!("{name}:{version}");
        import.extend([archive.as_str(), &image]);
        self.run(&import)?;
        fs::remove_file(&archive)?;
        Ok(version)
    }
}

/// As that of Elasticsearch's own image: variables with a dot in their names are settings.
const SEARCH_ENTRYPOINT: &str = r#"#!/bin/bash
settings=()
while IFS='=' read -r -d '' name value; do
  case $name in *.*) settings+=("-E$name=$value") ;; esac
done < <(env -0)
exec /usr/share/elasticsearch/bin/elasticsearch "${settings[@]}"
"#;

/// The first two as in Elasticsearch's own image; how full the machine's disk is does not concern a test.
const SEARCH_SETTINGS: &str = "cluster.name: docker-cluster
network.host: 0.0.0.0
cluster.routing.allocation.disk.threshold_enabled: false
";

fn which(program: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").context("no PATH")?;
    let found = std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file());
    found.with_context(|| format!("{program} is not installed"))
}

/// Adds files below `from`, given after tar's options, to an archive, as `below`.
fn add(archive: &Path, below: &str, from: &Path, files: &[&str]) -> Result<()> {
    let mut tar = Command::new("tar");
    tar.arg("-rf").arg(archive).args(["--numeric-owner", "--transform", &format!("s,^,{below},S"), "-C"]);
    said(tar.arg(from).args(files), "tar").map(|_| ())
}

/// The small Debian, but for what is made anew in a container, and the certificates, which each image has its own of.
fn add_debian(archive: &Path, tree: &Path) -> Result<()> {
    let elsewhere = ["--exclude=./dev/*", "--exclude=./proc/*", "--exclude=./sys/*"];
    add(archive, "", tree, &[&elsewhere[..], &["--exclude=./etc/ssl/certs/ca-certificates.crt", "."]].concat())
}
