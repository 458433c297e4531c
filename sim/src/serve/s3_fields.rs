//! S3's header values and listing entries, from the model's answers.

use crate::model::{Head, Listed, ListedVersion, RestoreState, StorageClass};
use jiff::Timestamp;
use s3s::dto::{
    DeleteMarkerEntry, ETag, EncodingType, Metadata, Object, ObjectStorageClass, ObjectVersion,
    ObjectVersionStorageClass, OptionalObjectAttributes, OptionalObjectAttributesList, RestoreStatus,
};
use std::time::SystemTime;

/// `x-amz-restore`, to the letter (API reference, `HeadObject`).
pub(super) fn restore(state: RestoreState) -> Option<String> {
    match state {
        RestoreState::None => None,
        RestoreState::Ongoing { .. } => Some("ongoing-request=\"true\"".to_owned()),
        RestoreState::Copy { expires } => {
            let date = expires.strftime("%a, %d %b %Y %H:%M:%S GMT");
            Some(format!("ongoing-request=\"false\", expiry-date=\"{date}\""))
        }
    }
}

pub(super) fn restore_status(state: RestoreState) -> Option<RestoreStatus> {
    match state {
        RestoreState::None => None,
        RestoreState::Ongoing { .. } => {
            Some(RestoreStatus { is_restore_in_progress: Some(true), restore_expiry_date: None })
        }
        RestoreState::Copy { expires } => {
            Some(RestoreStatus { is_restore_in_progress: Some(false), restore_expiry_date: Some(time(expires)) })
        }
    }
}

/// S3 leaves the header out for its standard class.
pub(super) fn class(class: StorageClass) -> Option<s3s::dto::StorageClass> {
    (class != StorageClass::Standard).then(|| class.as_str().to_owned().into())
}

pub(super) fn content_type(head: &Head) -> String {
    head.content.content_type.clone().unwrap_or_else(|| "binary/octet-stream".to_owned())
}

pub(super) fn metadata(head: &Head) -> Metadata {
    head.content.metadata.clone().into_iter().collect()
}

pub(super) fn size(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

pub(super) fn time(time: Timestamp) -> s3s::dto::Timestamp {
    SystemTime::from(time).into()
}

pub(super) fn wants_status(asked: Option<&OptionalObjectAttributesList>) -> bool {
    asked.into_iter().flatten().any(|one| one.as_str() == OptionalObjectAttributes::RESTORE_STATUS)
}

/// Listings encode keys only for clients that ask for it.
pub(super) struct Encoding(bool);

impl Encoding {
    pub(super) fn asked(asked: Option<&EncodingType>) -> Self {
        Self(asked.is_some_and(|asked| asked.as_str() == EncodingType::URL))
    }

    pub(super) fn text(&self, text: &str) -> String {
        if !self.0 {
            return text.to_owned();
        }
        let encode = |byte: u8| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' | b'*' => char::from(byte).to_string(),
            b' ' => "+".to_owned(),
            _ => format!("%{byte:02X}"),
        };
        text.bytes().map(encode).collect()
    }

    pub(super) fn object(&self, listed: &Listed, with_status: bool) -> Object {
        let head = &listed.head;
        Object {
            key: Some(self.text(&listed.key)),
            e_tag: Some(ETag::Strong(head.etag.clone())),
            last_modified: Some(time(head.last_modified)),
            size: Some(size(head.size)),
            storage_class: Some(ObjectStorageClass::from(head.class.as_str().to_owned())),
            restore_status: if with_status { restore_status(head.restore) } else { None },
            ..Default::default()
        }
    }

    pub(super) fn version(&self, version: &ListedVersion, with_status: bool) -> Option<ObjectVersion> {
        let head = version.head.as_ref()?;
        Some(ObjectVersion {
            key: Some(self.text(&version.key)),
            version_id: Some(version.version.clone()),
            is_latest: Some(version.latest),
            last_modified: Some(time(version.last_modified)),
            e_tag: Some(ETag::Strong(head.etag.clone())),
            size: Some(size(head.size)),
            storage_class: Some(ObjectVersionStorageClass::from(head.class.as_str().to_owned())),
            restore_status: if with_status { restore_status(head.restore) } else { None },
            ..Default::default()
        })
    }

    pub(super) fn marker(&self, marker: &ListedVersion) -> DeleteMarkerEntry {
        DeleteMarkerEntry {
            key: Some(self.text(&marker.key)),
            version_id: Some(marker.version.clone()),
            is_latest: Some(marker.latest),
            last_modified: Some(time(marker.last_modified)),
            ..Default::default()
        }
    }
}
