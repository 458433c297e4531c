//! What can be turned: the seed, who the account is, how fast the edges are, which limits hold.

use serde::{Deserialize, Serialize};

/// The settings of one simulated account.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Settings {
    /// Decides retrieval times, ids, and into which calls a fault with a probability is injected.
    pub seed: u64,
    /// The Region of the buckets.
    pub region: String,
    /// The account that owns everything.
    pub account: String,
    /// Model seconds from `CreateInvalidation` to `Completed`.
    ///
    /// CloudFront: "take effect <5 s P95, Completed <25 s P95" (announcement of tag invalidation, 2026-04).
    pub invalidation_seconds: u32,
    /// How many model seconds pass in one second of the callers.
    ///
    /// 1 in process, where the model's clock is the callers' clock. A server that runs its clock 3,600 times faster
    /// sets 3,600, or "1,000 calls a second" would allow 1,000 calls in 0.3 milliseconds.
    pub pace: f64,
    /// Model seconds that a job of S3 Batch Operations is being prepared. AWS names no time; minutes are usual.
    pub job_prepare_seconds: u32,
    /// Model milliseconds that such a job takes for an object. AWS names no rate beyond that of all restores of an account,
    /// 1,000 a second.
    pub job_task_millis: u32,
    /// Keys of a page of a listing at most, and never more than 1,000. S3 promises "up to" that many.
    pub keys_per_page: usize,
    /// The quotas.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 0,
            region: "us-east-1".to_owned(),
            account: "000000000000".to_owned(),
            invalidation_seconds: 20,
            pace: 1.0,
            job_prepare_seconds: 60,
            job_task_millis: 1,
            keys_per_page: 1_000,
            limits: Limits::default(),
        }
    }
}

/// Which of CloudFront's two documented sets of invalidation quotas hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuotaRegime {
    /// 3,000 paths and 15 wildcards in progress per distribution (Developer Guide until 2026-04).
    InProgress,
    /// 150 paths and 1 wildcard a second (Developer Guide since tag invalidation, 2026).
    Rate,
    /// Both at once: what passes here passes either.
    Both,
    /// Neither.
    None,
}

impl QuotaRegime {
    pub(crate) fn counts_progress(self) -> bool {
        matches!(self, Self::InProgress | Self::Both)
    }

    pub(crate) fn counts_rate(self) -> bool {
        matches!(self, Self::Rate | Self::Both)
    }
}

/// What CloudFront answers to an invalidation that a quota does not allow. It documents `TooManyInvalidationsInProgress` (API
/// Reference, "CreateInvalidation"), and people have met `Throttling` (aws/aws-sdk-js#3983). Which it is when is not documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuotaAnswer {
    /// `TooManyInvalidationsInProgress`.
    TooManyInvalidations,
    /// `Throttling`.
    Throttling,
    /// Now this and now that, as the seed decides.
    Either,
}

/// The quotas; the numbers are AWS's and may be made smaller for a test.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Limits {
    /// Restores a second and account; `None` is no limit. AWS: 1,000 (User Guide, "Archive retrieval options").
    pub restores_per_second: Option<u32>,
    /// Which invalidation quotas hold.
    pub regime: QuotaRegime,
    /// Paths without a wildcard in progress per distribution.
    pub paths_in_progress: usize,
    /// Wildcards in progress per distribution.
    pub wildcards_in_progress: usize,
    /// Paths a second.
    pub paths_per_second: u32,
    /// Wildcards a second.
    pub wildcards_per_second: u32,
    /// What is answered to more than that.
    pub quota_answer: QuotaAnswer,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            restores_per_second: None,
            regime: QuotaRegime::InProgress,
            paths_in_progress: 3_000,
            wildcards_in_progress: 15,
            paths_per_second: 150,
            wildcards_per_second: 1,
            quota_answer: QuotaAnswer::TooManyInvalidations,
        }
    }
}

/// A change of some settings; what is absent stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SettingsChange {
    /// See [`Settings::invalidation_seconds`].
    pub invalidation_seconds: Option<u32>,
    /// See [`Settings::pace`].
    pub pace: Option<f64>,
    /// See [`Settings::job_prepare_seconds`].
    pub job_prepare_seconds: Option<u32>,
    /// See [`Settings::job_task_millis`].
    pub job_task_millis: Option<u32>,
    /// See [`Settings::keys_per_page`].
    pub keys_per_page: Option<usize>,
    /// See [`Limits::restores_per_second`]; 0 lifts the limit.
    pub restores_per_second: Option<u32>,
    /// See [`Limits::regime`].
    pub regime: Option<QuotaRegime>,
    /// See [`Limits::paths_in_progress`].
    pub paths_in_progress: Option<usize>,
    /// See [`Limits::wildcards_in_progress`].
    pub wildcards_in_progress: Option<usize>,
    /// See [`Limits::paths_per_second`].
    pub paths_per_second: Option<u32>,
    /// See [`Limits::wildcards_per_second`].
    pub wildcards_per_second: Option<u32>,
    /// See [`Limits::quota_answer`].
    pub quota_answer: Option<QuotaAnswer>,
}

impl SettingsChange {
    pub(crate) fn apply(&self, settings: &mut Settings) {
        fn set<T: Copy>(slot: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *slot = value;
            }
        }
        let limits = &mut settings.limits;
        set(&mut settings.invalidation_seconds, self.invalidation_seconds);
        set(&mut settings.pace, self.pace);
        set(&mut settings.job_prepare_seconds, self.job_prepare_seconds);
        set(&mut settings.job_task_millis, self.job_task_millis);
        set(&mut settings.keys_per_page, self.keys_per_page.map(|keys| keys.clamp(1, 1_000)));
        set(&mut limits.restores_per_second, self.restores_per_second.map(|limit| (limit > 0).then_some(limit)));
        set(&mut limits.regime, self.regime);
        set(&mut limits.paths_in_progress, self.paths_in_progress);
        set(&mut limits.wildcards_in_progress, self.wildcards_in_progress);
        set(&mut limits.paths_per_second, self.paths_per_second);
        set(&mut limits.wildcards_per_second, self.wildcards_per_second);
        set(&mut limits.quota_answer, self.quota_answer);
    }
}
