//! The errors of a step. The state machine matches on the name, and people read the message.

use thaw_core::{CallError, IllegalEvent, Problem};

use crate::ports::PortError;

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The request is wrong. Nothing was spent.
    #[error("{}", .0.detail)]
    InvalidRequest(Box<Problem>),
    /// A service throttles.
    #[error("{0}")]
    Throttled(String),
    /// CloudFront has too many invalidations in progress.
    #[error("{0}")]
    TooManyInvalidationsInProgress(String),
    /// A service or the network failed.
    #[error("{0}")]
    Unavailable(String),
    /// A permission is missing.
    #[error("{0}")]
    Denied(String),
    /// A bug in thaw, or an unforeseen answer of a service.
    #[error("{0}")]
    Unexpected(String),
}

impl StepError {
    /// All names, for the contract test between code and state machine.
    pub const NAMES: [&str; 6] =
        ["InvalidRequest", "Throttled", "TooManyInvalidationsInProgress", "Unavailable", "Denied", "Unexpected"];

    /// The name that the state machine matches on.
    pub fn name(&self) -> &'static str {
        match self {
            Self::InvalidRequest(_) => "InvalidRequest",
            Self::Throttled(_) => "Throttled",
            Self::TooManyInvalidationsInProgress(_) => "TooManyInvalidationsInProgress",
            Self::Unavailable(_) => "Unavailable",
            Self::Denied(_) => "Denied",
            Self::Unexpected(_) => "Unexpected",
        }
    }

    /// Whether the same call may succeed a while later.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Throttled(_) | Self::TooManyInvalidationsInProgress(_) | Self::Unavailable(_) => true,
            Self::InvalidRequest(_) | Self::Denied(_) | Self::Unexpected(_) => false,
        }
    }

    /// The answer of the API for this error.
    pub fn problem(self) -> Problem {
        match self {
            Self::InvalidRequest(problem) => *problem,
            Self::Throttled(why) | Self::TooManyInvalidationsInProgress(why) | Self::Unavailable(why) => {
                Problem::busy(why)
            }
            Self::Denied(why) | Self::Unexpected(why) => Problem::internal(why),
        }
    }
}

impl From<Problem> for StepError {
    fn from(problem: Problem) -> Self {
        Self::InvalidRequest(Box::new(problem))
    }
}

impl From<PortError> for StepError {
    fn from(error: PortError) -> Self {
        let says = error.to_string();
        match error.trouble {
            Some(CallError::Throttled) => Self::Throttled(says),
            Some(CallError::TooManyInvalidations) => Self::TooManyInvalidationsInProgress(says),
            Some(CallError::Unavailable) => Self::Unavailable(says),
            Some(CallError::Denied | CallError::KeyDenied) => Self::Denied(says),
            Some(CallError::WrongBucket) => Problem::wrong_bucket(says).into(),
            None => Self::Unexpected(says),
        }
    }
}

impl From<IllegalEvent> for StepError {
    fn from(error: IllegalEvent) -> Self {
        Self::Unexpected(error.to_string())
    }
}

impl From<serde_json::Error> for StepError {
    fn from(error: serde_json::Error) -> Self {
        Self::Unexpected(format!("JSON that thaw wrote itself cannot be read: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use thaw_core::{Event, State, advance};

    use super::*;

    #[test]
    fn a_service_error_keeps_its_name_and_its_message() {
        for (trouble, name, status) in [
            (Some(CallError::Throttled), "Throttled", 503),
            (Some(CallError::TooManyInvalidations), "TooManyInvalidationsInProgress", 503),
            (Some(CallError::Unavailable), "Unavailable", 503),
            (Some(CallError::Denied), "Denied", 500),
            (Some(CallError::KeyDenied), "Denied", 500),
            (Some(CallError::WrongBucket), "InvalidRequest", 422),
            (None, "Unexpected", 500),
        ] {
            let error = StepError::from(PortError { what: "Get".to_owned(), says: "no".to_owned(), trouble });
            assert_eq!(error.name(), name);
            assert!(error.to_string().contains("Get: no"), "{error}");
            assert!(StepError::NAMES.contains(&name));
            let problem = error.problem();
            assert!(problem.status == status && problem.detail.contains("Get: no"), "{problem:?}");
        }
    }

    #[test]
    fn a_problem_of_the_caller_stays_one_and_bugs_are_unexpected() {
        let error = StepError::from(Problem::no_such_restore("r"));
        assert_eq!((error.name(), error.problem().status), ("InvalidRequest", 404));
        let illegal = advance(&State::Planned, &Event::Claimed { batch: "b".to_owned().into() }).unwrap_err();
        assert_eq!(StepError::from(illegal).name(), "Unexpected");
        let json = serde_json::from_str::<u8>("x").unwrap_err();
        assert_eq!(StepError::from(json).name(), "Unexpected");
    }
}
