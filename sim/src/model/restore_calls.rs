//! `RestoreObject`: which class and tier allow what, and what a request does to an object.

use super::event::RestoreEvent;
use super::fault::matches;
use super::random::{between, hash};
use super::restore::{
    RestoreAnswer, RestoreRequest, RestoreState, Retrieval, RetrievalTier, later, malformed, next_midnight,
    retrieval_window, retrieval_window_by_jobs,
};
use super::storage_class::{ArchiveKind, StorageClass};
use super::{ApiError, ObjectRef, Sim};
use jiff::Timestamp;

/// Objects above this size take longer than the window of Expedited: ~300 MB a second.
const EXPEDITED_FREE_SIZE: u64 = 250_000_000;
const EXPEDITED_BYTES_PER_SECOND: u64 = 300_000_000;

impl Sim {
    /// `RestoreObject`.
    pub fn restore_object(&mut self, request: &RestoreRequest, now: Timestamp) -> Result<RestoreAnswer, ApiError> {
        self.send_due_events(now);
        let counted = self.pinned(&request.object);
        self.restores.entry(counted.clone()).or_default().calls += 1;
        self.call("RestoreObject", &[&request.object.key], |sim| {
            let second = sim.scaled_second();
            if let Some(limit) = sim.settings.limits.restores_per_second
                && !sim.restore_tokens.take(1, limit, second, now)
            {
                let message = "Please reduce your request rate for restore operations.";
                return Err(ApiError::new("ThrottlingException", 503, message));
            }
            let effect = sim.effect_of(request, &counted, retrieval_window, now)?;
            sim.apply_effect(effect, &counted, now)
        })
    }

    /// What a job asks for an object. S3 keeps its own jobs under the quota.
    pub(crate) fn restore_for_job(
        &mut self,
        request: &RestoreRequest,
        now: Timestamp,
    ) -> Result<RestoreAnswer, ApiError> {
        self.send_due_events(now);
        let counted = self.pinned(&request.object);
        self.restores.entry(counted.clone()).or_default().calls += 1;
        let effect = self.effect_of(request, &counted, retrieval_window_by_jobs, now)?;
        self.apply_effect(effect, &counted, now)
    }

    /// The object with the version it means now, so that the counts of one version stay together. In a bucket without versions
    /// there is nothing to tell apart, and its events name none.
    fn pinned(&self, object: &ObjectRef) -> ObjectRef {
        let ObjectRef { bucket, key, version } = object;
        let Ok(found) = self.bucket(bucket) else { return object.clone() };
        let meant = found.find(key, version.as_deref()).ok().map(|version| version.id.as_str());
        ObjectRef::version(bucket, key, meant.or(version.as_deref()).filter(|_| found.versioned))
    }

    /// What the request means for the object as it is now. Decides, changes nothing.
    fn effect_of(
        &self,
        request: &RestoreRequest,
        pinned: &ObjectRef,
        window: fn(ArchiveKind, RetrievalTier) -> Option<(i64, i64)>,
        now: Timestamp,
    ) -> Result<RestoreEffect, ApiError> {
        let bucket = self.bucket(&request.object.bucket)?;
        let version = bucket.find(&request.object.key, request.object.version.as_deref())?;
        let Some(object) = &version.object else { return Err(malformed()) };
        if request.days == Some(0) {
            return Err(malformed());
        }
        let kind = object.kind_at(now).ok_or_else(|| not_archived(object.class))?;
        let tier = request.tier.unwrap_or_default();
        check_days(kind, request.days)?;
        let Some(window) = window(kind, tier) else {
            let message = "Retrieval option is not supported by this storage class";
            return Err(ApiError::new("InvalidArgument", 400, message));
        };
        match (object.restore_at(now), object.retrieval) {
            (RestoreState::Copy { .. }, _) => Ok(RestoreEffect::Extend { days: request.days.unwrap_or(1) }),
            (RestoreState::Ongoing { ready_at }, Some(running)) => {
                if running.tier < tier && running.days == request.days {
                    let faster = self.ready_at(pinned, object.size(), tier, window, now);
                    let retrieval = retrieval(tier, request.days, faster.min(ready_at));
                    Ok(RestoreEffect::Upgrade(retrieval))
                } else {
                    let message = "Object restore is already in progress";
                    Err(ApiError::new("RestoreAlreadyInProgress", 409, message))
                }
            }
            (RestoreState::None | RestoreState::Ongoing { .. }, _) => {
                let ready_at = self.ready_at(pinned, object.size(), tier, window, now);
                Ok(RestoreEffect::Begin(retrieval(tier, request.days, ready_at)))
            }
        }
    }

