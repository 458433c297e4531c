//! The configurations of a bucket that are kept as they were written: S3 answers them in the form in which it takes them.

use super::api_error::ApiError;

/// A configuration of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BucketDocument {
    /// `?notification`: where events go.
    Notification,
    /// `?lifecycle`: kept, and not carried out.
    Lifecycle,
    /// `?encryption`: kept, and not carried out.
    Encryption,
    /// `?policy`, in JSON: kept, and not enforced.
    Policy,
}

/// A bucket of the simulator sends its events unless it is told otherwise. One on AWS has to be told to.
const SENDS_EVENTS: &str = r#"<NotificationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><EventBridgeConfiguration/></NotificationConfiguration>"#;

/// What every bucket has since 2023 (User Guide, "Setting default server-side encryption behavior for Amazon S3 buckets").
const S3_KEYS: &str = r#"<ServerSideEncryptionConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>false</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>"#;

impl BucketDocument {
    /// The one that a query parameter names.
    pub fn of_parameter(name: &str) -> Option<Self> {
        match name {
            "notification" => Some(Self::Notification),
            "lifecycle" => Some(Self::Lifecycle),
            "encryption" => Some(Self::Encryption),
            "policy" => Some(Self::Policy),
            _ => None,
        }
    }

    /// What S3 answers for a bucket that has none (API Reference, "Error responses").
    pub(super) fn absent(self) -> Result<String, ApiError> {
        match self {
            Self::Notification => Ok(SENDS_EVENTS.to_owned()),
            Self::Lifecycle => {
                Err(ApiError::new("NoSuchLifecycleConfiguration", 404, "The lifecycle configuration does not exist"))
            }
            Self::Encryption => Ok(S3_KEYS.to_owned()),
            Self::Policy => Err(ApiError::new("NoSuchBucketPolicy", 404, "The bucket policy does not exist")),
        }
    }

    /// The names of the operations that read, write and delete it.
    pub(super) fn operations(self) -> [&'static str; 3] {
        match self {
            Self::Notification => [
                "GetBucketNotificationConfiguration",
                "PutBucketNotificationConfiguration",
                "DeleteBucketNotificationConfiguration",
            ],
            Self::Lifecycle => {
                ["GetBucketLifecycleConfiguration", "PutBucketLifecycleConfiguration", "DeleteBucketLifecycle"]
            }
            Self::Encryption => ["GetBucketEncryption", "PutBucketEncryption", "DeleteBucketEncryption"],
            Self::Policy => ["GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy"],
        }
    }
}
