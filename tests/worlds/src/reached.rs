//! What worlds must meet: a suite that never comes to a thing does not test it.

use std::collections::BTreeMap;

/// After so many worlds everything must have happened at least once.
pub const WORLDS: u64 = 10_000;

/// What must happen.
const ALL: [&str; 59] = [
    "S3 answers Accepted",
    "S3 answers AlreadyLive",
    "S3 answers InProgress",
    "S3 answers NoExpeditedCapacity",
    "S3 answers NotArchived",
    "POST again answers 200",
    "POST again answers 422",
    "POST answers 202",
    "POST answers 400",
    "event comes",
    "event late",
    "event lost",
    "event twice",
    "execution failed InvalidRequest",
    "execution failed ObjectsFailed",
    "execution stopped",
    "execution succeeded",
    "failed ExpeditedNotAvailable",
    "failed NotBeingRestored",
    "failed PathCannotBeInvalidated",
    "failed RetrievalTimedOut",
    "failed TierNotOffered",
    "fault DieAfter",
    "fault DieBefore",
    "fault HangAfter",
    "fault HangBefore",
    "fault LostAnswer",
    "fault Repeated",
    "fault Throttled",
    "fault Unavailable",
    "fault in CancelRestore",
    "fault in CheckInvalidations",
    "fault in CheckRestores",
    "fault in CreateRestore",
    "fault in Invalidate",
    "fault in OnRestoreCompleted",
    "fault in OnRestoreInitiated",
    "fault in Plan",
    "fault in Report",
    "fault in ReportFailure",
    "fault in StartRestores",
    "invalidated many paths by a wildcard",
    "invalidated path",
    "invalidated wildcard",
    "invocation AnswerLost",
    "invocation GoesOn",
    "invocation NotBegun",
    "published already published",
    "published invalidated",
    "published not current",
    "published nothing stale",
    "restore cancelled",
    "restore failed",
    "restore partly_failed",
    "restore succeeded",
    "retry Runtime.ExitError",
    "retry Sandbox.Timedout",
    "retry Throttled",
    "retry TooManyInvalidationsInProgress",
];

/// What did not happen.
pub fn missing(reached: &BTreeMap<String, u64>) -> Vec<&'static str> {
    ALL.into_iter().filter(|what| !reached.contains_key(*what)).collect()
}
