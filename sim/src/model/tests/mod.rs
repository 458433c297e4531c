//! The model against the documented behaviour of S3.

mod event;
mod fault;
mod job;
mod list;
mod object;
mod restore;

use super::*;
use jiff::{SignedDuration, Timestamp};

/// Midday, so that no test runs into a midnight by accident.
pub(super) fn start() -> Timestamp {
    at("2026-03-02T12:00:00Z")
}

pub(super) fn at(time: &str) -> Timestamp {
    time.parse().expect("tests write times correctly")
}

pub(super) fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

/// A bucket `b` without versions, with one object per archive kind and per readable class, under the kind's name.
pub(super) fn sim() -> Sim {
    let mut sim = Sim::default();
    sim.create_bucket("b", false);
    let put = |key, class| PutRequest::new("b", key, class, "content");
    let objects = [
        put("standard", StorageClass::Standard),
        put("standard_ia", StorageClass::StandardIa),
        put("instant", StorageClass::GlacierIr),
        put("flexible", StorageClass::Glacier),
        put("deep", StorageClass::DeepArchive),
        put("it_frequent", StorageClass::IntelligentTiering),
        put("it_archive", StorageClass::IntelligentTiering).in_tier(AccessTier::ArchiveAccess),
        put("it_deep", StorageClass::IntelligentTiering).in_tier(AccessTier::DeepArchiveAccess),
    ];
    for object in objects {
        sim.put_object(object, start()).expect("the bucket is there");
    }
    sim
}

pub(super) fn request(key: &str, days: Option<u32>, tier: RetrievalTier) -> RestoreRequest {
    RestoreRequest::new("b", key, days, Some(tier))
}

/// The code of an error, or the status of an answer.
pub(super) fn outcome(result: Result<RestoreAnswer, ApiError>) -> String {
    match result {
        Ok(answer) => answer.status().to_string(),
        Err(api_error) => format!("{} {}", api_error.status(), api_error.code()),
    }
}
