//! The state directory as a start finds it: locked, with the host's id and the checkpoint. A full disk is waited for, as it is later.

use std::{io, sync::Arc, time::Duration};

use logmill_config::agent::AgentConfig;
use logmill_daemon::{Throttle, context::Context};
use logmill_disk::{Disk, DiskLock};

use crate::{
    AgentError,
    checkpoint::{Log, Opened, is_full},
    feed, identity,
};

/// How long a full disk is left alone.
const AGAIN: Duration = Duration::from_secs(1);
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);

pub(crate) struct StateDir {
    /// Held as long as anything is written.
    pub(crate) lock: DiskLock,
    pub(crate) host_id: String,
    pub(crate) checkpoint: (Log, Opened),
}

impl StateDir {
    /// None when the stop came first.
    pub(crate) async fn wait_for(
        disk: &Arc<dyn Disk>,
        config: &AgentConfig,
        context: &Context,
    ) -> Result<Option<Self>, AgentError> {
        let complaints = Throttle::every(COMPLAINT_INTERVAL);
        loop {
            match Self::open(disk, config) {
                Err(AgentError::StateDir { path, source }) if is_full(&source) => {
                    let path = path.display();
                    context.health.set("agent", Err(format!("no space left to start in {path}")));
                    if complaints.pass().is_some() {
                        tracing::error!(state_dir = %path, "no space left in the state directory, not starting until there is");
                    }
                }
                opened => return opened.map(Some),
            }
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                () = context.stop.cancelled() => return Ok(None),
            }
        }
    }

    fn open(disk: &Arc<dyn Disk>, config: &AgentConfig) -> Result<Self, AgentError> {
        let dir = &config.state_dir;
        let state_error = |source| AgentError::StateDir { path: dir.clone(), source };
        disk.create_dir_all(dir).map_err(state_error)?;
        let lock = disk.lock(&dir.join("lock")).map_err(|source| match source.kind() {
            io::ErrorKind::WouldBlock => AgentError::Locked { path: dir.clone() },
            _ => state_error(source),
        })?;
        for input in config.inputs.iter().filter(|input| input.source.spool_bytes().is_some()) {
            disk.create_dir_all(&feed::dir_of(dir, &input.name)).map_err(state_error)?;
        }
        let host_id = identity::host_id(&**disk, dir).map_err(state_error)?;
        let checkpoint = Log::open(Arc::clone(disk), dir).map_err(state_error)?;
        Ok(Self { lock, host_id, checkpoint })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use logmill_config::ConfigFile;
    use logmill_disk::sim::SimDisk;

    use super::*;
    use crate::checkpoint::Entry;

    fn config() -> AgentConfig {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "state_dir: /state\nkafka: { brokers: [\"localhost:1\"] }\ninputs: [{ name: in, source: stdin, topic: logs }]\n";
        std::fs::write(&file, text).unwrap();
        AgentConfig::load(file.path()).unwrap()
    }

    /// Whether a start on this disk waits for room.
    async fn waits(disk: &Arc<dyn Disk>, config: &AgentConfig, context: &Context) -> bool {
        let opened = StateDir::wait_for(disk, config, context);
        tokio::time::timeout(Duration::from_millis(50), opened).await.is_err()
    }

    #[tokio::test]
    async fn a_full_disk_is_waited_for_and_what_is_on_it_is_kept() {
        let (config, context) = (config(), Context::default());
        let sim = SimDisk::new();
        let disk: Arc<dyn Disk> = Arc::new(sim.clone());
        sim.set_capacity(Some(0));
        assert!(waits(&disk, &config, &context).await, "nothing was there yet");
        assert!(format!("{:?}", context.health.parts()).contains("no space left"));
        sim.set_capacity(None);
        let mut state = StateDir::wait_for(&disk, &config, &context).await.unwrap().unwrap();
        assert!(state.checkpoint.0.append(&[Entry::Input("in".into())], true).unwrap());
        drop(state);
        sim.set_capacity(Some(0));
        assert!(waits(&disk, &config, &context).await, "a checkpoint is there");
        context.stop.cancel();
        assert!(StateDir::wait_for(&disk, &config, &context).await.unwrap().is_none());
        sim.set_capacity(None);
        let state = StateDir::wait_for(&disk, &config, &context).await.unwrap().unwrap();
        assert_eq!(Opened::Whole, state.checkpoint.1);
        assert!(state.checkpoint.0.state().inputs.contains("in"));
    }
}
