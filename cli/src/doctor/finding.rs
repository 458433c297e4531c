//! What a check found.

use serde::Serialize;

use super::facts::Unread;

/// A line of the answer: a check of one thing, what was found, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub verdict: Verdict,
    /// What kind of thing was checked.
    pub kind: Kind,
    /// Its name or id.
    pub name: String,
    /// The check. With kind and name it is unique, except for checks of several rules, functions or alarms.
    pub check: &'static str,
    /// What was found, in a few words.
    pub found: String,
    /// Why it matters; absent if all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// A command that mends it, for a POSIX shell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It keeps restores from working, or objects from being seen.
    Problem,
    /// It makes restores late, dear or incomplete.
    Warning,
    /// It could not be checked.
    NotKnown,
    /// Worth knowing.
    Note,
    /// Nothing to do.
    Ok,
}

impl Verdict {
    /// As people read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Problem => "problem",
            Self::Warning => "warning",
            Self::NotKnown => "not known",
            Self::Note => "note",
            Self::Ok => "ok",
        }
    }
}

/// What kind of thing was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Stack,
    Bucket,
    Distribution,
    Account,
}

impl Kind {
    /// As people read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stack => "stack",
            Self::Bucket => "bucket",
            Self::Distribution => "distribution",
            Self::Account => "account",
        }
    }
}

/// A thing that is checked.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub kind: Kind,
    pub name: &'a str,
}

impl Subject<'_> {
    /// All is well.
    pub fn ok(self, check: &'static str, found: impl Into<String>) -> Finding {
        self.finding(Verdict::Ok, check, found, None)
    }

    pub fn note(self, check: &'static str, found: impl Into<String>, why: impl Into<String>) -> Finding {
        self.finding(Verdict::Note, check, found, Some(why.into()))
    }

    pub fn warning(self, check: &'static str, found: impl Into<String>, why: impl Into<String>) -> Finding {
        self.finding(Verdict::Warning, check, found, Some(why.into()))
    }

    pub fn problem(self, check: &'static str, found: impl Into<String>, why: impl Into<String>) -> Finding {
        self.finding(Verdict::Problem, check, found, Some(why.into()))
    }

    pub fn not_known(self, check: &'static str, found: impl Into<String>, why: impl Into<String>) -> Finding {
        self.finding(Verdict::NotKnown, check, found, Some(why.into()))
    }

    /// What a read did not bring.
    pub fn unread(self, check: &'static str, unread: &Unread) -> Finding {
        match unread {
            Unread::Denied { action, resource } => self.not_known(
                check,
                format!("you may not {action}"),
                format!(
                    "To have it checked, have this allowed: {{\"Effect\": \"Allow\", \"Action\": \"{action}\", \"Resource\": \"{resource}\"}}"
                ),
            ),
            Unread::Failed(why) => self.not_known(check, "the read failed", why.clone()),
        }
    }

    fn finding(self, verdict: Verdict, check: &'static str, found: impl Into<String>, why: Option<String>) -> Finding {
        Finding { verdict, kind: self.kind, name: self.name.to_owned(), check, found: found.into(), why, mend: None }
    }
}

impl Finding {
    /// The same with the command that mends it.
    pub fn mend(self, command: impl Into<String>) -> Finding {
        Finding { mend: Some(command.into()), ..self }
    }
}
