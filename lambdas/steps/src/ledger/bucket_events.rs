//! On which archive buckets thaw has turned the events on: one item for all of them.
//!
//! The ledger outlives its stack and may be handed to another one, which then knows what to put back.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::update::update;
use crate::StepError;
use crate::ports::{Item, ItemKey, Ledger, Put};

/// The buckets whose EventBridge events thaw has turned on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BucketEvents {
    /// The buckets, and when.
    pub turned_on: BTreeMap<String, Timestamp>,
    /// Counts the changes.
    pub revision: u64,
}

impl BucketEvents {
    /// The item; an empty one if there is none.
    pub async fn read(ledger: &impl Ledger) -> Result<Self, StepError> {
        Ok(ledger.get(&Self::default().key()).await?.unwrap_or_default())
    }

    /// Adds a bucket. It is written before the bucket is changed, so that what was changed is known.
    pub async fn add(bucket: &str, ledger: &impl Ledger, now: Timestamp) -> Result<(), StepError> {
        let first = Self { turned_on: [(bucket.to_owned(), now)].into(), revision: 0 };
        let item = match ledger.insert(&first).await? {
            Put::Done => return Ok(()),
            Put::Lost(item) => item,
        };
        let next = |item: &Self| {
            let mut next = item.next();
            next.turned_on.insert(bucket.to_owned(), now);
            (!item.turned_on.contains_key(bucket)).then_some(next)
        };
        update(ledger, item, next).await.map(drop)
    }

    /// Removes a bucket, after it was put back.
    pub async fn remove(self, bucket: &str, ledger: &impl Ledger) -> Result<Self, StepError> {
        let next = |item: &Self| {
            let mut next = item.next();
            next.turned_on.remove(bucket).map(|_| next)
        };
        update(ledger, self, next).await
    }

    fn next(&self) -> Self {
        Self { revision: self.revision + 1, ..self.clone() }
    }
}

impl Item for BucketEvents {
    fn key(&self) -> ItemKey {
        ItemKey { pk: "A#buckets".to_owned(), sk: "events".to_owned() }
    }

    fn revision(&self) -> u64 {
        self.revision
    }
}
