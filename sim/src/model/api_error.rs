//! What AWS answers when it does not do what was asked.

use super::storage_class::{AccessTier, StorageClass};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// An error answer: the code a program matches on, the HTTP status, and the message for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    code: Cow<'static, str>,
    status: u16,
    message: Cow<'static, str>,
    archived: Option<(StorageClass, Option<AccessTier>)>,
    deleted: bool,
    region: Option<String>,
}

impl ApiError {
    /// Any code, status and message: scripted faults use codes that the model itself never answers.
    pub fn new(code: impl Into<Cow<'static, str>>, status: u16, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code: code.into(), status, message: message.into(), archived: None, deleted: false, region: None }
    }

    /// 403 `InvalidObjectState` of a read, which says where the object lies.
    pub(crate) fn archived(class: StorageClass, tier: Option<AccessTier>) -> Self {
        let message = "The operation is not valid for the object's storage class";
        Self { archived: Some((class, tier)), ..Self::new("InvalidObjectState", 403, message) }
    }

    /// The same, because of a delete marker.
    pub(crate) fn of_marker(self) -> Self {
        Self { deleted: true, ..self }
    }

    /// The same, because the bucket is in this Region.
    pub(crate) fn of_region(self, region: &str) -> Self {
        Self { region: Some(region.to_owned()), ..self }
    }

    /// The Region of the bucket, where that is why (`x-amz-bucket-region`).
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// Is it because of a delete marker (`x-amz-delete-marker`)? True of the 404 of a deleted key and of the 405 of
    /// the marker itself.
    pub fn is_delete_marker(&self) -> bool {
        self.deleted
    }

    /// The error code, as in `<Code>`.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The message.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The storage class that an `InvalidObjectState` names.
    pub fn storage_class(&self) -> Option<StorageClass> {
        self.archived.map(|(class, _)| class)
    }

    /// The archive tier that an `InvalidObjectState` of Intelligent-Tiering names.
    pub fn access_tier(&self) -> Option<AccessTier> {
        self.archived.and_then(|(_, tier)| tier)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.code, self.status, self.message)
    }
}

impl std::error::Error for ApiError {}

impl FromStr for StorageClass {
    type Err = ApiError;

    fn from_str(text: &str) -> Result<Self, ApiError> {
        const ALL: [StorageClass; 6] = [
            StorageClass::Standard,
            StorageClass::StandardIa,
            StorageClass::GlacierIr,
            StorageClass::Glacier,
            StorageClass::DeepArchive,
            StorageClass::IntelligentTiering,
        ];
        let known = ALL.into_iter().find(|class| class.as_str() == text);
        known.ok_or_else(|| {
            ApiError::new("InvalidStorageClass", 400, format!("The storage class you specified is not valid: {text}"))
        })
    }
}

impl FromStr for AccessTier {
    type Err = ApiError;

    fn from_str(text: &str) -> Result<Self, ApiError> {
        const ALL: [AccessTier; 3] = [AccessTier::Frequent, AccessTier::ArchiveAccess, AccessTier::DeepArchiveAccess];
        let known = ALL.into_iter().find(|tier| tier.as_str() == text);
        known.ok_or_else(|| ApiError::new("InvalidArgument", 400, format!("there is no access tier {text}")))
    }
}
