//! What an AWS service's answer means. One table for everybody who talks to S3 or CloudFront.
//!
//! What S3 answers about one object is that object's own: it fails alone. What S3 would answer to everybody's next question
//! as well (about the caller, the clock, the bucket, or its own load) is trouble of the call. Codes tell the two apart (S3 API
//! Reference, "Error responses"). The errors of `HeadObject` have no body and so no code; [`head_error`] says which of them
//! leave it open, and [`Missing::confirmed_by_get`] what the same question with a body in its answer says then.

use jiff::Timestamp;

use crate::{Event, FailureCode, Missing, Tier, copy_expiry};

/// What S3 answered to a `RestoreObject`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestoreAnswer {
    /// 202: S3 began to fetch it, or fetches it faster from now on.
    Accepted,
    /// 200: a copy was live; it stays for the days asked for, counted from now.
    AlreadyLive,
    /// 409 `RestoreAlreadyInProgress`.
    InProgress,
    /// 503 `GlacierExpeditedRetrievalNotAvailable`.
    NoExpeditedCapacity,
    /// 403 `ObjectAlreadyInActiveTierError` or `InvalidObjectState`: it is not archived (any more).
    NotArchived,
    /// Nothing that asking again would mend.
    Refused {
        /// S3's name for it; empty where S3 sent none.
        code: String,
        /// S3's words.
        message: String,
    },
}

/// Why a service did not do what it was asked, when trying again may help or a person must.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallError {
    /// Too fast: seconds help.
    Throttled,
    /// Too many invalidations, in a second or in progress: seconds help for the one, minutes for the other.
    TooManyInvalidations,
    /// The service or the network failed: seconds help.
    Unavailable,
    /// The caller may not.
    Denied,
    /// KMS does not let the caller use the key of a file: its own permission, beside that to read it.
    KeyDenied,
    /// There is no such bucket, or it is in another Region: somebody must mend the request or the stack.
    WrongBucket,
}

/// Whether an error is trouble of any service, from the HTTP status and the error code.
///
/// CloudFront throttles with HTTP 400 and `Throttling`, S3 with 503 `SlowDown` or `ThrottlingException`; the code
/// decides before the status.
pub fn trouble(status: u16, code: &str) -> Option<CallError> {
    match code {
        "SlowDown"
        | "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestLimitExceeded"
        | "TooManyRequestsException"
        | "ProvisionedThroughputExceededException"
        | "RequestThrottled"
        | "ExecutionLimitExceeded" => Some(CallError::Throttled),
        "TooManyInvalidationsInProgress" => Some(CallError::TooManyInvalidations),
        "InternalError" | "ServiceUnavailable" | "InternalServerError" | "RequestTimeout" | "OperationAborted" => {
            Some(CallError::Unavailable)
        }
        // The credentials have expired, or IAM does not know them everywhere yet; the clock is wrong. The next invocation
        // may find another machine, which has new ones.
        "ExpiredToken"
        | "ExpiredTokenException"
        | "TokenRefreshRequired"
        | "InvalidToken"
        | "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch"
        | "RequestExpired"
        | "RequestTimeTooSkewed" => Some(CallError::Unavailable),
        "AccessDenied"
        | "AccessDeniedException"
        | "AllAccessDisabled"
        | "AccountProblem"
        | "NotSignedUp"
        | "InvalidSecurity" => Some(CallError::Denied),
        "NoSuchBucket"
        | "PermanentRedirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException" => Some(CallError::WrongBucket),
        _ => match status {
            301 => Some(CallError::WrongBucket),
            // A bucket whose name is not known everywhere yet.
            302..400 => Some(CallError::Unavailable),
            408 => Some(CallError::Unavailable),
            429 => Some(CallError::Throttled),
            500.. => Some(CallError::Unavailable),
            _ => None,
        },
    }
}

/// Whether an error of S3's is about the KMS key of an object and not about the object: KMS's own codes (`KMS.DisabledException`),
/// or an `AccessDenied` that names an action of KMS (User Guide, "Troubleshoot access denied (403 Forbidden) errors").
pub fn is_about_a_key(code: &str, message: &str) -> bool {
    code.starts_with("KMS.") || (code == "AccessDenied" && message.contains("kms:"))
}

