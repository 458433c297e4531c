//! The ids of restores, objects and batches, and the hash from which ids are made.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The id of a restore, which is also the name of its execution.
///
/// Step Functions allows 1 to 80 characters, and CloudWatch logging works only with `[0-9A-Za-z_-]` (API reference,
/// StartExecution).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, max_length = 80, pattern = "^[0-9A-Za-z_-]+$"))]
#[serde(try_from = "String", into = "String")]
pub struct RestoreId(String);

/// A name that cannot be a restore's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a restore id: 1 to 80 of the characters 0-9 A-Z a-z _ -")]
pub struct InvalidId(String);

impl RestoreId {
    /// The id of these words: date, bucket, label, tier (or what is done instead), and a short hash of `seed`.
    pub(crate) fn of_words(now: Timestamp, bucket: &str, label: &str, how: &str, seed: &str) -> Self {
        let date = now.strftime("%Y-%m-%d");
        let bucket = slug(bucket, 24);
        let key = slug(label, 20);
        let how = how.to_ascii_lowercase();
        let short = &hash(&[seed])[..12];
        let name = [date.to_string().as_str(), &bucket, &key, &how, short]
            .into_iter()
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join("_");
        Self(name)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The letters and digits of `text`, with every run of other characters as one hyphen; at most `limit` characters.
fn slug(text: &str, limit: usize) -> String {
    let mut out = String::new();
    for char in text.chars() {
        if out.len() >= limit {
            break;
        }
        if char.is_ascii_alphanumeric() {
            out.push(char);
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    out.trim_end_matches('-').to_owned()
}

impl TryFrom<String> for RestoreId {
    type Error = InvalidId;

    fn try_from(name: String) -> Result<Self, InvalidId> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if (1..=80).contains(&name.len()) && name.bytes().all(good) { Ok(Self(name)) } else { Err(InvalidId(name)) }
    }
}

impl From<RestoreId> for String {
    fn from(id: RestoreId) -> Self {
        id.0
    }
}

impl std::fmt::Display for RestoreId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of a version that was written while its bucket had no versioning (User Guide, "How S3 Versioning works"). In a
/// bucket that never had versioning every object has this version: `ListObjectVersions` names it, while `HeadObject` and
/// S3's events name no version.
pub const NULL_VERSION: &str = "null";

/// A version of an object. `version` is `None` in a bucket without versioning.
///
/// `None` and the null version are equal, so that an object of a listing equals the same object of an event.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ObjectId {
    /// The bucket's name.
    pub bucket: String,
    /// The key, decoded.
    pub key: String,
    /// The version's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl ObjectId {
    /// Its version's id; `None` for the null version, also if that is named.
    pub fn named_version(&self) -> Option<&str> {
        self.version.as_deref().filter(|version| *version != NULL_VERSION)
    }

    /// Whether it is the version that S3 described with this version id, or without one.
    pub fn is_version(&self, described: Option<&str>) -> bool {
        self.named_version() == described.filter(|version| *version != NULL_VERSION)
    }

    fn identity(&self) -> (&str, &str, Option<&str>) {
        (&self.bucket, &self.key, self.named_version())
    }
}

impl PartialEq for ObjectId {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for ObjectId {}

impl std::hash::Hash for ObjectId {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl PartialOrd for ObjectId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ObjectId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.identity().cmp(&other.identity())
    }
}

impl std::fmt::Display for ObjectId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)?;
        match &self.version {
            Some(version) => write!(f, " (version {version})"),
            None => Ok(()),
        }
    }
}

/// The id of a batch: a hash of its rows, so that the same rows always make the same batch.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BatchId(String);

impl BatchId {
    pub(crate) fn over(parts: &[&str]) -> Self {
        Self(hash(parts)[..32].to_owned())
    }

    /// The id as text, 32 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for BatchId {
    fn from(id: String) -> Self {
        Self(id)
    }
}

/// The SHA-256 of bytes, in hexadecimal.
pub fn hash_bytes(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The SHA-256 of the parts, in hexadecimal. Every part is hashed with its length, so that `["ab", "c"]` and `["a",
/// "bc"]` differ.
pub fn hash(parts: &[&str]) -> String {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update((part.len() as u64).to_be_bytes());
        sha.update(part.as_bytes());
    }
    sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Request;

    #[test]
    fn a_hash_of_bytes_is_their_sha_256() {
        // FIPS 180-4, example "abc".
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash_bytes(b"abc"), abc);
    }

    fn id(bucket: &str, key: &str) -> String {
        let body = serde_json::json!({"bucket": bucket, "keys": [key]});
        let request = Request::parse(&body).unwrap();
        RestoreId::new("2026-11-22T10:00:00Z".parse().unwrap(), &request, "seed").as_str().to_owned()
    }

    #[test]
    fn the_null_version_is_the_object_of_a_bucket_without_versions() {
        let of = |version: Option<&str>| ObjectId {
            bucket: "archive".to_owned(),
            key: "a".to_owned(),
            version: version.map(str::to_owned),
        };
        let (bare, null, named) = (of(None), of(Some("null")), of(Some("v1")));
        assert!(bare == null && bare != named && null != named);
        assert_eq!(bare.cmp(&null), std::cmp::Ordering::Equal);
        let both: std::collections::HashSet<_> = [&bare, &null, &named].into_iter().collect();
        assert_eq!(both.len(), 2);
        assert_eq!([&bare, &null, &named].map(ObjectId::named_version), [None, None, Some("v1")]);
        for (described, is_null) in [(None, true), (Some("null"), true), (Some("v1"), false)] {
            assert_eq!([&bare, &null, &named].map(|one| one.is_version(described)), [is_null, is_null, !is_null]);
        }
    }

    #[test]
    fn an_id_reads_like_a_label() {
        assert_eq!(
            id("photos-archive", "2019/cat.jpg"),
            "2026-11-22_photos-archive_2019-cat-jpg_standard_14cdf42d8a3a"
        );
    }

    #[test]
    fn other_characters_become_one_hyphen_between_words() {
        assert_eq!(slug("//a//b c/", 20), "a-b-c");
        assert_eq!(slug("archive", 4), "arch");
    }

    #[test]
    fn an_id_is_its_text_and_an_object_its_address() {
        let id = RestoreId::try_from("r1".to_owned()).unwrap();
        assert_eq!((id.as_str(), id.to_string(), String::from(id.clone())), ("r1", "r1".to_owned(), "r1".to_owned()));
        let newest = ObjectId { bucket: "archive".to_owned(), key: "a b".to_owned(), version: None };
        assert_eq!(newest.to_string(), "s3://archive/a b");
        let old = ObjectId { version: Some("v1".to_owned()), ..newest };
        assert_eq!(old.to_string(), "s3://archive/a b (version v1)");
        assert_eq!(BatchId::from("b".to_owned()).as_str(), "b");
    }

    #[test]
    fn any_bucket_and_key_make_a_valid_execution_name() {
        for key in ["ü/ñandú.jpg", "🐈", "?*%&", &"k".repeat(1024)] {
            for bucket in ["abc", &"b".repeat(63), "a.b-c"] {
                RestoreId::try_from(id(bucket, key)).unwrap();
            }
        }
    }

    #[test]
    fn other_names_are_refused() {
        for name in ["", "a b", "ü", "a/b", &"x".repeat(81)] {
            assert!(RestoreId::try_from(name.to_owned()).is_err(), "{name}");
        }
    }
}
