//! SIGHUP: the file is read and checked again; what can change while running is handed out, the rest is named.

use std::{
    any::Any,
    marker::PhantomData,
    path::{Path, PathBuf},
    sync::Arc,
};

use logmill_config::{ConfigFile, Errors, Problem, Snapshot};
use tokio::sync::watch;

type Handed = Option<Arc<dyn Any + Send + Sync>>;

/// Hands a changed configuration to those parts of the daemon that can apply some of it live.
#[derive(Clone, Default)]
pub struct Reload(Arc<watch::Sender<Handed>>);

impl Reload {
    /// `C` is the daemon's configuration type; every later version of it is handed out.
    pub fn listen<C>(&self) -> Reloads<C> {
        Reloads { handed: self.0.subscribe(), kind: PhantomData }
    }

    /// As SIGHUP does with a file that changed.
    pub fn hand_out<C: Send + Sync + 'static>(&self, config: C) {
        self.0.send_replace(Some(Arc::new(config)));
    }
}

/// One listener's side of [`Reload`].
pub struct Reloads<C> {
    handed: watch::Receiver<Handed>,
    kind: PhantomData<fn() -> C>,
}

impl<C: Send + Sync + 'static> Reloads<C> {
    /// Waits for the next version. Cancel safe.
    pub async fn next(&mut self) -> Arc<C> {
        loop {
            if self.handed.changed().await.is_err() {
                return std::future::pending().await;
            }
            let config = self.handed.borrow_and_update().clone();
            if let Some(config) = config.and_then(|config| config.downcast::<C>().ok()) {
                return config;
            }
        }
    }
}

/// What a re-reading came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Unchanged,
    /// The file is wrong; what was there before stays.
    Refused(String),
    Changed {
        applied: Vec<String>,
        at_next_start: Vec<String>,
    },
}

/// Remembers what the daemon runs on.
pub(crate) struct Reloader<C> {
    path: PathBuf,
    live: fn(&str) -> bool,
    /// What could not be applied since the start differs from this …
    started: Arc<Snapshot>,
    /// … and what was applied came with this.
    latest: Arc<Snapshot>,
    verify: fn(&C) -> Vec<Problem>,
}

impl<C: ConfigFile + Send + Sync + 'static> Reloader<C> {
    pub(crate) fn new(path: &Path, live: fn(&str) -> bool, verify: fn(&C) -> Vec<Problem>) -> Result<Self, Errors> {
        let started = Arc::new(Snapshot::read(path)?);
        Ok(Self { path: path.to_owned(), live, latest: started.clone(), started, verify })
    }

    pub(crate) fn again(&mut self, reload: &Reload) -> Outcome {
        let read =
            Snapshot::read(&self.path).and_then(|snapshot| Ok((snapshot, C::load_verified(&self.path, self.verify)?)));
        let (snapshot, config) = match read {
            Ok(read) => read,
            Err(errors) => return Outcome::Refused(errors.to_string()),
        };
        let mut applied = self.latest.changed_keys(&snapshot);
        applied.retain(|key| (self.live)(key));
        let mut at_next_start = self.started.changed_keys(&snapshot);
        at_next_start.retain(|key| !(self.live)(key));
        self.latest = Arc::new(snapshot);
        if !applied.is_empty() {
            reload.hand_out(config);
        } else if at_next_start.is_empty() {
            return Outcome::Unchanged;
        }
        Outcome::Changed { applied, at_next_start }
    }
}

impl Outcome {
    /// Logs it, and says in a line how the daemon stands now.
    pub(crate) fn tell(&self) -> String {
        match self {
            Self::Unchanged => {
                tracing::info!("the configuration is unchanged");
                "running".to_owned()
            }
            Self::Refused(errors) => {
                tracing::error!("the configuration is wrong and not applied, what was there before stays:\n{errors}");
                "running on the configuration before: the file is wrong now".to_owned()
            }
            Self::Changed { applied, at_next_start } => {
                if !applied.is_empty() {
                    tracing::info!(keys = applied.join(", "), "configuration applied");
                }
                if at_next_start.is_empty() {
                    return "running".to_owned();
                }
                let keys = at_next_start.join(", ");
                tracing::warn!(keys, "the configuration changed where it cannot while running, restart to apply it");
                format!("running; restart to apply: {keys}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use std::fs;

    use logmill_config::agent::AgentConfig;

    use super::*;

    const FIRST: &str = "inputs:\n  - { name: app, include: [/tmp/none/*.log], topic: t }\n";

    fn live(key: &str) -> bool {
        key.ends_with(".limits")
    }

    fn reloader(text: &str) -> (tempfile::TempDir, PathBuf, Reloader<AgentConfig>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.yaml");
        fs::write(&path, text).unwrap();
        let reloader = Reloader::new(&path, live, |_| Vec::new()).unwrap();
        (dir, path, reloader)
    }

    #[tokio::test]
    async fn what_can_change_is_handed_out_the_rest_named_until_the_restart() {
        let (_dir, path, mut reloader) = reloader(FIRST);
        let reload = Reload::default();
        let mut listener = reload.listen::<AgentConfig>();
        assert_eq!(reloader.again(&reload), Outcome::Unchanged);

        let limited = FIRST.replace("topic: t", "topic: t, limits: [{ lines_per_second: 5 }]");
        fs::write(&path, format!("{limited}max_open_files: 64\n")).unwrap();
        let (applied, at_next_start) = (vec!["inputs.app.limits".to_owned()], vec!["max_open_files".to_owned()]);
        assert_eq!(reloader.again(&reload), Outcome::Changed { applied, at_next_start: at_next_start.clone() });
        assert_eq!(listener.next().await.inputs[0].limits[0].lines_per_second, Some(5));

        // The limit is what it runs on now; the other key still waits.
        assert_eq!(reloader.again(&reload), Outcome::Changed { applied: vec![], at_next_start });
        assert!(!listener.handed.has_changed().unwrap());
    }

    #[test]
    fn a_wrong_file_changes_nothing() {
        let (_dir, path, mut reloader) = reloader(FIRST);
        fs::write(&path, "inputs: 3\n").unwrap();
        let reload = Reload::default();
        let listener = reload.listen::<AgentConfig>();
        assert!(matches!(reloader.again(&reload), Outcome::Refused(words) if words.contains("agent.yaml:1:")));
        fs::remove_file(&path).unwrap();
        assert!(matches!(reloader.again(&reload), Outcome::Refused(words) if words.contains("cannot open")));
        assert!(!listener.handed.has_changed().unwrap());
    }
}
