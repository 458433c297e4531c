//! The meaning of the answers of S3 and CloudFront: does an error concern one object, or the call?
//!
//! An error about an object makes that object fail, and no other. An error that every next call would get as well (about the
//! caller, the clock, the bucket, or the service's load) is a [`CallError`]. The error code decides which one it is (S3 API
//! Reference, "Error responses"). Errors of `HeadObject` have no body and so no code: [`head_error`] finds those that may be
//! either, and [`Missing::confirmed_by_get`] decides them by the answer to a `GetObject`, which has a body.

use jiff::Timestamp;

use crate::{Event, FailureCode, Missing, Tier, copy_expiry};

/// S3's answer to a `RestoreObject`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestoreAnswer {
    /// 202: S3 fetches the object, or fetches it faster from now on.
    Accepted,
    /// 200: there is a copy already. It stays for the days of the request, counted from now.
    AlreadyLive,
    /// 409 `RestoreAlreadyInProgress`.
    InProgress,
    /// 503 `GlacierExpeditedRetrievalNotAvailable`.
    NoExpeditedCapacity,
    /// 403 `ObjectAlreadyInActiveTierError` or `InvalidObjectState`: it is not archived, or not any more.
    NotArchived,
    /// Another error about the object. A retry would get it again.
    Refused {
        /// S3's error code; empty if S3 sent none.
        code: String,
        /// S3's message.
        message: String,
    },
}

/// An error of a call, not of an object. A retry may succeed, or a person has to change something first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallError {
    /// Too many calls. A retry after seconds may succeed.
    Throttled,
    /// Too many invalidations: per second, where a retry after seconds may succeed, or in progress, where it takes minutes.
    TooManyInvalidations,
    /// The service or the network failed. A retry after seconds may succeed.
    Unavailable,
    /// The caller lacks a permission.
    Denied,
    /// The caller may not use a file's KMS key. That is a separate permission, besides the one to read the file.
    KeyDenied,
    /// There is no such bucket, or it is in another Region. A person has to correct the request or the stack.
    WrongBucket,
}

/// The error of a call, from its HTTP status and error code, for any service; `None` if it may be about the object.
///
/// The code counts more than the status: CloudFront throttles with HTTP 400 and `Throttling`, S3 with 503 and `SlowDown` or
/// `ThrottlingException`.
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
        // The credentials have expired, or are too new to be known in all of IAM, or the clock is wrong. The next
        // invocation may run on another machine, with new credentials.
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
            // A redirect: the bucket is new, and its name is not yet known in all of DNS.
            302..400 => Some(CallError::Unavailable),
            408 => Some(CallError::Unavailable),
            429 => Some(CallError::Throttled),
            500.. => Some(CallError::Unavailable),
            _ => None,
        },
    }
}

/// Whether an error of S3 is about the KMS key of an object and not about the object: it has a code of KMS
/// (`KMS.DisabledException`), or is an `AccessDenied` that names an action of KMS (User Guide, "Troubleshoot access
/// denied (403 Forbidden) errors").
pub fn is_about_a_key(code: &str, message: &str) -> bool {
    code.starts_with("KMS.") || (code == "AccessDenied" && message.contains("kms:"))
}

impl RestoreAnswer {
    /// Reads S3's answer to a `RestoreObject`: the HTTP status, and the error code and message if it is an error.
    ///
    /// The status has to be that of the raw response, because the SDK's output is the same for 200 and 202. An unknown
    /// error counts as one about the object, and so does a denied access: one bad object never stops the others.
    pub fn read(status: u16, code: &str, message: &str) -> Result<Self, CallError> {
        match (status, code) {
            (200, _) => Ok(Self::AlreadyLive),
            (202, _) => Ok(Self::Accepted),
            (_, "RestoreAlreadyInProgress") => Ok(Self::InProgress),
            (_, "GlacierExpeditedRetrievalNotAvailable") => Ok(Self::NoExpeditedCapacity),
            (_, "ObjectAlreadyInActiveTierError" | "InvalidObjectState") => Ok(Self::NotArchived),
            _ => match call_error(status, code) {
                Some(error) => Err(error),
                None => Ok(Self::Refused { code: code.to_owned(), message: message.chars().take(500).collect() }),
            },
        }
    }

