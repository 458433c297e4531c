//! The code of thaw's functions: one module for each state of the workflow and each entry point, over narrow ports.
//!
//! A step reads state through ports, asks [`thaw_core`] what to do, and does it. It never waits and never retries: the
//! workflow does. Every step may run twice, and may die anywhere and run again.
//!
//! | folder | what is in it |
//! |---|---|
//! | [`workflow`] | one file per state: [`plan`](workflow::plan), [`start_restores`](workflow::start_restores), [`create_jobs`](workflow::create_jobs), [`check_jobs`](workflow::check_jobs), [`check_restores`](workflow::check_restores), [`invalidate`](workflow::invalidate), [`check_invalidations`](workflow::check_invalidations), [`report`](workflow::report), [`report_failure`](workflow::report_failure) |
//! | [`api`] | one file per function of the HTTP API: [`create_restore`](api::create_restore), [`create_plan`](api::create_plan), [`get_paths`](api::get_paths), [`get_restores`](api::get_restores), [`cancel_restore`](api::cancel_restore), [`get_distributions`](api::get_distributions), [`adopt`](api::adopt) |
//! | [`events`] | one file per function that an event or the clock calls: [`on_restore_completed`](events::on_restore_completed), [`on_restore_initiated`](events::on_restore_initiated), [`confirm_invalidations`](events::confirm_invalidations), [`on_inbox_file`](events::on_inbox_file), [`announce_expiries`](events::announce_expiries), [`check_executions`](events::check_executions) |
//! | [`deployment`] | one file per custom resource of the stack: [`preflight`](deployment::preflight), [`attachment`](deployment::attachment) |
//! | `planning` | what a request would do, and how it becomes a restore |
//! | [`views`] | what is said of a restore and its objects |
//! | `publishing` | from readable to visible |
//! | `archive` | what S3 says |
//! | [`ledger`] | the items and how they change |
//!
//! The first four never import from each other; each folder imports from those below it.

// Lambda runs one event at a time on one thread. So futures need not be `Send`, and async functions in traits are fine.
#![allow(async_fn_in_trait, reason = "one thread, one event at a time")]
// Every enum is matched exhaustively, so that the compiler lists the places that a new variant concerns.
#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

pub mod api;
pub mod deployment;
pub mod events;
pub mod ledger;
pub mod metrics;
pub mod ports;
pub mod testing;
pub mod views;
pub mod workflow;

mod archive;
mod error;
mod planning;
mod publishing;
mod settings;

pub use archive::current_versions::CurrentVersions;
pub use error::StepError;
pub use planning::survey::{MOST_OBJECTS, Survey};
pub use settings::{InvalidSetting, Settings};

/// The functions of thaw. State, handler, module and resource have the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Looks at the objects, decides what to do, computes the price and writes the plan.
    Plan,
    /// Asks S3 for the objects of one chunk.
    StartRestores,
    /// Creates jobs of S3 Batch Operations for a part of the objects.
    CreateJobs,
    /// Polls these jobs.
    CheckJobs,
    /// Polls S3 for objects that can be read.
    CheckRestores,
    /// Invalidates the paths of readable objects.
    Invalidate,
    /// Polls CloudFront for invalidations that are complete.
    CheckInvalidations,
    /// Records how the restore ended.
    Report,
    /// Records why the restore could not go on.
    ReportFailure,
    /// `POST /v1/restores`.
    CreateRestore,
    /// `POST /v1/plans`.
    CreatePlan,
    /// `POST /v1/paths`.
    GetPaths,
    /// `GET /v1/restores`, `GET /v1/restores/{id}`, `GET /v1/restores/{id}/objects`.
    GetRestores,
    /// `DELETE /v1/restores/{id}`.
    CancelRestore,
    /// `GET /v1/distributions`.
    GetDistributions,
    /// `POST /v1/adoptions`.
    Adopt,
    /// S3 finished a restore.
    OnRestoreCompleted,
    /// Somebody began a restore.
    OnRestoreInitiated,
    /// A while after an event published objects: polls CloudFront for their invalidations.
    ConfirmInvalidations,
    /// A file was written into the inbox.
    OnInboxFile,
    /// On a schedule: announces which copies expire at the next midnight.
    AnnounceExpiries,
    /// When an execution ended, and on a schedule: finds restores whose status is running and whose execution is not.
    CheckExecutions,
    /// Before anything else of the stack is made: checks what its parameters name.
    Preflight,
    /// After everything else of the stack is made, and before anything of it is deleted: what it changes in buckets that are
    /// not its own.
    Attachment,
}

