//! Pages beside /metrics and /health that a daemon has of its own, such as `/status`.

use std::{collections::BTreeMap, future::Future, pin::Pin, sync::Arc};

use parking_lot::Mutex;

type Answer = Pin<Box<dyn Future<Output = String> + Send>>;
type Page = Arc<dyn Fn() -> Answer + Send + Sync>;

/// By name. Where several parts of a process have one of the same name, it is theirs one after the other. Cheap to clone.
#[derive(Clone, Default)]
pub struct Pages(Arc<Mutex<BTreeMap<&'static str, Vec<Page>>>>);

impl Pages {
    /// Answers `GET /NAME` with what `page` gives.
    pub fn add<F>(&self, name: &'static str, page: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = String> + Send + 'static,
    {
        self.0.lock().entry(name).or_default().push(Arc::new(move || Box::pin(page())));
    }

    /// What `GET /NAME` is answered; `None` where there is no such page.
    pub async fn answer(&self, name: &str) -> Option<String> {
        let pages = self.0.lock().get(name).cloned()?;
        let mut text = String::new();
        for page in pages {
            text.push_str(&page().await);
        }
        Some(text)
    }
}
