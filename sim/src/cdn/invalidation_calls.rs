//! How invalidations are created, read and listed, and which quota refuses one.

use super::distribution::{invalid, no_such_distribution};
use super::invalidation::{Invalidation, InvalidationPage, InvalidationRequest, InvalidationStatus, wildcards};
use super::path::is_valid_item;
use crate::model::{ApiError, QuotaAnswer, Sim, name};
use jiff::{SignedDuration, Timestamp};

impl Sim {
    /// `CreateInvalidation`.
    pub fn create_invalidation(
        &mut self,
        request: &InvalidationRequest,
        now: Timestamp,
    ) -> Result<Invalidation, ApiError> {
        let mut subjects = vec![request.distribution.as_str()];
        subjects.extend(request.items.iter().map(String::as_str));
        self.call("CreateInvalidation", &subjects, |sim| {
            sim.distribution(&request.distribution)?;
            check(request)?;
            if let Some(same) = sim.same_reference(request)? {
                return Ok(same);
            }
            sim.check_quotas(request, now)?;
            let id = format!("I{}", name(sim.next_hash("invalidation"), 13));
            let takes = SignedDuration::from_secs(i64::from(sim.settings.invalidation_seconds));
            let invalidation = Invalidation {
                id,
                caller_reference: request.caller_reference.clone(),
                items: request.items.clone(),
                created: now,
                completed: now.checked_add(takes).unwrap_or(Timestamp::MAX),
                applied: false,
            };
            let distribution = sim.distributions.get_mut(&request.distribution).ok_or_else(no_such_distribution)?;
            distribution.invalidations.push(invalidation.clone());
            Ok(invalidation)
        })
    }

    /// `GetInvalidation`.
    pub fn get_invalidation(&mut self, distribution: &str, id: &str) -> Result<Invalidation, ApiError> {
        self.call("GetInvalidation", &[distribution, id], |sim| {
            let found = sim.distribution(distribution)?.invalidations.iter().find(|invalidation| invalidation.id == id);
            let none = || ApiError::new("NoSuchInvalidation", 404, "The specified invalidation does not exist.");
            found.cloned().ok_or_else(none)
        })
    }

    /// `ListInvalidations`: a page of at most 100, the newest first, after the invalidation named by `marker`.
    pub fn list_invalidations(
        &mut self,
        distribution: &str,
        marker: Option<&str>,
        max: Option<usize>,
    ) -> Result<InvalidationPage, ApiError> {
        const PAGE: usize = 100;
        self.call("ListInvalidations", &[distribution], |sim| {
            let all = &sim.distribution(distribution)?.invalidations;
            let after = marker.and_then(|id| all.iter().rev().position(|invalidation| invalidation.id == id));
            let size = max.unwrap_or(PAGE).min(PAGE);
            let mut rest = all.iter().rev().skip(after.map_or(0, |at| at + 1));
            let invalidations: Vec<_> = rest.by_ref().take(size).cloned().collect();
            let next = rest.next().and(invalidations.last()).map(|invalidation| invalidation.id.clone());
            Ok(InvalidationPage { invalidations, next })
        })
    }

    /// The same reference with the same items is the invalidation there is; with other items it is an error.
    ///
    /// The API reference calls the error `InvalidationBatchAlreadyExists`, the service answers `InvalidArgument`.
    /// Items are compared in order: whether CloudFront sorts them is not documented.
    fn same_reference(&self, request: &InvalidationRequest) -> Result<Option<Invalidation>, ApiError> {
        let all = &self.distribution(&request.distribution)?.invalidations;
        let found = all.iter().find(|invalidation| invalidation.caller_reference == request.caller_reference);
        match found {
            Some(same) if same.items == request.items => Ok(Some(same.clone())),
            Some(_) => Err(invalid(
                "Your request contains a caller reference that was used for a previous invalidation batch for the \
                 same distribution.",
            )),
            None => Ok(None),
        }
    }

    fn check_quotas(&mut self, request: &InvalidationRequest, now: Timestamp) -> Result<(), ApiError> {
        let second = self.scaled_second();
        let limits = &self.settings.limits;
        let wild = wildcards(&request.items);
        let plain = request.items.len() - wild;
        if limits.regime.counts_progress() {
            let running = self.distribution(&request.distribution)?.invalidations.iter();
            let running = running.filter(|invalidation| invalidation.status(now) == InvalidationStatus::InProgress);
            let (mut wild, mut plain) = (wild, plain);
            for invalidation in running {
                wild += invalidation.wildcards();
                plain += invalidation.items.len() - invalidation.wildcards();
            }
            if plain > limits.paths_in_progress || wild > limits.wildcards_in_progress {
                return Err(self.too_many());
            }
        }
        let limits = &self.settings.limits;
        if !limits.regime.counts_rate() {
            return Ok(());
        }
        // What is refused for its wildcards takes no paths either.
        let fits = self.wildcard_tokens.left(limits.wildcards_per_second, second, now) >= wild as f64
            && self.path_tokens.take(plain, limits.paths_per_second, second, now);
        if fits {
            self.wildcard_tokens.take(wild, limits.wildcards_per_second, second, now);
            return Ok(());
        }
        Err(self.too_many())
    }

    /// The answer to what a quota does not allow.
    fn too_many(&mut self) -> ApiError {
        let too_many = match self.settings.limits.quota_answer {
            QuotaAnswer::TooManyInvalidations => true,
            QuotaAnswer::Throttling => false,
            QuotaAnswer::Either => self.next_hash("quota").is_multiple_of(2),
        };
        if too_many {
            let message =
                "Processing your request will cause you to exceed the maximum number of in-progress invalidations.";
            return ApiError::new("TooManyInvalidationsInProgress", 400, message);
        }
        ApiError::new("Throttling", 400, "Rate exceeded")
    }
}

fn check(request: &InvalidationRequest) -> Result<(), ApiError> {
    if request.quantity.is_some_and(|quantity| quantity != request.items.len()) {
        let message = "The value of Quantity and the size of Items don't match.";
        return Err(ApiError::new("InconsistentQuantities", 400, message));
    }
    if request.items.is_empty() || request.caller_reference.is_empty() {
        return Err(invalid("An invalidation needs a caller reference and at least one path."));
    }
    match request.items.iter().find(|item| !is_valid_item(item)) {
        None => Ok(()),
        Some(item) => {
            Err(invalid(format!("Your request contains one or more invalid invalidation paths, e.g. {item}")))
        }
    }
}
