//! Scripted faults: which call fails, how, how often, and whether the thing happened all the same.

use super::api_error::ApiError;
use super::random::Rng;
use serde::{Deserialize, Serialize};

/// One kind of failure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// The operation, e.g. `RestoreObject` or `CreateInvalidation`; `*` is any.
    #[serde(default = "any")]
    pub operation: String,
    /// The key, path or id it concerns: a glob when it has `*` or `?`, otherwise a part of it. Absent is any.
    #[serde(default)]
    pub key: Option<String>,
    /// The error code to answer.
    pub code: String,
    /// The HTTP status; absent is the usual one of the code.
    #[serde(default)]
    pub status: Option<u16>,
    /// The message; absent is one that says it was scripted.
    #[serde(default)]
    pub message: Option<String>,
    /// How many calls fail before the rule is used up; absent is every one.
    #[serde(default)]
    pub times: Option<u32>,
    /// How many matching calls pass before the first fails.
    #[serde(default)]
    pub skip: u32,
    /// The chance that a matching call fails; absent is certain.
    #[serde(default)]
    pub probability: Option<f64>,
    /// Whether the call had its effect.
    #[serde(default)]
    pub when: FaultTiming,
}

fn any() -> String {
    "*".to_owned()
}

/// Whether a fault comes before the effect of a call or after it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultTiming {
    /// Nothing happened.
    #[default]
    Before,
    /// It happened, and the caller does not learn so.
    After,
}

impl FaultRule {
    /// A rule that fails every call of an operation with a code.
    pub fn new(operation: &str, code: &str) -> Self {
        Self {
            operation: operation.to_owned(),
            key: None,
            code: code.to_owned(),
            status: None,
            message: None,
            times: None,
            skip: 0,
            probability: None,
            when: FaultTiming::Before,
        }
    }

    /// The same, for so many calls.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }

    /// The same, after so many calls have passed.
    #[must_use]
    pub fn skip(self, skip: u32) -> Self {
        Self { skip, ..self }
    }

    /// The same, for keys, paths or ids like this.
    #[must_use]
    pub fn on(self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self }
    }

    /// The same, after the effect.
    #[must_use]
    pub fn after(self) -> Self {
        Self { when: FaultTiming::After, ..self }
    }

    /// The same, with this probability.
    #[must_use]
    pub fn sometimes(self, probability: f64) -> Self {
        Self { probability: Some(probability), ..self }
    }

    fn concerns(&self, operation: &str, subjects: &[&str]) -> bool {
        (self.operation == "*" || self.operation == operation)
            && self.key.as_deref().is_none_or(|key| subjects.iter().any(|subject| matches(key, subject)))
    }

    fn api_error(&self) -> ApiError {
        let status = self.status.unwrap_or_else(|| usual_status(&self.code));
        let message = self.message.clone().unwrap_or_else(|| format!("scripted fault: {}", self.code));
        ApiError::new(self.code.clone(), status, message)
    }
}

/// The HTTP status that goes with a code, 400 for one that is not known here.
fn usual_status(code: &str) -> u16 {
    match code {
        "AccessDenied" | "InvalidObjectState" | "ObjectAlreadyInActiveTierError" => 403,
        "NoSuchKey" | "NoSuchBucket" | "NoSuchVersion" | "NoSuchDistribution" | "NoSuchInvalidation" => 404,
        "OperationAborted" | "RestoreAlreadyInProgress" => 409,
        "BatchTooLarge" => 413,
        "InternalError" => 500,
        // No source gives the status of S3's ThrottlingException; S3 answers its other throttles with 503.
        "GlacierExpeditedRetrievalNotAvailable" | "ServiceUnavailable" | "SlowDown" | "ThrottlingException" => 503,
        _ => 400,
    }
}

/// The rules and how often each may still fail a call.
#[derive(Debug)]
pub(crate) struct Faults {
    rules: Vec<FaultRule>,
    rng: Rng,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self { rules: Vec::new(), rng: Rng::new(seed) }
    }

    pub(crate) fn replace(&mut self, rules: Vec<FaultRule>) {
        self.rules = rules;
    }

    pub(crate) fn rules(&self) -> &[FaultRule] {
        &self.rules
    }

    /// The fault of the first rule that concerns this call, if any. It uses the rule up by one.
    pub(crate) fn inject(&mut self, operation: &str, subjects: &[&str]) -> Option<(FaultTiming, ApiError)> {
        for rule in self.rules.iter_mut().filter(|rule| rule.concerns(operation, subjects)) {
            if rule.times == Some(0) {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            if rule.probability.is_some_and(|probability| !self.rng.chance(probability)) {
                continue;
            }
            rule.times = rule.times.map(|times| times - 1);
            return Some((rule.when, rule.api_error()));
        }
        None
    }
}

/// Does a pattern mean this text? With `*` (any run) or `?` (any character) it must match the whole text,
/// without either it must occur in it.
pub fn matches(pattern: &str, text: &str) -> bool {
    if !pattern.contains(['*', '?']) {
        return text.contains(pattern);
    }
    glob(pattern, text)
}

/// `*` is any run of characters, `?` any one; everything else is itself.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where the last `*` was, and how much of the text it has swallowed: on a mismatch it swallows one more.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == '?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, swallowed)) => {
                    star = Some((at, swallowed + 1));
                    p = at + 1;
                    t = swallowed + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}
