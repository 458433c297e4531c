//! What S3 says of an object, or why it does not.

use crate::{FailureCode, Head};

/// Why S3 did not describe an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// 404 for a key.
    Key,
    /// 404 for a version.
    Version,
    /// 404 or 405 with `x-amz-delete-marker`.
    DeleteMarker,
    /// 403.
    Denied,
    /// Another error that is about this object. The object exists; its state is unknown.
    Refused {
        /// S3's error, or the HTTP status.
        says: String,
    },
    /// An answer that the SDK cannot read. The object exists; its state is unknown.
    Unreadable {
        /// The SDK's error.
        says: String,
    },
}

/// S3's answer about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Facts {
    /// S3 described it.
    Found(Head),
    /// S3 did not describe it.
    Missing(Missing),
}

impl Missing {
    /// The failure of an object that S3 did not describe, when it is planned.
    pub fn explain(&self) -> (FailureCode, String) {
        match self {
            Self::Key => (FailureCode::NoSuchKey, "there is no object with this key".to_owned()),
            Self::Version => (FailureCode::NoSuchVersion, "the object has no such version".to_owned()),
            Self::DeleteMarker => (
                FailureCode::DeleteMarker,
                "the object was deleted: its current version is a delete marker; ask for an older version by its version_id".to_owned(),
            ),
            Self::Denied => (
                FailureCode::AccessDenied,
                "S3 answers 403: thaw may not read this object, or there is none and thaw may not list the bucket".to_owned(),
            ),
            Self::Refused { says } => (FailureCode::HeadRefused, head_refused(says)),
            Self::Unreadable { says } => {
                (FailureCode::Unreadable, format!("S3's answer to HeadObject cannot be read: {says}"))
            }
        }
    }

    /// The failure of an object that was being restored, or waited to be published, and that S3 refuses to describe now;
    /// `None` if the object was deleted or S3 denies access.
    pub fn undescribed(&self) -> Option<(FailureCode, String)> {
        match self {
            Self::Key | Self::Version | Self::DeleteMarker | Self::Denied => None,
            Self::Refused { .. } | Self::Unreadable { .. } => Some(self.explain()),
        }
    }
}

fn head_refused(says: &str) -> String {
    // User Guide, "Using server-side encryption with customer-provided keys": without the key S3 returns neither the
    // object nor its metadata, and CloudFront has no key either.
    let why = if says.contains("400") {
        "; it does so with 400 for objects encrypted with a customer's key (SSE-C), which thaw cannot look at and CloudFront cannot show"
    } else {
        ""
    };
    format!("S3 refuses HeadObject for this object ({says}){why}")
}
