//! The status of an execution in Step Functions, and a text that says why it ended.

/// The status of an execution (API Reference of Step Functions, `DescribeExecution`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecutionStatus {
    /// It runs.
    Running,
    /// It will run again (`PENDING_REDRIVE`).
    PendingRedrive,
    /// It succeeded.
    Succeeded,
    /// It failed.
    Failed,
    /// It ran longer than the state machine allows.
    TimedOut,
    /// It was stopped by `StopExecution`.
    Aborted,
}

/// An execution, as Step Functions describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// Its status.
    pub status: ExecutionStatus,
    /// The name of the error; `None` if Step Functions has none.
    pub error: Option<String>,
    /// The cause; `None` if Step Functions has none.
    pub cause: Option<String>,
    /// How often it was redriven.
    pub redrives: u32,
}

/// A text that says why an execution ended; `None` while it runs. The argument is `None` if Step Functions does not know the
/// execution: it deletes executions 90 days after their end.
pub fn why_it_ended(execution: Option<&Execution>) -> Option<String> {
    let Some(execution) = execution else {
        return Some("Step Functions does not know its execution any more.".to_owned());
    };
    let cause = execution.cause.as_deref().unwrap_or_default();
    match execution.status {
        ExecutionStatus::Running | ExecutionStatus::PendingRedrive => None,
        ExecutionStatus::Succeeded => Some("Its execution ended without a report.".to_owned()),
        ExecutionStatus::Failed => Some(why(execution.error.as_deref().unwrap_or_default(), cause)),
        ExecutionStatus::TimedOut => Some("Its execution ran longer than Step Functions lets it.".to_owned()),
        ExecutionStatus::Aborted if cause.trim().is_empty() => {
            Some("Its execution was stopped in Step Functions, and no cause was given.".to_owned())
        }
        ExecutionStatus::Aborted => {
            Some(format!("Its execution was stopped in Step Functions: {}", sentence(cause.trim().to_owned())))
        }
    }
}

/// A text that says why a state failed: its cause, or the name of its error if there is no cause.
///
/// Both are optional in the events of Step Functions' history (API Reference, `TaskTimedOutEventDetails` and similar
/// types). The cause of a Lambda's error is JSON with an `errorMessage`.
pub fn why(error: &str, cause: &str) -> String {
    let message = serde_json::from_str::<serde_json::Value>(cause)
        .ok()
        .and_then(|cause| cause.get("errorMessage")?.as_str().map(str::to_owned));
    let words = message.unwrap_or_else(|| cause.to_owned());
    match (words.trim(), error) {
        ("", "") => "Step Functions ended it, and gave no error and no cause.".to_owned(),
        ("", error) => format!("It failed with {error}, and no cause was given."),
        (words, _) => sentence(words.to_owned()),
    }
}

fn sentence(mut words: String) -> String {
    if !words.ends_with(['.', '!', '?', '…']) {
        words.push('.');
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_a_lambda_error_is_read_from_its_json() {
        let cause = r#"{"errorMessage":"tier: must be …","errorType":"InvalidRequest"}"#;
        for (error, cause, words) in [
            ("InvalidRequest", cause, "tier: must be …"),
            ("States.Timeout", "Task timed out.", "Task timed out."),
            ("Denied", "No access", "No access."),
            ("Denied", r#"{"stackTrace":[]}"#, r#"{"stackTrace":[]}."#),
        ] {
            assert_eq!(why(error, cause), words);
        }
    }

    #[test]
    fn without_a_cause_the_text_names_the_error() {
        for cause in ["", " ", r#"{"errorMessage":""}"#] {
            assert_eq!(why("States.Timeout", cause), "It failed with States.Timeout, and no cause was given.");
        }
        assert_eq!(why("", ""), "Step Functions ended it, and gave no error and no cause.");
    }

    #[test]
    fn every_status_except_running_has_a_text() {
        let of = |status, error: Option<&str>, cause: Option<&str>| Execution {
            status,
            error: error.map(str::to_owned),
            cause: cause.map(str::to_owned),
            redrives: 0,
        };
        for (execution, words) in [
            (of(ExecutionStatus::Running, None, None), None),
            (of(ExecutionStatus::PendingRedrive, None, None), None),
            (of(ExecutionStatus::Succeeded, None, None), Some("Its execution ended without a report.")),
            (of(ExecutionStatus::Failed, Some("States.Runtime"), Some("Too much")), Some("Too much.")),
            (
                of(ExecutionStatus::Failed, Some("States.Runtime"), None),
                Some("It failed with States.Runtime, and no cause was given."),
            ),
            (
                of(ExecutionStatus::TimedOut, Some("States.Timeout"), Some("")),
                Some("Its execution ran longer than Step Functions lets it."),
            ),
            (
                of(ExecutionStatus::Aborted, None, None),
                Some("Its execution was stopped in Step Functions, and no cause was given."),
            ),
            (
                of(ExecutionStatus::Aborted, Some("X"), Some("wrong bucket")),
                Some("Its execution was stopped in Step Functions: wrong bucket."),
            ),
        ] {
            assert_eq!(why_it_ended(Some(&execution)).as_deref(), words, "{execution:?}");
        }
        assert!(why_it_ended(None).unwrap().contains("does not know"));
    }
}
