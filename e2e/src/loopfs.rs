//! An ext4 file system in a loop file, and what a power cut would leave of it: a copy of the backing file under load.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

pub struct LoopFs {
    image: PathBuf,
    pub mount: PathBuf,
}

fn call(program: &str, args: &[&str]) -> Result<()> {
    let output = Command::new(program).args(args).output().with_context(|| format!("running {program}"))?;
    ensure!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

impl LoopFs {
    /// Makes and mounts a new ext4 of `mib` MiB under `dir`/`name`.
    pub fn create(dir: &Path, name: &str, mib: u64) -> Result<Self> {
        let image = dir.join(format!("{name}.img"));
        std::fs::File::create(&image)?.set_len(mib * 1024 * 1024)?;
        call("mkfs.ext4", &["-q", "-F", &image.to_string_lossy()])?;
        Self::mount(image, dir.join(name))
    }

    fn mount(image: PathBuf, mount: PathBuf) -> Result<Self> {
        std::fs::create_dir_all(&mount)?;
        call("mount", &["-o", "loop", &image.to_string_lossy(), &mount.to_string_lossy()])?;
        Ok(Self { image, mount })
    }

    /// Copies the backing file as it is this moment and mounts the copy: what was not synced is not there.
    ///
    /// The copy is a snapshot in time only if nothing is written to the image meanwhile, so the file system's
    /// writers must be frozen before the call.
    pub fn after_power_cut(&self, name: &str) -> Result<Self> {
        let copy = self.image.with_file_name(format!("{name}.img"));
        call("cp", &["--sparse=always", &self.image.to_string_lossy(), &copy.to_string_lossy()])?;
        let mount = self.mount.with_file_name(name);
        Self::mount(copy, mount)
    }
}

impl Drop for LoopFs {
    fn drop(&mut self) {
        let _ = call("umount", &["-l", &self.mount.to_string_lossy()]);
        let _ = std::fs::remove_file(&self.image);
    }
}
