//! What can go wrong, in words that say what to do.

use std::fmt;

use crate::answers::Problem;
use crate::exit::{Exit, is_refusal};

/// Why a command ended early.
#[derive(Debug)]
pub enum Error {
    /// The arguments do not fit together.
    Usage(String),
    /// The API answered with a problem.
    Problem(Problem),
    /// What the caller does not allow: a price, or a question without an answer.
    Refused(String),
    /// Nobody answered: a lost connection, or no network.
    NoAnswer(String),
    /// Anything else: credentials, an answer that cannot be read.
    Failed(String),
    /// Ctrl-C.
    Interrupted(String),
}

impl Error {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Problem(problem) if is_refusal(&problem.kind) => Exit::Refused,
            Self::Problem(_) | Self::NoAnswer(_) | Self::Failed(_) => Exit::Failed,
            Self::Refused(_) => Exit::Refused,
            Self::Interrupted(_) => Exit::Interrupted,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text)
            | Self::Refused(text)
            | Self::NoAnswer(text)
            | Self::Failed(text)
            | Self::Interrupted(text) => f.write_str(text),
            Self::Problem(problem) => {
                f.write_str(&problem.detail)?;
                match &problem.field {
                    Some(field) if !problem.detail.contains(field.as_str()) => write!(f, " (field {field})"),
                    Some(_) | None => Ok(()),
                }
            }
        }
    }
}
