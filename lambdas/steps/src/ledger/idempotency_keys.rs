//! Idempotency keys: which restore a repeated request stands for.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thaw_core::RestoreId;

use crate::ports::{Item, ItemKey};

/// The restore that an `Idempotency-Key`, or a file in the inbox, stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// The hash of the key, because callers may put anything into it.
    pub key_hash: String,
    /// The restore that the first request made.
    pub id: RestoreId,
    /// The hash of the body that the key came with.
    pub body_hash: String,
    /// When the first request came.
    pub requested_at: Timestamp,
}

impl KeyRecord {
    /// The ledger's key for it.
    pub fn key_of(key_hash: &str) -> ItemKey {
        ItemKey { pk: format!("K#{key_hash}"), sk: "key".to_owned() }
    }
}

impl Item for KeyRecord {
    fn key(&self) -> ItemKey {
        Self::key_of(&self.key_hash)
    }

    fn revision(&self) -> u64 {
        0
    }
}
