//! A map whose entries expire, as keys do in Redis: verified numbers, texts of pictures,
//! idempotency keys.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use super::limits::sweep;
use crate::millis;

/// Values with their expiry times (ms).
#[derive(Debug)]
pub(super) struct ExpiringMap<K, V> {
    by_key: HashMap<K, (V, i64)>,
    sweep_at: usize,
}

impl<K, V> Default for ExpiringMap<K, V> {
    fn default() -> Self {
        Self { by_key: HashMap::new(), sweep_at: 0 }
    }
}

impl<K: Eq + Hash, V> ExpiringMap<K, V> {
    pub(super) fn insert(&mut self, key: K, value: V, now: i64, life: Duration) {
        sweep(&mut self.by_key, &mut self.sweep_at, |(_, until)| *until > now);
        self.by_key.insert(key, (value, now + millis(life)));
    }

    pub(super) fn get(&self, key: &K, now: i64) -> Option<&V> {
        self.by_key.get(key).filter(|(_, until)| now < *until).map(|(value, _)| value)
    }

    pub(super) fn contains(&self, key: &K, now: i64) -> bool {
        self.get(key, now).is_some()
    }

    pub(super) fn remove(&mut self, key: &K, now: i64) -> Option<V> {
        self.by_key.remove(key).filter(|(_, until)| now < *until).map(|(value, _)| value)
    }
}
