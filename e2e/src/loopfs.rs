//! An ext4 file system in a loop file: what a power cut would leave of it is a copy of the backing file under load. And one on a device that fails.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use crate::clock;

/// The longest that the kernel may hold a device after its file system was unmounted.
const RELEASE: Duration = Duration::from_secs(10);

pub struct LoopFs {
    image: PathBuf,
    pub mount: PathBuf,
}

/// An ext4 file system on a compressed RAM device (zram), which refuses writes past its limit of memory and keeps what it has.
///
/// (A loop device does not do: Linux 6.18 reports a write that its backing file takes only in part as done.)
pub struct FailingFs {
    number: u32,
    pub mount: PathBuf,
}

/// A directory shown elsewhere by FUSE: no event tells there of what is done here, and open descriptors go by the name.
pub struct FuseFs {
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

impl FailingFs {
    /// An ext4 of `mib` MiB on a device that holds `room_mib` of them. With a journal, a failed write of that makes the file system read-only as a rule.
    pub fn create(dir: &Path, name: &str, mib: u64, room_mib: u64, journal: bool) -> Result<Self> {
        let number = std::fs::read_to_string("/sys/class/zram-control/hot_add").context("no zram devices here")?;
        let this = Self { number: number.trim().parse()?, mount: dir.join(name) };
        std::fs::create_dir_all(&this.mount)?;
        this.set("disksize", &format!("{mib}M"))?;
        this.set("mem_limit", &format!("{room_mib}M"))?;
        let journal = if journal { ["-J", "size=4"] } else { ["-O", "^has_journal"] };
        call("mkfs.ext4", &[&["-q", "-F"], &journal[..], &[&this.device()]].concat())?;
        call("mount", &[&this.device(), &this.mount.to_string_lossy()])?;
        Ok(this)
    }

    fn device(&self) -> String {
        format!("/dev/zram{}", self.number)
    }

    fn set(&self, attribute: &str, value: &str) -> Result<()> {
        let path = format!("/sys/block/zram{}/{attribute}", self.number);
        std::fs::write(&path, value).with_context(|| format!("{value} to {path}"))
    }

    /// The device works again. What it refused, it does not have.
    pub fn heal(&self) -> Result<()> {
        self.set("mem_limit", "0")
    }

    /// Whether the kernel has given the file system up.
    pub fn is_read_only(&self) -> bool {
        std::fs::create_dir_all(self.mount.join("lost+found/probe")).is_err()
    }

    /// Takes it out of use, repairs it, and takes it in again: the kernel knows nothing of it but what the device holds.
    pub fn remount(&self) -> Result<()> {
        call("umount", &[&self.mount.to_string_lossy()])?;
        let start = clock::now();
        loop {
            let repair =
                Command::new("e2fsck").args(["-f", "-y", &self.device()]).output().context("running e2fsck")?;
            let said = String::from_utf8_lossy(&[repair.stdout, repair.stderr].concat()).into_owned();
            // 1: errors were corrected.
            if matches!(repair.status.code(), Some(0 | 1)) {
                break;
            }
            // The kernel lets go of the device some time after umount has returned.
            let in_use = said.contains("is in use") && start.elapsed() < RELEASE;
            ensure!(in_use, "e2fsck ended with {}: {said}", repair.status);
            clock::pause(Duration::from_millis(100));
        }
        call("mount", &[&self.device(), &self.mount.to_string_lossy()])
    }

    /// What the device holds at this moment, read past the page cache and mounted elsewhere.
    pub fn as_it_is(&self, name: &str) -> Result<LoopFs> {
        let (device, image) = (self.device(), self.mount.with_file_name(format!("{name}.img")));
        let (from, to) = (format!("if={device}"), format!("of={}", image.display()));
        call("dd", &[&from, &to, "bs=1M", "iflag=direct", "conv=sparse", "status=none"])?;
        LoopFs::mount(image, self.mount.with_file_name(name))
    }
}

impl Drop for FailingFs {
    fn drop(&mut self) {
        let _ = call("umount", &[&self.mount.to_string_lossy()]);
        let _ = self.set("reset", "1");
        let _ = std::fs::write("/sys/class/zram-control/hot_remove", self.number.to_string());
    }
}

impl Drop for LoopFs {
    fn drop(&mut self) {
        let _ = call("umount", &["-l", &self.mount.to_string_lossy()]);
        let _ = std::fs::remove_file(&self.image);
    }
}

impl FuseFs {
    /// Shows `dir` at `mount`.
    pub fn create(dir: &Path, mount: PathBuf) -> Result<Self> {
        std::fs::create_dir_all(&mount)?;
        call("bindfs", &[&dir.to_string_lossy(), &mount.to_string_lossy()])?;
        Ok(Self { mount })
    }
}

impl Drop for FuseFs {
    fn drop(&mut self) {
        let _ = call("umount", &[&self.mount.to_string_lossy()]);
    }
}
