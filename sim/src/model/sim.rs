//! The struct that holds all of it, and what every call goes through.

use super::api_error::ApiError;
use super::bucket::Bucket;
use super::event::{EventFaults, EventSchedule};
use super::fault::{FaultRule, FaultTiming, Faults};
use super::job::Job;
use super::object_ref::ObjectRef;
use super::random::hash;
use super::restore::{RestoreCalls, RetrievalRule};
use super::settings::{Settings, SettingsChange};
use super::token_bucket::TokenBucket;
use crate::cdn::{ContinuousDeploymentPolicy, Distribution};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// S3 and CloudFront, as far as a restore and its publication can see them.
#[derive(Debug)]
pub struct Sim {
    pub(crate) settings: Settings,
    pub(crate) buckets: BTreeMap<String, Bucket>,
    pub(crate) distributions: BTreeMap<String, Distribution>,
    pub(crate) faults: Faults,
    pub(crate) event_schedule: EventSchedule,
    pub(crate) calls: BTreeMap<&'static str, u64>,
    pub(crate) restores: BTreeMap<ObjectRef, RestoreCalls>,
    pub(crate) retrieval_rules: Vec<RetrievalRule>,
    pub(crate) restore_tokens: TokenBucket,
    pub(crate) policies: BTreeMap<String, ContinuousDeploymentPolicy>,
    pub(crate) path_tokens: TokenBucket,
    pub(crate) wildcard_tokens: TokenBucket,
    pub(crate) jobs: Vec<Job>,
    /// Numbers that name things: versions, requests, invalidations.
    serial: u64,
}

impl Default for Sim {
    fn default() -> Self {
        Self::new(Settings::default())
    }
}

impl Sim {
    /// An empty account.
    pub fn new(settings: Settings) -> Self {
        Self {
            faults: Faults::new(settings.seed),
            settings,
            buckets: BTreeMap::new(),
            distributions: BTreeMap::new(),
            event_schedule: EventSchedule::default(),
            calls: BTreeMap::new(),
            restores: BTreeMap::new(),
            retrieval_rules: Vec::new(),
            restore_tokens: TokenBucket::default(),
            policies: BTreeMap::new(),
            path_tokens: TokenBucket::default(),
            wildcard_tokens: TokenBucket::default(),
            jobs: Vec::new(),
            serial: 0,
        }
    }

    /// What is set.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Changes what the change names, and leaves the rest.
    pub fn change_settings(&mut self, change: &SettingsChange) {
        change.apply(&mut self.settings);
    }

    /// Replaces the scripted faults; a rule that was half used up starts anew.
    pub fn set_faults(&mut self, rules: Vec<FaultRule>) {
        self.faults.replace(rules);
    }

    /// Replaces what happens to events between S3 and whoever listens.
    pub fn set_event_faults(&mut self, faults: EventFaults) {
        self.event_schedule.faults = faults;
    }

    /// Replaces the rules that make some retrievals faster or slower than their class and tier say.
    /// They hold for restores that begin from now on.
    pub fn set_retrieval_rules(&mut self, rules: Vec<RetrievalRule>) {
        self.retrieval_rules = rules;
    }

    /// How often an operation was called, faults and refusals included.
    pub fn calls(&self, operation: &str) -> u64 {
        self.calls.get(operation).copied().unwrap_or_default()
    }

    /// Every API call goes through here, so that it is counted and scripted faults can be injected:
    /// before the effect (nothing happened) or after it (it happened, and the answer is lost).
    pub(crate) fn call<T>(
        &mut self,
        operation: &'static str,
        subjects: &[&str],
        effect: impl FnOnce(&mut Self) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        *self.calls.entry(operation).or_default() += 1;
        match self.faults.inject(operation, subjects) {
            None => effect(self),
            Some((FaultTiming::Before, api_error)) => Err(api_error),
            Some((FaultTiming::After, api_error)) => {
                let _lost_answer = effect(self);
                Err(api_error)
            }
        }
    }

    /// The next number of a thing to name, and a hash that looks random and is not.
    pub(crate) fn next_hash(&mut self, what: &str) -> u64 {
        self.serial += 1;
        hash(self.settings.seed ^ self.serial, &[what])
    }

    /// One second of whoever calls: see [`Settings::pace`].
    pub(crate) fn scaled_second(&self) -> f64 {
        self.settings.pace
    }

    /// When to ask [`Sim::take_events`] next, if ever: an event happens or arrives then, or a job does something.
    pub fn next_event_at(&self) -> Option<Timestamp> {
        [self.event_schedule.next_due(), self.next_job_at()].into_iter().flatten().min()
    }
}
