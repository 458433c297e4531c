//! What to do about each failure code.

use thaw_core::{Failure, FailureCode};

/// Failures with the same code.
#[derive(Debug, PartialEq)]
pub struct Group<'a> {
    pub code: FailureCode,
    pub failures: Vec<&'a Failure>,
}

/// Failures by code, the most frequent first.
pub fn by_code(failures: &[Failure]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for failure in failures {
        match groups.iter_mut().find(|group| group.code == failure.code) {
            Some(group) => group.failures.push(failure),
            None => groups.push(Group { code: failure.code, failures: vec![failure] }),
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.failures.len()));
    groups
}

/// What whoever reads it can do.
pub fn fix(code: FailureCode) -> &'static str {
    match code {
        FailureCode::NoSuchKey => "Check how the key is written: case, slashes, accents. aws s3 ls shows the keys.",
        FailureCode::NoSuchVersion => {
            "Name another version, or none for the current one. aws s3api list-object-versions shows them."
        }
        FailureCode::DeleteMarker => {
            "The object was deleted. Name the version to restore, or remove the delete marker."
        }
        FailureCode::AccessDenied => {
            "Let thaw's functions read the object: the bucket's policy, the key's policy in KMS. A missing key may answer so, too."
        }
        FailureCode::TierNotOffered => "Retry at Standard or Bulk. S3 offers no Expedited for Deep Archive.",
        FailureCode::ExpeditedNotAvailable => "Retry later, or at Standard.",
        FailureCode::NotBeingRestored => "Nobody restores it. Start a restore of it that may ask S3.",
        FailureCode::NotReadable => "Restore it: thaw restore publishes it as soon as it can be read.",
        FailureCode::RefusedByS3 => "Read S3's answer, which the message quotes. If it was a moment's trouble, retry.",
        FailureCode::RetrievalTimedOut => {
            "S3 is far later than typical. If it delivers after all, the object is published. Else retry."
        }
        FailureCode::Unreadable => {
            "Look at the object with aws s3api head-object. If its answer is valid, report it to thaw's authors."
        }
        FailureCode::HeadRefused => {
            "Read S3's answer, which the message quotes. An object that is encrypted with a customer's key (SSE-C) cannot be restored by thaw."
        }
        FailureCode::PathCannotBeInvalidated => {
            "Restore its archived neighbours as well, or raise publish.max_over so that the wildcard may cover more readable ones."
        }
        FailureCode::RefusedByCloudFront => {
            "Read CloudFront's answer, which the message quotes. Mend it, and retry: the copy is not paid again."
        }
        FailureCode::ShownByTenantsOnly => {
            "Invalidate it for the tenant by hand: aws cloudfront create-invalidation-for-distribution-tenant."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_code_is_first() {
        let failure = |key: &str, code| Failure { key: key.to_owned(), version_id: None, code, message: String::new() };
        let failures = [
            failure("a", FailureCode::DeleteMarker),
            failure("b", FailureCode::NoSuchKey),
            failure("c", FailureCode::NoSuchKey),
        ];
        let groups = by_code(&failures);
        let seen: Vec<_> = groups.iter().map(|group| (group.code, group.failures.len())).collect();
        assert_eq!(seen, [(FailureCode::NoSuchKey, 2), (FailureCode::DeleteMarker, 1)]);
    }
}
