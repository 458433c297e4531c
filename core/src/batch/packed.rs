//! A batch as the ledger keeps it.

use std::io::Read;

use flate2::Compression;
use flate2::read::{DeflateDecoder, DeflateEncoder};
use jiff::Timestamp;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Batch;
use crate::{BatchId, Bytes};

/// What stays readable in it: all that is not packed.
#[derive(Serialize, Deserialize)]
struct Packed {
    id: BatchId,
    created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    completed_at: Option<Timestamp>,
    revision: u64,
    /// The rest: JSON, deflated.
    packed: Bytes,
}

#[derive(Serialize, Deserialize)]
struct Contents<C, D, W> {
    candidates: C,
    calls: D,
    wildcards: W,
}

impl Serialize for Batch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { candidates, calls, wildcards, .. } = self;
        let contents = Contents { candidates, calls, wildcards };
        let json = serde_json::to_vec(&contents).map_err(S::Error::custom)?;
        let mut packed = Vec::new();
        DeflateEncoder::new(json.as_slice(), Compression::default())
            .read_to_end(&mut packed)
            .map_err(S::Error::custom)?;
        let (id, packed) = (self.id.clone(), Bytes(packed));
        let Self { created_at, completed_at, revision, .. } = *self;
        Packed { id, created_at, completed_at, revision, packed }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Batch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Packed { id, created_at, completed_at, revision, packed } = Packed::deserialize(deserializer)?;
        let mut json = Vec::new();
        DeflateDecoder::new(packed.0.as_slice()).read_to_end(&mut json).map_err(D::Error::custom)?;
        let Contents { candidates, calls, wildcards } = serde_json::from_slice(&json).map_err(D::Error::custom)?;
        Ok(Self { id, candidates, calls, wildcards, created_at, completed_at, revision })
    }
}
