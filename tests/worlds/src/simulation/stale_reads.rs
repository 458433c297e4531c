//! Eventually consistent reads: now and then a read returns a row as it was before its last write.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use thaw_core::Row;
use thaw_steps::ports::{Item, ItemKey};

use crate::environment::Environment;
use crate::runtime::add;

/// How long after a write a read may be stale. AWS names no limit. This is longer than one function works on a row.
pub(super) const MAX_LAG: SignedDuration = SignedDuration::from_secs(2);

/// The last write of every row.
#[derive(Default)]
pub(super) struct RecentWrites(BTreeMap<ItemKey, Write>);

struct Write {
    at: Timestamp,
    row: Row,
    previous: Option<Row>,
}

impl RecentWrites {
    pub(super) fn record(&mut self, key: ItemKey, row: &Row, now: Timestamp) {
        let previous = self.0.remove(&key).map(|write| write.row);
        self.0.insert(key, Write { at: now, row: row.clone(), previous });
    }

    /// What an eventually consistent read of an item returns. There is no result if the row is missing in a stale read.
    pub(super) fn read<T: Item>(&self, env: &Environment, item: T) -> Option<T> {
        let Some(Write { at, previous, .. }) = self.0.get(&item.key()) else { return Some(item) };
        if *at < add(env.now(), -MAX_LAG) || !env.random.next().is_multiple_of(4) {
            return Some(item);
        }
        let json = serde_json::to_value(previous.as_ref()?).unwrap_or_default();
        env.log(|| format!("  ! stale read of {}", item.key().pk));
        Some(T::deserialize(json).unwrap_or_else(|error| panic!("no row: {error}")))
    }
}
