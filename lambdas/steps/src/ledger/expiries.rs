//! When copies of a restore expire: one item for each restore and midnight.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thaw_core::RestoreId;

use crate::StepError;
use crate::ports::{Item, ItemKey, Ledger, Put};

/// Records that a restore, which ends now, has copies that expire at these times. Times that have passed are left out.
pub async fn note(
    id: &RestoreId,
    expire: &BTreeSet<Timestamp>,
    ledger: &impl Ledger,
    now: Timestamp,
) -> Result<(), StepError> {
    for at in expire.iter().filter(|at| **at > now) {
        let new = ExpiryRecord { at: *at, restore: id.clone(), announced: None, revision: 0 };
        // A record that exists stays: a second report must not undo its announcement.
        let (Put::Done | Put::Lost(_)) = ledger.insert(&new).await?;
    }
    Ok(())
}

/// A restore has copies that expire at this midnight. One item for each restore, so that no item grows with the
/// restores of a day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExpiryRecord {
    /// The midnight.
    pub at: Timestamp,
    /// The restore.
    pub restore: RestoreId,
    /// For how many objects the expiry was announced; `None` while it was not.
    pub announced: Option<u64>,
    /// Counts the changes.
    pub revision: u64,
}

impl ExpiryRecord {
    /// The beginning of the keys of all records of a midnight.
    pub fn all_at(at: Timestamp) -> ItemKey {
        ItemKey { pk: format!("E#{at}"), sk: "expiries#".to_owned() }
    }
}

impl Item for ExpiryRecord {
    fn key(&self) -> ItemKey {
        let ItemKey { pk, sk } = Self::all_at(self.at);
        ItemKey { pk, sk: format!("{sk}{}", self.restore) }
    }

    fn revision(&self) -> u64 {
        self.revision
    }
}

/// All restores with copies that expire at a midnight, in one item, as earlier versions wrote it. It is read as long as
/// copies exist that they restored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExpiriesOfDay {
    /// The midnight.
    pub at: Timestamp,
    /// The restores, and for how many objects their expiry was announced; `None` while it was not.
    pub restores: BTreeMap<RestoreId, Option<u64>>,
    /// Counts the changes.
    pub revision: u64,
}

impl ExpiriesOfDay {
    /// The key of a midnight's item.
    pub fn key_of(at: Timestamp) -> ItemKey {
        ItemKey { pk: format!("E#{at}"), sk: "expiries".to_owned() }
    }
}

impl Item for ExpiriesOfDay {
    fn key(&self) -> ItemKey {
        Self::key_of(self.at)
    }

    fn revision(&self) -> u64 {
        self.revision
    }
}
