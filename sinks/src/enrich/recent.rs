//! What was found out lately, so that what comes often is looked up once.

use std::{borrow::Borrow, collections::HashMap, hash::Hash, sync::Arc};

/// Two generations: when the younger is full the older is forgotten, so that at most twice as many are held.
pub(super) struct Recent<K, V> {
    kept: usize,
    young: HashMap<K, Arc<V>>,
    old: HashMap<K, Arc<V>>,
}

impl<K: Hash + Eq, V> Recent<K, V> {
    /// Of each generation.
    pub(super) fn new(kept: usize) -> Self {
        Self { kept, young: HashMap::new(), old: HashMap::new() }
    }

    pub(super) fn get<Q>(&mut self, key: &Q, look_up: impl FnOnce() -> V) -> Arc<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        if let Some(found) = self.young.get(key) {
            return found.clone();
        }
        let found = self.old.remove(key).unwrap_or_else(|| Arc::new(look_up()));
        if self.young.len() >= self.kept {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key.to_owned(), found.clone());
        found
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_often_stays_and_the_rest_is_bounded() {
        let mut recent: Recent<String, usize> = Recent::new(10);
        let mut looked_up = 0;
        for n in 0..1000 {
            for key in ["often".to_owned(), format!("once-{n}")] {
                recent.get(key.as_str(), || {
                    looked_up += 1;
                    n
                });
                assert!(recent.held() <= 20);
            }
        }
        assert_eq!(looked_up, 1001);
    }
}