impl RestoreAnswer {
    /// Reads S3's answer to a `RestoreObject`: the HTTP status, and the error code and message if it is an error.
    ///
    /// The SDK's output does not tell 200 from 202, so the status comes from the raw answer. A refusal that nobody foresaw is
    /// an answer about that object, and so is that it is denied: one bad object never stops the others.
    pub fn read(status: u16, code: &str, message: &str) -> Result<Self, CallError> {
        match (status, code) {
            (200, _) => Ok(Self::AlreadyLive),
            (202, _) => Ok(Self::Accepted),
            (_, "RestoreAlreadyInProgress") => Ok(Self::InProgress),
            (_, "GlacierExpeditedRetrievalNotAvailable") => Ok(Self::NoExpeditedCapacity),
            (_, "ObjectAlreadyInActiveTierError" | "InvalidObjectState") => Ok(Self::NotArchived),
            _ => match about_all(status, code) {
                Some(trouble) => Err(trouble),
                None => Ok(Self::Refused { code: code.to_owned(), message: message.chars().take(500).collect() }),
            },
        }
    }

    /// What it means for the object that was asked for, for so many days (`None` if it gets no copy) and at this tier.
    pub fn event(self, days: Option<u32>, tier: Tier, now: Timestamp) -> Event {
        let fail = |code, message: String| Event::Failed { at: now, code, message };
        match self {
            Self::Accepted => Event::Requested { at: now, tier },
            Self::InProgress => Event::Joined { at: now, tier },
            // The answer does not carry the new expiry, but its rule is known: the days count from now.
            Self::AlreadyLive => Event::Readable { at: now, expires: days.map(|days| copy_expiry(now, days)) },
            // It was archived when it was planned, so it came back since: an answer of S3 got lost, or somebody else asked.
            Self::NotArchived => Event::Readable { at: now, expires: None },
            Self::NoExpeditedCapacity => fail(
                FailureCode::ExpeditedNotAvailable,
                "S3 has no Expedited capacity now, and the request said to fail then".to_owned(),
            ),
            Self::Refused { code, message } => {
                let failure = match code.as_str() {
                    "NoSuchKey" => FailureCode::NoSuchKey,
                    "NoSuchVersion" => FailureCode::NoSuchVersion,
                    "MethodNotAllowed" => FailureCode::DeleteMarker,
                    "AccessDenied" => FailureCode::AccessDenied,
                    _ if message.contains("not supported by this storage class") => FailureCode::TierNotOffered,
                    _ => FailureCode::RefusedByS3,
                };
                let code = if code.is_empty() { "an error without a name" } else { &code };
                fail(failure, format!("S3 refused the restore with {code}: {message}"))
            }
        }
    }
}

/// The trouble that everybody's next question would meet as well; `None` if the error is about what was asked for.
///
/// `AccessDenied` may be about one object (a policy names prefixes and tags), and a permission that is missing for all of
/// them says so object by object.
fn about_all(status: u16, code: &str) -> Option<CallError> {
    match trouble(status, code) {
        Some(CallError::Denied) if matches!(code, "AccessDenied" | "AccessDeniedException" | "") => None,
        trouble => trouble,
    }
}

/// What an error to a `HeadObject` says. It has no body, and so no code (API Reference, "HeadObject").
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeadError {
    /// This about the object.
    Says(Missing),
    /// This about the object, unless it is about the caller, the clock or the bucket: expired credentials answer 400 too, and
    /// a wrong clock 403. `GetObject` is the same question with the same permission, and its answer has a body.
    InDoubt(Missing),
    /// Nothing about the object.
    CallError(CallError),
}

/// Reads an error to a `HeadObject` from its HTTP status and whether it came with `x-amz-delete-marker`.
pub fn head_error(status: u16, delete_marker: bool, version_asked: bool) -> HeadError {
    let refused = || Missing::Refused { says: format!("HTTP {status}") };
    match (status, delete_marker, version_asked) {
        (404 | 405, true, _) => HeadError::Says(Missing::DeleteMarker),
        (404, false, false) => HeadError::InDoubt(Missing::Key),
        (404, false, true) => HeadError::InDoubt(Missing::Version),
        (401 | 403, _, _) => HeadError::InDoubt(Missing::Denied),
        _ => match trouble(status, "") {
            Some(trouble) => HeadError::CallError(trouble),
            None => HeadError::InDoubt(refused()),
        },
    }
}

