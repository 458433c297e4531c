//! On which days copies of a restore go away.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thaw_core::RestoreId;

use crate::StepError;
use crate::ports::{Item, ItemKey, Ledger, Put};

/// Writes down that a restore, which ends, has copies that expire at these times.
pub async fn note(
    id: &RestoreId,
    expire: &BTreeSet<Timestamp>,
    ledger: &impl Ledger,
    now: Timestamp,
) -> Result<(), StepError> {
    for at in expire.iter().filter(|at| **at > now) {
        let new = ExpiryRecord { at: *at, restore: id.clone(), announced: None, revision: 0 };
        // A second report changes nothing of what was told.
        let (Put::Done | Put::Lost(_)) = ledger.insert(&new).await?;
    }
    Ok(())
}

/// That a restore has copies that expire at a midnight: an item each, so that none grows with the restores of a day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExpiryRecord {
    /// The midnight.
    pub at: Timestamp,
    /// The restore.
    pub restore: RestoreId,
    /// For how many objects it was announced; `None` while it was not.
    pub announced: Option<u64>,
    /// Counts the changes.
    pub revision: u64,
}

impl ExpiryRecord {
    /// Where the keys of all of a midnight begin.
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

/// All restores with copies that expire at a midnight, in one item: earlier versions wrote it, and it is read for as long as
/// copies live that they restored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExpiriesOfDay {
    /// The midnight.
    pub at: Timestamp,
    /// The restores, and for how many objects they were announced; `None` while they were not.
    pub restores: BTreeMap<RestoreId, Option<u64>>,
    /// Counts the changes.
    pub revision: u64,
}

impl ExpiriesOfDay {
    /// Where that of a midnight is kept.
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
