//! Functions without an HTTP request: events of S3 and Step Functions, files in the inbox, schedules. One file per
//! function.

pub mod announce_expiries;
pub mod check_executions;
pub mod confirm_invalidations;
pub mod on_inbox_file;
pub mod on_restore_completed;
pub mod on_restore_initiated;
pub mod queue;
