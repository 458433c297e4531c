//! The items of the ledger and how they change. Every write is conditional on the revision that was read.

pub mod bucket_events;
pub mod budget;
pub mod chunks;
pub mod ending;
pub mod entry_set;
pub mod expiries;
pub mod idempotency_keys;
pub mod jobs;
pub mod progress;
pub mod readiness;
pub mod restores;
pub mod rows;
pub mod update;
