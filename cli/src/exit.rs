//! The exit codes, by which scripts tell how a command ended.

use std::process::ExitCode;

use thaw_core::Status;

/// How a command ended. A wrong command line exits with 2 (clap's code).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked for.
    Done,
    /// It failed, or the restore did. A cancelled restore counts as failed: its objects are not shown.
    Failed,
    /// The command line does not fit together.
    Usage,
    /// The restore is accepted, and its objects are not ready yet.
    NotReady,
    /// Some objects of the restore failed.
    PartlyFailed,
    /// It would cost too much, or the caller said no.
    Refused,
    /// The time for waiting is over. The restore goes on.
    TimedOut,
    /// Ctrl-C. The restore goes on.
    Interrupted,
}

impl Exit {
    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotReady => 3,
            Self::PartlyFailed => 4,
            Self::Refused => 5,
            Self::TimedOut => 124,
            Self::Interrupted => 130,
        }
    }

    /// How a restore stands. `problem` is the type of the problem for which it was refused.
    pub fn of(status: Status, problem: Option<&str>) -> Self {
        match status {
            Status::Running => Self::NotReady,
            Status::Succeeded => Self::Done,
            Status::PartlyFailed => Self::PartlyFailed,
            Status::Failed if problem.is_some_and(is_refusal) => Self::Refused,
            Status::Failed | Status::Cancelled => Self::Failed,
        }
    }
}

/// Whether a problem is about what may be spent, or about the plan that was confirmed.
pub fn is_refusal(problem: &str) -> bool {
    ["over-price", "over-budget", "plan-changed", "foreign-bucket"]
        .into_iter()
        .any(|name| problem.strip_prefix("urn:thaw:problem:") == Some(name))
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_can_tell_how_a_restore_ended() {
        for (status, problem, code) in [
            (Status::Running, None, 3),
            (Status::Succeeded, None, 0),
            (Status::PartlyFailed, None, 4),
            (Status::Failed, None, 1),
            (Status::Failed, Some("urn:thaw:problem:nothing-matches"), 1),
            (Status::Failed, Some("urn:thaw:problem:over-price"), 5),
            (Status::Failed, Some("urn:thaw:problem:over-budget"), 5),
            (Status::Failed, Some("urn:thaw:problem:plan-changed"), 5),
            (Status::Cancelled, None, 1),
        ] {
            assert_eq!(Exit::of(status, problem).code(), code, "{status:?} {problem:?}");
        }
    }
}
