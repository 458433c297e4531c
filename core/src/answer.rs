//! What an AWS service's answer means. One table for everybody who talks to S3 or CloudFront.

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
pub enum Trouble {
    /// Too fast: seconds help.
    Throttled,
    /// Too many invalidations in progress: minutes help.
    TooManyInvalidations,
    /// The service or the network failed: seconds help.
    Unavailable,
    /// The caller may not.
    Denied,
}

/// Whether an error is trouble of any service, from the HTTP status and the error code.
///
/// CloudFront throttles with HTTP 400 and `Throttling`, S3 with 503 `SlowDown` or `ThrottlingException`; the code
/// decides before the status.
pub fn trouble(status: u16, code: &str) -> Option<Trouble> {
    match code {
        "SlowDown"
        | "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestLimitExceeded"
        | "TooManyRequestsException"
        | "ProvisionedThroughputExceededException"
        | "RequestThrottled"
        | "ExecutionLimitExceeded" => Some(Trouble::Throttled),
        "TooManyInvalidationsInProgress" => Some(Trouble::TooManyInvalidations),
        "InternalError" | "ServiceUnavailable" | "InternalServerError" | "RequestTimeout" | "OperationAborted" => {
            Some(Trouble::Unavailable)
        }
        "AccessDenied" | "AccessDeniedException" | "AllAccessDisabled" => Some(Trouble::Denied),
        _ => match status {
            429 => Some(Trouble::Throttled),
            500.. => Some(Trouble::Unavailable),
            _ => None,
        },
    }
}

impl RestoreAnswer {
    /// Reads S3's answer to a `RestoreObject`: the HTTP status, and the error code and message if it is an error.
    ///
    /// The SDK's output does not tell 200 from 202, so the status comes from the raw answer. A denied object is an
    /// answer about that object, not trouble: one bad object never stops the others.
    pub fn read(status: u16, code: &str, message: &str) -> Result<Self, Trouble> {
        match (status, code) {
            (200, _) => Ok(Self::AlreadyLive),
            (202, _) => Ok(Self::Accepted),
            (_, "RestoreAlreadyInProgress") => Ok(Self::InProgress),
            (_, "GlacierExpeditedRetrievalNotAvailable") => Ok(Self::NoExpeditedCapacity),
            (_, "ObjectAlreadyInActiveTierError" | "InvalidObjectState") => Ok(Self::NotArchived),
            _ => match trouble(status, code) {
                Some(Trouble::Denied) | None => {
                    Ok(Self::Refused { code: code.to_owned(), message: message.chars().take(500).collect() })
                }
                Some(other) => Err(other),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            (400, "ThrottlingException", Err(Trouble::Throttled)),
            (503, "SlowDown", Err(Trouble::Throttled)),
            (503, "ServiceUnavailable", Err(Trouble::Unavailable)),
            (500, "InternalError", Err(Trouble::Unavailable)),
            (502, "", Err(Trouble::Unavailable)),
            (409, "OperationAborted", Err(Trouble::Unavailable)),
            (403, "AccessDenied", Ok(refused("AccessDenied"))),
            (404, "NoSuchKey", Ok(refused("NoSuchKey"))),
            (404, "NoSuchVersion", Ok(refused("NoSuchVersion"))),
            (404, "NoSuchBucket", Ok(refused("NoSuchBucket"))),
            (405, "MethodNotAllowed", Ok(refused("MethodNotAllowed"))),
            (400, "MalformedXML", Ok(refused("MalformedXML"))),
        ] {
            assert_eq!(RestoreAnswer::read(status, code, "m"), meaning, "{status} {code}");
        }
    }

    #[test]
    fn cloudfronts_three_ways_to_say_later_are_three_troubles() {
        assert_eq!(trouble(400, "Throttling"), Some(Trouble::Throttled));
        assert_eq!(trouble(400, "TooManyInvalidationsInProgress"), Some(Trouble::TooManyInvalidations));
        assert_eq!(trouble(503, "ServiceUnavailable"), Some(Trouble::Unavailable));
        assert_eq!(trouble(400, "InvalidArgument"), None);
    }

    #[test]
    fn where_the_code_is_unknown_the_status_tells() {
        assert_eq!(trouble(429, "Slow"), Some(Trouble::Throttled));
        assert_eq!(trouble(500, "Odd"), Some(Trouble::Unavailable));
        assert_eq!(trouble(418, "Odd"), None);
    }

    #[test]
    fn a_missing_permission_is_for_a_person_to_mend() {
        for code in ["AccessDenied", "AccessDeniedException", "AllAccessDisabled"] {
            assert_eq!(trouble(403, code), Some(Trouble::Denied), "{code}");
        }
    }
}