impl Missing {
    /// What is true of an object whose `HeadObject` left this in doubt, given what `GetObject` answered with an error.
    ///
    /// Fails with the trouble that it was. Whatever is no such trouble came after S3 had accepted who asks, for what bucket and
    /// when, so what `HeadObject` said is about the object; and `GetObject` may say it in more words.
    pub fn confirmed_by_get(self, status: u16, code: &str, message: &str) -> Result<Self, CallError> {
        if let Some(trouble) = about_all(status, code) {
            return Err(trouble);
        }
        Ok(match (self, code) {
            (Self::Refused { .. } | Self::Version | Self::Key, "NoSuchVersion") => Self::Version,
            // S3's words are "Invalid version id specified".
            (Self::Refused { .. }, "InvalidArgument") if message.contains("version") => Self::Version,
            // S3 checks the class before the key of a customer, or after it: which, is not documented.
            (this @ Self::Refused { .. }, "" | "AccessDenied" | "InvalidObjectState" | "InvalidRange") => this,
            (Self::Refused { .. }, _) => {
                let message: String = message.chars().take(300).collect();
                Self::Refused { says: format!("{code}: {message} (HTTP {status})") }
            }
            (this, _) => this,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_of_s3_has_a_meaning_for_the_object() {
        let now = || "2026-11-22T10:00:00Z".parse::<Timestamp>().unwrap();
        let refused =
            |code: &str, message: &str| RestoreAnswer::Refused { code: code.to_owned(), message: message.to_owned() };
        let event = |answer: RestoreAnswer| answer.event(Some(3), Tier::Bulk, now());
        assert_eq!(event(RestoreAnswer::Accepted), Event::Requested { at: now(), tier: Tier::Bulk });
        assert_eq!(event(RestoreAnswer::InProgress), Event::Joined { at: now(), tier: Tier::Bulk });
        let expires = Some("2026-11-26T00:00:00Z".parse().unwrap());
        assert_eq!(event(RestoreAnswer::AlreadyLive), Event::Readable { at: now(), expires });
        assert_eq!(event(RestoreAnswer::NotArchived), Event::Readable { at: now(), expires: None });
        for (answer, failure) in [
            (RestoreAnswer::NoExpeditedCapacity, FailureCode::ExpeditedNotAvailable),
            (refused("NoSuchKey", ""), FailureCode::NoSuchKey),
            (refused("NoSuchVersion", ""), FailureCode::NoSuchVersion),
            (refused("MethodNotAllowed", ""), FailureCode::DeleteMarker),
            (refused("AccessDenied", ""), FailureCode::AccessDenied),
            (refused("InvalidRequest", "Tier is not supported by this storage class"), FailureCode::TierNotOffered),
            (refused("", "odd"), FailureCode::RefusedByS3),
        ] {
            let Event::Failed { code, .. } = event(answer.clone()) else { panic!("{answer:?}") };
            assert_eq!(code, failure, "{answer:?}");
        }
    }

    #[test]
    fn every_answer_of_restore_object_has_a_meaning() {
        let refused = |code: &str| RestoreAnswer::Refused { code: code.to_owned(), message: "m".to_owned() };
        for (status, code, meaning) in [
            (202, "", Ok(RestoreAnswer::Accepted)),
            (200, "", Ok(RestoreAnswer::AlreadyLive)),
            (409, "RestoreAlreadyInProgress", Ok(RestoreAnswer::InProgress)),
            (503, "GlacierExpeditedRetrievalNotAvailable", Ok(RestoreAnswer::NoExpeditedCapacity)),
            (403, "ObjectAlreadyInActiveTierError", Ok(RestoreAnswer::NotArchived)),
            (403, "InvalidObjectState", Ok(RestoreAnswer::NotArchived)),
            (400, "ThrottlingException", Err(CallError::Throttled)),
            (503, "SlowDown", Err(CallError::Throttled)),
            (503, "ServiceUnavailable", Err(CallError::Unavailable)),
            (500, "InternalError", Err(CallError::Unavailable)),
            (502, "", Err(CallError::Unavailable)),
            (409, "OperationAborted", Err(CallError::Unavailable)),
            (403, "AccessDenied", Ok(refused("AccessDenied"))),
            (404, "NoSuchKey", Ok(refused("NoSuchKey"))),
            (404, "NoSuchVersion", Ok(refused("NoSuchVersion"))),
            (405, "MethodNotAllowed", Ok(refused("MethodNotAllowed"))),
            (400, "MalformedXML", Ok(refused("MalformedXML"))),
            (400, "InvalidRequest", Ok(refused("InvalidRequest"))),
            (418, "", Ok(refused(""))),
            // These would be everybody's.
            (404, "NoSuchBucket", Err(CallError::WrongBucket)),
            (301, "PermanentRedirect", Err(CallError::WrongBucket)),
            (301, "", Err(CallError::WrongBucket)),
            (400, "AuthorizationHeaderMalformed", Err(CallError::WrongBucket)),
            (307, "TemporaryRedirect", Err(CallError::Unavailable)),
            (400, "ExpiredToken", Err(CallError::Unavailable)),
            (403, "RequestTimeTooSkewed", Err(CallError::Unavailable)),
            (403, "InvalidAccessKeyId", Err(CallError::Unavailable)),
            (403, "AccountProblem", Err(CallError::Denied)),
        ] {
            assert_eq!(RestoreAnswer::read(status, code, "m"), meaning, "{status} {code}");
        }
    }

    #[test]
    fn an_error_to_a_head_is_the_objects_own_or_trouble_or_leaves_that_open() {
        let refused = |status: u16| HeadError::InDoubt(Missing::Refused { says: format!("HTTP {status}") });
        for (status, marker, version_asked, expected) in [
            (404, false, false, HeadError::InDoubt(Missing::Key)),
            (404, false, true, HeadError::InDoubt(Missing::Version)),
            (404, true, false, HeadError::Says(Missing::DeleteMarker)),
            (405, true, true, HeadError::Says(Missing::DeleteMarker)),
            (403, false, false, HeadError::InDoubt(Missing::Denied)),
            (401, false, false, HeadError::InDoubt(Missing::Denied)),
            (400, false, false, refused(400)),
            (400, false, true, refused(400)),
            (405, false, false, refused(405)),
            (412, false, false, refused(412)),
            (418, false, true, refused(418)),
            (301, false, false, HeadError::CallError(CallError::WrongBucket)),
            (307, false, false, HeadError::CallError(CallError::Unavailable)),
            (408, false, false, HeadError::CallError(CallError::Unavailable)),
            (429, false, false, HeadError::CallError(CallError::Throttled)),
            (503, false, false, HeadError::CallError(CallError::Unavailable)),
        ] {
            assert_eq!(head_error(status, marker, version_asked), expected, "{status} {marker} {version_asked}");
        }
    }

    #[test]
    fn a_get_tells_what_a_head_was_about() {
        let bare = || Missing::Refused { says: "HTTP 400".to_owned() };
        let told =
            |missing: Missing, status, code| missing.confirmed_by_get(status, code, "Invalid version id specified");
        for missing in [bare(), Missing::Denied, Missing::Key, Missing::Version] {
            for (status, code, trouble) in [
                (400, "ExpiredToken", CallError::Unavailable),
                (403, "RequestTimeTooSkewed", CallError::Unavailable),
                (404, "NoSuchBucket", CallError::WrongBucket),
                (301, "PermanentRedirect", CallError::WrongBucket),
                (503, "SlowDown", CallError::Throttled),
                (500, "InternalError", CallError::Unavailable),
                (403, "AllAccessDisabled", CallError::Denied),
            ] {
                assert_eq!(told(missing.clone(), status, code), Err(trouble), "{missing:?} {code}");
            }
            // S3 knows the caller and the bucket.
            for (status, code) in [(403, "InvalidObjectState"), (403, "AccessDenied"), (416, "InvalidRange"), (400, "")]
            {
                assert_eq!(told(missing.clone(), status, code), Ok(missing.clone()), "{code}");
            }
        }
        assert_eq!(told(bare(), 400, "InvalidArgument"), Ok(Missing::Version));
        assert_eq!(told(bare(), 404, "NoSuchVersion"), Ok(Missing::Version));
        let sse_c = "The object was stored using a form of Server Side Encryption";
        let says = format!("InvalidRequest: {sse_c} (HTTP 400)");
        assert_eq!(bare().confirmed_by_get(400, "InvalidRequest", sse_c), Ok(Missing::Refused { says }));
        assert_eq!(told(Missing::Denied, 400, "InvalidRequest"), Ok(Missing::Denied));
    }

    #[test]
    fn a_key_that_may_not_be_used_is_told_from_a_file_that_may_not_be_read() {
        let denied = "User: arn:aws:sts::1:assumed-role/r/f is not authorized to perform: kms:Decrypt on the resource";
        for (code, message, expected) in [
            ("AccessDenied", denied, true),
            ("KMS.DisabledException", "the key is disabled", true),
            ("KMS.NotFoundException", "", true),
            ("AccessDenied", "User is not authorized to perform: s3:GetObject", false),
            ("AccessDenied", "Access Denied", false),
            ("NoSuchKey", denied, false),
        ] {
            assert_eq!(is_about_a_key(code, message), expected, "{code} {message}");
        }
    }

    #[test]
    fn cloudfronts_three_ways_to_say_later_are_three_troubles() {
        assert_eq!(trouble(400, "Throttling"), Some(CallError::Throttled));
        assert_eq!(trouble(400, "TooManyInvalidationsInProgress"), Some(CallError::TooManyInvalidations));
        assert_eq!(trouble(503, "ServiceUnavailable"), Some(CallError::Unavailable));
        assert_eq!(trouble(400, "InvalidArgument"), None);
    }

    #[test]
    fn where_the_code_is_unknown_the_status_tells() {
        assert_eq!(trouble(429, "Slow"), Some(CallError::Throttled));
        assert_eq!(trouble(500, "Odd"), Some(CallError::Unavailable));
        assert_eq!(trouble(418, "Odd"), None);
    }

    #[test]
    fn a_missing_permission_is_for_a_person_to_mend() {
        for code in ["AccessDenied", "AccessDeniedException", "AllAccessDisabled"] {
            assert_eq!(trouble(403, code), Some(CallError::Denied), "{code}");
        }
    }
}