    fn apply_effect(
        &mut self,
        effect: RestoreEffect,
        object: &ObjectRef,
        now: Timestamp,
    ) -> Result<RestoreAnswer, ApiError> {
        let calls = self.restores.entry(object.clone()).or_default();
        let bucket = self.buckets.get_mut(&object.bucket).ok_or_else(malformed)?;
        let version = bucket.find_mut(&object.key, object.version.as_deref())?;
        let id = version.id.clone();
        let Some(stored) = &mut version.object else { return Err(malformed()) };
        match effect {
            RestoreEffect::Extend { days } => {
                calls.extended += 1;
                let expires = next_midnight(now, days);
                if let Some(retrieval) = &mut stored.retrieval {
                    retrieval.expires = Some(expires);
                }
                // Whether S3 announces an extension is not documented; it announces the new end in any case.
                self.event_schedule.schedule(RestoreEvent::Expired, object, &id, expires);
                Ok(RestoreAnswer::Extended)
            }
            RestoreEffect::Begin(retrieval) | RestoreEffect::Upgrade(retrieval) => {
                if matches!(effect, RestoreEffect::Begin(_)) {
                    calls.started += 1;
                } else {
                    calls.upgraded += 1;
                }
                stored.retrieval = Some(retrieval);
                // An upgrade is accepted like a restore, so it is announced like one; AWS does not say.
                self.event_schedule.schedule(RestoreEvent::Initiated, object, &id, now);
                self.event_schedule.schedule(RestoreEvent::Completed, object, &id, retrieval.ready_at);
                if let Some(expires) = retrieval.expires {
                    self.event_schedule.schedule(RestoreEvent::Expired, object, &id, expires);
                }
                Ok(RestoreAnswer::Accepted)
            }
        }
    }

    /// When a retrieval that begins now will be done: somewhere in its window, the same for the same object and tier.
    fn ready_at(
        &self,
        object: &ObjectRef,
        size: u64,
        tier: RetrievalTier,
        (low, high): (i64, i64),
        now: Timestamp,
    ) -> Timestamp {
        if let Some(rule) = self.retrieval_rules.iter().find(|rule| matches(&rule.key, &object.key)) {
            return later(now, i64::from(rule.seconds));
        }
        let version = object.version.as_deref().unwrap_or_default();
        let drawn = hash(self.settings.seed, &[&object.bucket, &object.key, version, &format!("{tier:?}")]);
        let transfer = match tier {
            RetrievalTier::Expedited if size >= EXPEDITED_FREE_SIZE => size / EXPEDITED_BYTES_PER_SECOND,
            RetrievalTier::Expedited | RetrievalTier::Standard | RetrievalTier::Bulk => 0,
        };
        later(now, between(drawn, low, high).saturating_add(i64::try_from(transfer).unwrap_or(i64::MAX)))
    }
}

/// What a request does to an object.
enum RestoreEffect {
    Begin(Retrieval),
    Upgrade(Retrieval),
    Extend { days: u32 },
}

fn retrieval(tier: RetrievalTier, days: Option<u32>, ready_at: Timestamp) -> Retrieval {
    Retrieval { tier, days, ready_at, expires: days.map(|days| next_midnight(ready_at, days)) }
}

fn check_days(kind: ArchiveKind, days: Option<u32>) -> Result<(), ApiError> {
    match (kind, days) {
        (ArchiveKind::Flexible | ArchiveKind::Deep, Some(_)) | (ArchiveKind::ItArchive | ArchiveKind::ItDeep, None) => {
            Ok(())
        }
        (ArchiveKind::Flexible | ArchiveKind::Deep, None) => Err(malformed()),
        (ArchiveKind::ItArchive | ArchiveKind::ItDeep, Some(_)) => Err(ApiError::new(
            "InvalidArgument",
            400,
            "INTELLIGENT_TIERING objects are not subject to restore expiry. Do not specify Days",
        )),
    }
}

fn not_archived(class: StorageClass) -> ApiError {
    match class {
        StorageClass::IntelligentTiering => ApiError::new(
            "ObjectAlreadyInActiveTierError",
            403,
            "Restore is not allowed, as the object is already in an active tier",
        ),
        StorageClass::Standard
        | StorageClass::StandardIa
        | StorageClass::GlacierIr
        | StorageClass::Glacier
        | StorageClass::DeepArchive => {
            ApiError::new("InvalidObjectState", 403, "Restore is not allowed for the object's current storage class")
        }
    }
}