    /// The event for the requested object. `days` are those of the request; `None` if the object gets no copy.
    pub fn event(self, days: Option<u32>, tier: Tier, now: Timestamp) -> Event {
        let fail = |code, message: String| Event::Failed { at: now, code, message };
        match self {
            Self::Accepted => Event::Requested { at: now, tier },
            Self::InProgress => Event::Joined { at: now, tier },
            // The answer does not have the new expiry, but the rule is documented: the days count from now.
            Self::AlreadyLive => Event::Readable { at: now, expires: days.map(|days| copy_expiry(now, days)) },
            // It was archived when it was planned and has been restored since: for another request, or for one of ours
            // whose answer got lost.
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

/// The error that every next call would get as well; `None` if the error is about the object.
///
/// `AccessDenied` counts as an error about the object, because policies can name prefixes and tags. If a permission is
/// missing for all objects, every object fails with it.
fn call_error(status: u16, code: &str) -> Option<CallError> {
    match trouble(status, code) {
        Some(CallError::Denied) if matches!(code, "AccessDenied" | "AccessDeniedException" | "") => None,
        error => error,
    }
}

/// The meaning of an error of `HeadObject`. It has no body, and so no code (API Reference, "HeadObject").
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeadError {
    /// It is about the object.
    Says(Missing),
    /// It is either about the object, or about the caller, the clock or the bucket: the status is also 400 for expired
    /// credentials, and 403 for a wrong clock. A `GetObject` decides it: it needs the same permission, and its error has
    /// a body.
    InDoubt(Missing),
    /// It is not about the object.
    CallError(CallError),
}

/// Reads an error of `HeadObject` from its HTTP status and whether it has an `x-amz-delete-marker` header.
/// `version_asked` is whether the call named a version.
pub fn head_error(status: u16, delete_marker: bool, version_asked: bool) -> HeadError {
    let refused = || Missing::Refused { says: format!("HTTP {status}") };
    match (status, delete_marker, version_asked) {
        (404 | 405, true, _) => HeadError::Says(Missing::DeleteMarker),
        (404, false, false) => HeadError::InDoubt(Missing::Key),
        (404, false, true) => HeadError::InDoubt(Missing::Version),
        (401 | 403, _, _) => HeadError::InDoubt(Missing::Denied),
        _ => match trouble(status, "") {
            Some(error) => HeadError::CallError(error),
            None => HeadError::InDoubt(refused()),
        },
    }
}

impl Missing {
    /// Decides an error of `HeadObject` that was in doubt, by the error of a `GetObject` for the same object.
    ///
    /// Fails if the error is about the call. Any other error means that S3 has accepted the caller, the clock and the
    /// bucket, so that the error of `HeadObject` is about the object. The error of `GetObject` may have more details.
    pub fn confirmed_by_get(self, status: u16, code: &str, message: &str) -> Result<Self, CallError> {
        if let Some(error) = call_error(status, code) {
            return Err(error);
        }
        Ok(match (self, code) {
            (Self::Refused { .. } | Self::Version | Self::Key, "NoSuchVersion") => Self::Version,
            // S3's message is "Invalid version id specified".
            (Self::Refused { .. }, "InvalidArgument") if message.contains("version") => Self::Version,
            // These codes do not explain the refusal. S3 may check the storage class before or after a customer's key: it
            // is not documented.
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
            // Errors of the call.
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
    fn an_error_of_a_head_is_about_the_object_or_the_call_or_in_doubt() {
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
    fn a_get_decides_an_error_of_a_head_that_was_in_doubt() {
        let bare = || Missing::Refused { says: "HTTP 400".to_owned() };
        let confirmed =
            |missing: Missing, status, code| missing.confirmed_by_get(status, code, "Invalid version id specified");
        for missing in [bare(), Missing::Denied, Missing::Key, Missing::Version] {
            for (status, code, error) in [
                (400, "ExpiredToken", CallError::Unavailable),
                (403, "RequestTimeTooSkewed", CallError::Unavailable),
                (404, "NoSuchBucket", CallError::WrongBucket),
                (301, "PermanentRedirect", CallError::WrongBucket),
                (503, "SlowDown", CallError::Throttled),
                (500, "InternalError", CallError::Unavailable),
                (403, "AllAccessDisabled", CallError::Denied),
            ] {
                assert_eq!(confirmed(missing.clone(), status, code), Err(error), "{missing:?} {code}");
            }
            // S3 has accepted the caller and the bucket.
            for (status, code) in [(403, "InvalidObjectState"), (403, "AccessDenied"), (416, "InvalidRange"), (400, "")]
            {
                assert_eq!(confirmed(missing.clone(), status, code), Ok(missing.clone()), "{code}");
            }
        }
        assert_eq!(confirmed(bare(), 400, "InvalidArgument"), Ok(Missing::Version));
        assert_eq!(confirmed(bare(), 404, "NoSuchVersion"), Ok(Missing::Version));
        let sse_c = "The object was stored using a form of Server Side Encryption";
        let says = format!("InvalidRequest: {sse_c} (HTTP 400)");
        assert_eq!(bare().confirmed_by_get(400, "InvalidRequest", sse_c), Ok(Missing::Refused { says }));
        assert_eq!(confirmed(Missing::Denied, 400, "InvalidRequest"), Ok(Missing::Denied));
    }

    #[test]
    fn a_denied_kms_key_is_distinguished_from_a_denied_file() {
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
    fn cloudfronts_three_temporary_errors_are_three_call_errors() {
        assert_eq!(trouble(400, "Throttling"), Some(CallError::Throttled));
        assert_eq!(trouble(400, "TooManyInvalidationsInProgress"), Some(CallError::TooManyInvalidations));
        assert_eq!(trouble(503, "ServiceUnavailable"), Some(CallError::Unavailable));
        assert_eq!(trouble(400, "InvalidArgument"), None);
    }

    #[test]
    fn the_status_decides_where_the_code_is_unknown() {
        assert_eq!(trouble(429, "Slow"), Some(CallError::Throttled));
        assert_eq!(trouble(500, "Odd"), Some(CallError::Unavailable));
        assert_eq!(trouble(418, "Odd"), None);
    }

    #[test]
    fn a_missing_permission_is_denied() {
        for code in ["AccessDenied", "AccessDeniedException", "AllAccessDisabled"] {
            assert_eq!(trouble(403, code), Some(CallError::Denied), "{code}");
        }
    }
}