impl Step {
    /// All steps: first those of the workflow, then the entry points.
    pub const ALL: [Self; 24] = [
        Self::Plan,
        Self::StartRestores,
        Self::CreateJobs,
        Self::CheckJobs,
        Self::CheckRestores,
        Self::Invalidate,
        Self::CheckInvalidations,
        Self::Report,
        Self::ReportFailure,
        Self::CreateRestore,
        Self::CreatePlan,
        Self::GetPaths,
        Self::GetRestores,
        Self::CancelRestore,
        Self::GetDistributions,
        Self::Adopt,
        Self::OnRestoreCompleted,
        Self::OnRestoreInitiated,
        Self::ConfirmInvalidations,
        Self::OnInboxFile,
        Self::AnnounceExpiries,
        Self::CheckExecutions,
        Self::Preflight,
        Self::Attachment,
    ];

    /// The name of the state and of the resource.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plan => "Plan",
            Self::StartRestores => "StartRestores",
            Self::CreateJobs => "CreateJobs",
            Self::CheckJobs => "CheckJobs",
            Self::CheckRestores => "CheckRestores",
            Self::Invalidate => "Invalidate",
            Self::CheckInvalidations => "CheckInvalidations",
            Self::Report => "Report",
            Self::ReportFailure => "ReportFailure",
            Self::CreateRestore => "CreateRestore",
            Self::CreatePlan => "CreatePlan",
            Self::GetPaths => "GetPaths",
            Self::GetRestores => "GetRestores",
            Self::CancelRestore => "CancelRestore",
            Self::GetDistributions => "GetDistributions",
            Self::Adopt => "Adopt",
            Self::OnRestoreCompleted => "OnRestoreCompleted",
            Self::OnRestoreInitiated => "OnRestoreInitiated",
            Self::ConfirmInvalidations => "ConfirmInvalidations",
            Self::OnInboxFile => "OnInboxFile",
            Self::AnnounceExpiries => "AnnounceExpiries",
            Self::CheckExecutions => "CheckExecutions",
            Self::Preflight => "Preflight",
            Self::Attachment => "Attachment",
        }
    }

    /// Whether a state of the workflow calls it. The others are called by the HTTP API, by events, on a
    /// schedule or by CloudFormation.
    pub fn is_in_the_workflow(self) -> bool {
        match self {
            Self::Plan
            | Self::StartRestores
            | Self::CreateJobs
            | Self::CheckJobs
            | Self::CheckRestores
            | Self::Invalidate
            | Self::CheckInvalidations
            | Self::Report
            | Self::ReportFailure => true,
            Self::CreateRestore
            | Self::CreatePlan
            | Self::GetPaths
            | Self::GetRestores
            | Self::CancelRestore
            | Self::GetDistributions
            | Self::Adopt
            | Self::OnRestoreCompleted
            | Self::OnRestoreInitiated
            | Self::ConfirmInvalidations
            | Self::OnInboxFile
            | Self::AnnounceExpiries
            | Self::CheckExecutions
            | Self::Preflight
            | Self::Attachment => false,
        }
    }

    /// The handler in the template, which Lambda passes in `_HANDLER`: the name in kebab-case.
    pub fn handler(self) -> String {
        let mut handler = String::new();
        for (index, char) in self.name().char_indices() {
            if char.is_ascii_uppercase() && index > 0 {
                handler.push('-');
            }
            handler.push(char.to_ascii_lowercase());
        }
        handler
    }

    /// The step with this handler.
    pub fn of_handler(handler: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.handler() == handler)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_finds_its_step() {
        assert_eq!(Step::StartRestores.handler(), "start-restores");
        for step in Step::ALL {
            assert_eq!(Step::of_handler(&step.handler()), Some(step));
        }
        assert_eq!(Step::of_handler("StartRestores"), None);
    }
}
