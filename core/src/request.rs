//! A request for a restore: its fields, and the validation of its JSON body. A body is parsed once, where it arrives; all
//! other code uses [`Request`].

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::bucket_name::{MAX_KEY_BYTES, is_bucket_name, is_old_bucket_name};
use crate::problem::{cut, shorten};
use crate::{ArchiveKind, Filter, Problem, Publish, PublishWhen, RestoreId, S3Uri, State, Status, Tier, Usd};

/// The most keys in a request. For more objects there are prefixes and manifests.
pub const MAX_KEYS: usize = 1_000;

/// The most bytes of a request body: enough for 1,000 escaped keys of 1,024 bytes, and well under Lambda's 6 MB.
pub const MAX_BODY_BYTES: usize = 2 * 1024 * 1024;

/// The most bytes of a version id. S3 allows 1,024, but the ledger's sort key has 1,024 for the version and the restore's
/// id together.
pub(crate) const MAX_VERSION_BYTES: usize = 900;

/// The most days of a copy. S3 documents no upper bound for `Days`; a century catches typing errors.
pub(crate) const MAX_DAYS: u64 = 36_500;

/// The days of copies if the request has none.
pub(crate) const DEFAULT_DAYS: u32 = 3;

/// The highest `max_over`. CloudFront fetches every readable neighbour that a wildcard covers from S3 again.
pub(crate) const MAX_OVER: u64 = 100_000;

/// The most words in `notify`.
pub(crate) const MAX_NOTIFY: usize = 10;

/// The most bytes of a word in `notify`: it is a label, not a text.
pub(crate) const MAX_NOTIFY_BYTES: usize = 256;

/// A request that passed validation. Nothing is spent before a body has become one.
///
/// Serialises to the canonical form of the body. Idempotency compares that form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The bucket the objects are in.
    pub bucket: String,
    /// Which objects.
    #[serde(flatten)]
    pub source: Source,
    /// How fast S3 fetches them.
    pub tier: Tier,
    /// How long copies stay, in days; `None` means the default of 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
    /// What to do when S3 has no Expedited capacity.
    pub on_expedited_unavailable: ExpeditedFallback,
    /// The most that the plan may cost. A more expensive plan is refused before anything is spent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost_usd: Option<Usd>,
    /// When and what to invalidate.
    pub publish: Publish,
    /// Words in the notices of this restore, for subscribers to filter on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<String>,
    /// Whether S3 Batch Operations requests the archived objects; `None` leaves it to the stack's parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_operations: Option<bool>,
    /// Only join retrievals that already run; S3 is never asked for one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub join_only: bool,
    /// Only plan: the execution ends when the price is known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// The hash of a plan. The restore is refused if its plan has another hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<String>,
}

/// Where the objects of a request come from. Serialises as the one field of the body that names them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Source {
    /// These objects, in the order of the request, without duplicates.
    Keys {
        /// The objects.
        keys: Vec<RequestedObject>,
    },
    /// The current versions of the objects that are under a prefix when the restore is planned.
    Prefix {
        /// The beginning of the keys; empty is the whole bucket.
        prefix: String,
        /// Which of them.
        #[serde(flatten)]
        filter: Filter,
    },
    /// The objects that a file lists when the restore is planned.
    Manifest {
        /// The file's address, in one of the stack's archive buckets or in its inbox.
        manifest: S3Uri,
        /// Its ETag, without quotation marks. A file with another ETag is not read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        manifest_etag: Option<String>,
    },
    /// Objects of another restore, selected by their states when this one is planned.
    Restore {
        /// Which.
        objects_of: ObjectsOf,
    },
}

/// Some of the objects of a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectsOf {
    /// The restore's id.
    pub restore: RestoreId,
    /// Which of its objects.
    #[serde(rename = "in")]
    pub selector: ObjectSelector,
}

/// Selects objects of another restore by their states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectSelector {
    /// Failed and cancelled objects, to retry them.
    Failed,
    /// Objects that S3 is fetching, to request a faster tier.
    Restoring,
    /// Readable objects, to extend their copies.
    Published,
}

impl ObjectSelector {
    /// Every selector, with its word.
    pub(crate) const WORDS: [(&str, Self); 3] =
        [("failed", Self::Failed), ("restoring", Self::Restoring), ("published", Self::Published)];

    /// Whether it selects an object in this state, of a restore with this status.
    ///
    /// Objects that never had a copy cannot be extended. A restore that has failed or was cancelled requests nothing
    /// more, so its planned objects and those that S3 is fetching count as failed. A cancelled restore publishes nothing
    /// more either, so its readable objects count as well.
    pub fn means(self, status: Status, state: &State, kind: Option<ArchiveKind>) -> bool {
        match (self, state) {
            (Self::Failed, State::Planned | State::Restoring { .. }) => {
                matches!(status, Status::Failed | Status::Cancelled)
            }
            (Self::Failed, State::Restored { .. }) => status == Status::Cancelled,
            (Self::Failed, State::Failed { .. } | State::Cancelled { .. })
            | (Self::Restoring, State::Restoring { .. }) => true,
            (Self::Published, State::Published { .. } | State::Restored { .. }) => {
                kind.is_some_and(ArchiveKind::has_copy)
            }
            (
                Self::Failed | Self::Restoring | Self::Published,
                State::Planned
                | State::Available
                | State::Restoring { .. }
                | State::Restored { .. }
                | State::Published { .. }
                | State::Failed { .. }
                | State::Cancelled { .. },
            ) => false,
        }
    }
}

impl RestoreId {
    /// An id that is readable in the console: date, bucket, the first key or the prefix, tier, and a short hash of `seed`.
    ///
    /// The same arguments give the same id.
    pub fn new(now: Timestamp, request: &Request, seed: &str) -> Self {
        Self::of_words(now, &request.bucket, request.source.label(), request.tier, seed)
    }
}

impl Source {
    /// The problem of a request that means no object.
    pub fn nothing_matches(&self) -> Problem {
        let what = match self {
            Self::Keys { .. } => "The request names no objects".to_owned(),
            Self::Prefix { prefix, .. } => {
                let prefix = shorten(&Value::from(prefix.as_str()));
                format!("No object that the request means has a key that begins with {prefix}")
            }
            Self::Manifest { manifest, .. } => format!("{} names no object", cut(manifest.to_string())),
            Self::Restore { objects_of } => {
                format!("None of the objects of {} is in the state that was asked for", objects_of.restore)
            }
        };
        Problem::nothing_matches(&what)
    }

    /// How many objects it names; `None` if only the plan can find out.
    pub fn count(&self) -> Option<u64> {
        match self {
            Self::Keys { keys } => Some(keys.len() as u64),
            Self::Prefix { .. } | Self::Manifest { .. } | Self::Restore { .. } => None,
        }
    }

    /// The source without its list of keys, for the restore's item. The keys are in the request's file and in the chunks.
    pub fn without_keys(&self) -> Self {
        match self {
            Self::Keys { .. } => Self::Keys { keys: Vec::new() },
            Self::Prefix { .. } | Self::Manifest { .. } | Self::Restore { .. } => self.clone(),
        }
    }

    /// A short name for it, for a restore's id.
    pub(crate) fn label(&self) -> &str {
        match self {
            Self::Keys { keys } => keys.first().map_or("", |object| object.key.as_str()),
            Self::Prefix { prefix, .. } => prefix,
            Self::Manifest { manifest, .. } => &manifest.key,
            Self::Restore { objects_of } => match objects_of.selector {
                ObjectSelector::Failed => "retry",
                ObjectSelector::Restoring => "expedite",
                ObjectSelector::Published => "extend",
            },
        }
    }
}

/// An object of a request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RequestedObject {
    /// The key.
    pub key: String,
    /// The version; `None` is the current one, pinned when planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
}

/// What to do when S3 answers `GlacierExpeditedRetrievalNotAvailable`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpeditedFallback {
    /// Request the object again at Standard, and report that.
    Standard,
    /// Fail the object.
    Fail,
}

impl Request {
    /// Reads a body. Fails with the field that the caller must correct.
    pub fn read(body: &[u8]) -> Result<Self, Problem> {
        Self::parse(&read_json(body)?)
    }

    /// [`Request::read`] for a body that is parsed as JSON already.
    pub fn parse(body: &Value) -> Result<Self, Problem> {
        let Value::Object(body) = body else {
            return Err(not_an_object(body));
        };
        refuse_unknown(body, "", &KNOWN_FIELDS)?;
        let tier = word(body, "tier", Tier::Standard, &Tier::ALL.map(|tier| (tier.as_str(), tier)))?;
        Ok(Self {
            bucket: bucket(body)?,
            source: source(body)?,
            tier,
            days: whole_number(body, "days", 1, MAX_DAYS)?,
            on_expedited_unavailable: word(
                body,
                "on_expedited_unavailable",
                ExpeditedFallback::Standard,
                &[("standard", ExpeditedFallback::Standard), ("fail", ExpeditedFallback::Fail)],
            )?,
            max_cost_usd: money(body, "max_cost_usd")?,
            publish: publish(body)?,
            notify: notify(body)?,
            batch_operations: batch_operations(body, tier)?,
            join_only: flag(body, "join_only", "")?,
            dry_run: flag(body, "dry_run", "")?,
            confirm: confirm(body)?,
        })
    }

    /// How long copies stay, in days.
    pub fn copy_days(&self) -> u32 {
        self.days.unwrap_or(DEFAULT_DAYS)
    }

    /// The part of the request on which its plan depends: without price limit, notices, `dry_run` and confirmation.
    pub fn without_terms(&self) -> Self {
        let mut plain = Self { max_cost_usd: None, notify: Vec::new(), dry_run: false, confirm: None, ..self.clone() };
        if let Source::Manifest { manifest_etag, .. } = &mut plain.source {
            *manifest_etag = None;
        }
        plain
    }

    /// A hash of the canonical form: equal for bodies with the same meaning.
    pub fn hash(&self) -> String {
        // Serialising a struct of strings, numbers and lists cannot fail.
        crate::hash(&[&serde_json::to_string(self).unwrap_or_default()])
    }
}

pub(crate) const KNOWN_FIELDS: [&str; 22] = [
    "bucket",
    "keys",
    "prefix",
    "include",
    "exclude",
    "modified_after",
    "modified_before",
    "min_size",
    "max_size",
    "objects_of",
    "manifest",
    "manifest_etag",
    "tier",
    "days",
    "on_expedited_unavailable",
    "max_cost_usd",
    "publish",
    "notify",
    "batch_operations",
    "join_only",
    "dry_run",
    "confirm",
];

fn read_json(body: &[u8]) -> Result<Value, Problem> {
    if body.len() > MAX_BODY_BYTES {
        return Err(Problem::too_large(body.len(), MAX_BODY_BYTES));
    }
    match body {
        [0xff, 0xfe, units @ ..] => from_utf16(units, u16::from_le_bytes),
        [0xfe, 0xff, units @ ..] => from_utf16(units, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, text @ ..] => serde_json::from_slice(text).map_err(Problem::not_json),
        _ => serde_json::from_slice(body).map_err(Problem::not_json),
    }
}

/// Reads JSON in UTF-16, as some editors and shells save it.
fn from_utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<Value, Problem> {
    let (units, rest) = bytes.as_chunks::<2>();
    let text = char::decode_utf16(units.iter().map(|bytes| unit(*bytes))).collect::<Result<String, _>>();
    match text {
        Ok(text) if rest.is_empty() => serde_json::from_str(&text).map_err(Problem::not_json),
        Ok(_) | Err(_) => Err(Problem::not_json("it begins as UTF-16 does, and is not UTF-16")),
    }
}

/// Reads a body as a JSON object, without validating its fields.
pub(crate) fn read_object(body: &[u8]) -> Result<Map<String, Value>, Problem> {
    match read_json(body)? {
        Value::Object(body) => Ok(body),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            Err(not_an_object(&other))
        }
    }
}

fn not_an_object(body: &Value) -> Problem {
    Problem::field("body", body, "must be a JSON object.")
}

pub(crate) fn refuse_unknown(object: &Map<String, Value>, path: &str, known: &[&str]) -> Result<(), Problem> {
    match object.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some((name, value)) => {
            let why = format!("is not a field thaw knows. Fields here: {}.", known.join(", "));
            Err(Problem::field(format!("{path}{name}"), value, why))
        }
    }
}

pub(crate) fn bucket(body: &Map<String, Value>) -> Result<String, Problem> {
    match body.get("bucket") {
        None => Err(Problem::missing("bucket", "Name the bucket the objects are in.")),
        Some(Value::String(name)) if is_bucket_name(name) => Ok(name.clone()),
        Some(Value::String(name)) if is_old_bucket_name(name) => Err(Problem::field(
            "bucket",
            &Value::from(name.as_str()),
            "has a name that S3 allowed in us-east-1 until March 2018, with upper-case letters, underscores or more than 63 characters. thaw does not restore from such a bucket: CloudFront and S3's own endpoints for buckets do not take the name. Restore its objects with aws s3api restore-object, or copy them into a bucket with a name of today.",
        )),
        Some(other) => Err(Problem::field(
            "bucket",
            other,
            "must be a bucket name: 3 to 63 lower-case letters, digits, dots and hyphens, a letter or digit at both ends, no two dots together, and no IP address.",
        )),
    }
}

/// Reads the one field that names the objects.
fn source(body: &Map<String, Value>) -> Result<Source, Problem> {
    let sources = ["keys", "prefix", "manifest", "objects_of"];
    let mut named = sources.into_iter().filter(|source| body.contains_key(*source));
    if let (Some(first), Some(second)) = (named.next(), named.next()) {
        let why = format!("stands beside {first}. Send one of them: two restores may overlap.");
        return Err(Problem::field(second, &body[second], why));
    }
    if !body.contains_key("prefix") {
        refuse_filter(body)?;
    }
    if let Some(value) = body.get("manifest_etag").filter(|_| !body.contains_key("manifest")) {
        let why = "goes with a manifest only: it says which content of that file is meant.";
        return Err(Problem::field("manifest_etag", value, why));
    }
    if let Some(value) = body.get("objects_of") {
        return Ok(Source::Restore { objects_of: objects_of(value)? });
    }
    if let Some(value) = body.get("manifest") {
        let text = value.as_str().ok_or_else(|| {
            Problem::field("manifest", value, "must be an address, such as \"s3://my-archive/lists/2019.csv\".")
        })?;
        return Ok(Source::Manifest { manifest: S3Uri::parse(text)?, manifest_etag: manifest_etag(body)? });
    }
    match (body.get("keys"), body.get("prefix")) {
        (Some(list), _) => Ok(Source::Keys { keys: keys(list)? }),
        (None, Some(Value::String(prefix))) if prefix.is_empty() && !body.contains_key("max_cost_usd") => {
            let why = "is empty, which is the whole bucket. Send max_cost_usd with it if you mean that.";
            Err(Problem::field("prefix", &Value::from(prefix.as_str()), why))
        }
        (None, Some(Value::String(prefix))) if prefix.len() <= MAX_KEY_BYTES => {
            Ok(Source::Prefix { prefix: prefix.clone(), filter: Filter::parse(body)? })
        }
        (None, Some(other)) => {
            let why = format!("must be a text of at most {MAX_KEY_BYTES} bytes in UTF-8.");
            Err(Problem::field("prefix", other, why))
        }
        (_, None) => {
            Err(Problem::missing("keys", format!("List 1 to {MAX_KEYS} keys, or name a prefix or a manifest.")))
        }
    }
}

/// Refuses the fields of a filter in a request without a prefix.
fn refuse_filter(body: &Map<String, Value>) -> Result<(), Problem> {
    for field in Filter::FIELDS {
        if let Some(value) = body.get(field) {
            return Err(Problem::field(
                field,
                value,
                "goes with a prefix only: it chooses among what a listing finds.",
            ));
        }
    }
    Ok(())
}

fn objects_of(value: &Value) -> Result<ObjectsOf, Problem> {
    let Value::Object(object) = value else {
        return Err(Problem::field("objects_of", value, "must be an object with restore and in."));
    };
    refuse_unknown(object, "objects_of.", &["restore", "in"])?;
    let restore = match object.get("restore") {
        None => return Err(Problem::missing("objects_of.restore", "Name the restore.")),
        Some(value) => {
            let id = value.as_str().and_then(|id| RestoreId::try_from(id.to_owned()).ok());
            id.ok_or_else(|| Problem::field("objects_of.restore", value, "must be the id of a restore."))?
        }
    };
    if !object.contains_key("in") {
        return Err(Problem::missing("objects_of.in", "Say which of its objects: failed, restoring or published."));
    }
    let selector = word_at(object, "in", "objects_of.in", ObjectSelector::Failed, &ObjectSelector::WORDS)?;
    Ok(ObjectsOf { restore, selector })
}

/// Reads an ETag, with or without quotation marks.
fn manifest_etag(body: &Map<String, Value>) -> Result<Option<String>, Problem> {
    let Some(value) = body.get("manifest_etag") else { return Ok(None) };
    let text = value.as_str().map(|text| text.trim_matches('"'));
    let is_etag =
        |text: &&str| (1..=MAX_ETAG).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    let why = format!("must be the ETag that S3 gives the manifest: 1 to {MAX_ETAG} visible ASCII characters.");
    text.filter(is_etag).map(|text| Some(text.to_owned())).ok_or_else(|| Problem::field("manifest_etag", value, why))
}

/// The most characters of an ETag. S3's have 32, and a few more for an upload in parts.
pub(crate) const MAX_ETAG: usize = 100;

/// Reads the hash of a plan, in the form that a plan has it.
fn confirm(body: &Map<String, Value>) -> Result<Option<String>, Problem> {
    let Some(value) = body.get("confirm") else { return Ok(None) };
    let is_hash = |text: &&str| text.len() == PLAN_HASH && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let text = value.as_str().filter(is_hash).map(str::to_owned);
    text.map(Some).ok_or_else(|| Problem::field("confirm", value, "must be the hash of a plan, as the plan says it."))
}

/// Digits of a plan's hash.
pub(crate) const PLAN_HASH: usize = 16;

fn keys(list: &Value) -> Result<Vec<RequestedObject>, Problem> {
    let keys = match list {
        Value::Array(keys) if (1..=MAX_KEYS).contains(&keys.len()) => keys,
        Value::Array(keys) => {
            let count = Value::from(format!("{} keys", keys.len()));
            let fix = match keys.is_empty() {
                true => "Name the objects.",
                false => "Split the keys over several restores, or send them as a manifest.",
            };
            return Err(Problem::field("keys", &count, format!("must have 1 to {MAX_KEYS} entries. {fix}")));
        }
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
            return Err(Problem::field("keys", other, "must be a list of keys."));
        }
    };
    let mut seen = BTreeSet::new();
    let mut out = Vec::with_capacity(keys.len());
    for (index, value) in keys.iter().enumerate() {
        let field = format!("keys[{index}]");
        let object = key(value, &field)?;
        if !seen.insert(object.clone()) {
            return Err(Problem::field(field, value, "stands twice in keys. Send each object once."));
        }
        out.push(object);
    }
    Ok(out)
}

fn key(value: &Value, field: &str) -> Result<RequestedObject, Problem> {
    let text = |value: &Value, field: &str, limit: usize| {
        let text = value.as_str().filter(|text| (1..=limit).contains(&text.len()));
        let refused = || Problem::field(field, value, format!("must be a text of 1 to {limit} bytes in UTF-8."));
        text.map(str::to_owned).ok_or_else(refused)
    };
    let key_at = |value: &Value, field: &str| {
        let key = text(value, field, MAX_KEY_BYTES)?;
        not_a_key(&key).map_or(Ok(key), |why| Err(Problem::field(field, value, why)))
    };
    match value {
        Value::String(_) => Ok(RequestedObject { key: key_at(value, field)?, version_id: None }),
        Value::Object(object) => {
            refuse_unknown(object, &format!("{field}."), &["key", "version_id"])?;
            let Some(key) = object.get("key") else {
                return Err(Problem::missing(&format!("{field}.key"), "Name the object's key."));
            };
            let version_id = match object.get("version_id") {
                None | Some(Value::Null) => None,
                Some(version) => Some(text(version, &format!("{field}.version_id"), MAX_VERSION_BYTES)?),
            };
            Ok(RequestedObject { key: key_at(key, &format!("{field}.key"))?, version_id })
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            Err(Problem::field(field, value, "must be a key, or {\"key\": …, \"version_id\": …}."))
        }
    }
}

/// Why a text is no key, if people mean something else by it than a key. S3 may have such keys: a prefix restores them.
pub(crate) fn not_a_key(key: &str) -> Option<&'static str> {
    let begins = |with: &str| key.get(..with.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(with));
    if begins("s3://") || begins("s3a://") || begins("arn:aws:s3:") {
        Some("is an address and not a key. Write only what follows the bucket's name and its slash.")
    } else if begins("https://") || begins("http://") {
        Some("is a URL and not a key. Write the key as S3 lists it, without host and without URL encoding.")
    } else {
        None
    }
}

fn word<T: Copy>(body: &Map<String, Value>, field: &str, default: T, words: &[(&str, T)]) -> Result<T, Problem> {
    word_at(body, field, field, default, words)
}

fn word_at<T: Copy>(
    object: &Map<String, Value>,
    name: &str,
    field: &str,
    default: T,
    words: &[(&str, T)],
) -> Result<T, Problem> {
    let Some(value) = object.get(name) else { return Ok(default) };
    words.iter().find(|(word, _)| value.as_str() == Some(word)).map(|(_, meaning)| *meaning).ok_or_else(|| {
        let words: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        Problem::field(field, value, format!("must be one of {}.", words.join(", ")))
    })
}

fn whole_number(body: &Map<String, Value>, field: &str, least: u64, most: u64) -> Result<Option<u32>, Problem> {
    let Some(value) = body.get(field) else { return Ok(None) };
    value
        .as_u64()
        .filter(|number| (least..=most).contains(number))
        .and_then(|number| u32::try_from(number).ok())
        .map(Some)
        .ok_or_else(|| Problem::field(field, value, format!("must be a whole number from {least} to {most}.")))
}

fn money(body: &Map<String, Value>, field: &str) -> Result<Option<Usd>, Problem> {
    let Some(value) = body.get(field) else { return Ok(None) };
    let usd = value.as_f64().and_then(Usd::from_f64);
    usd.map(Some)
        .ok_or_else(|| Problem::field(field, value, "must be an amount of US dollars, 0 or more, as a number."))
}

fn flag(object: &Map<String, Value>, name: &str, path: &str) -> Result<bool, Problem> {
    match object.get(name) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(other) => Err(Problem::field(format!("{path}{name}"), other, "must be true or false.")),
    }
}

/// S3 Batch Operations offers two of the three tiers (API reference, `S3InitiateRestoreObjectOperation`).
fn batch_operations(body: &Map<String, Value>, tier: Tier) -> Result<Option<bool>, Problem> {
    const FIELD: &str = "batch_operations";
    let Some(value) = body.get(FIELD) else { return Ok(None) };
    let use_jobs = flag(body, FIELD, "")?;
    if use_jobs && !crate::job::is_offered(tier) {
        let why = "goes with tier Standard or Bulk only: S3 Batch Operations does not offer Expedited. Leave it out, or choose another tier.";
        return Err(Problem::field(FIELD, value, why));
    }
    Ok(Some(use_jobs))
}

fn publish(body: &Map<String, Value>) -> Result<Publish, Problem> {
    let object = match body.get("publish") {
        None => return Ok(Publish::default()),
        Some(Value::Object(object)) => object,
        Some(other) => return Err(Problem::field("publish", other, "must be an object.")),
    };
    refuse_unknown(object, "publish.", &["when", "only_if_stale", "max_over"])?;
    let max_over = match object.get("max_over") {
        None => 0,
        Some(value) => value
            .as_u64()
            .filter(|number| *number <= MAX_OVER)
            .and_then(|number| u32::try_from(number).ok())
            .ok_or_else(|| {
                let why = format!(
                    "must be a whole number from 0 to {MAX_OVER}: how many readable neighbours wildcards may cover."
                );
                Problem::field("publish.max_over", value, why)
            })?,
    };
    let whens = [("each", PublishWhen::Each), ("together", PublishWhen::Together), ("never", PublishWhen::Never)];
    Ok(Publish {
        when: word_at(object, "when", "publish.when", PublishWhen::Each, &whens)?,
        only_if_stale: flag(object, "only_if_stale", "publish.")?,
        max_over,
    })
}

fn notify(body: &Map<String, Value>) -> Result<Vec<String>, Problem> {
    let words = match body.get("notify") {
        None => return Ok(Vec::new()),
        Some(Value::Array(words)) if words.len() <= MAX_NOTIFY => words,
        Some(other) => {
            return Err(Problem::field("notify", other, format!("must be a list of at most {MAX_NOTIFY} words.")));
        }
    };
    words
        .iter()
        .enumerate()
        .map(|(index, word)| {
            let text = word.as_str().filter(|text| (1..=MAX_NOTIFY_BYTES).contains(&text.len()));
            let refused = || {
                let why = format!("must be a text of 1 to {MAX_NOTIFY_BYTES} bytes.");
                Problem::field(format!("notify[{index}]"), word, why)
            };
            text.map(str::to_owned).ok_or_else(refused)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(more: Value) -> Value {
        let mut body = json!({"bucket": "archive", "keys": ["a"]});
        if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
            body.extend(more);
        }
        body
    }

    #[test]
    fn only_a_list_of_keys_knows_its_number_of_objects() {
        let count = |body: Value| Request::parse(&body).unwrap().source.count();
        assert_eq!(count(json!({"bucket": "archive", "keys": ["a", "b", "c"]})), Some(3));
        assert_eq!(count(json!({"bucket": "archive", "prefix": "a/"})), None);
    }

    #[test]
    fn a_plan_does_not_depend_on_the_terms_of_its_request() {
        let plain = |more: Value| Request::parse(&body(more)).unwrap().without_terms();
        let terms = json!({"max_cost_usd": 1, "notify": ["me"], "dry_run": true, "confirm": "0123456789abcdef"});
        assert_eq!(plain(terms), plain(json!({})));
        assert_ne!(plain(json!({"tier": "Bulk"})), plain(json!({})));
    }

    #[track_caller]
    fn refused(more: Value, field: &str) {
        let problem = Request::parse(&body(more)).unwrap_err();
        assert_eq!(problem.field.as_deref(), Some(field), "{problem:?}");
        assert!((400..500).contains(&problem.status));
        assert!(problem.detail.contains(field), "{problem:?}");
    }

    #[test]
    fn jobs_can_be_required_where_s3_offers_them_and_refused_anywhere() {
        let parsed = |more: Value| Request::parse(&body(more)).unwrap().batch_operations;
        assert_eq!(parsed(json!({})), None);
        assert_eq!(parsed(json!({"batch_operations": true, "tier": "Bulk"})), Some(true));
        assert_eq!(parsed(json!({"batch_operations": false, "tier": "Expedited"})), Some(false));
        refused(json!({"batch_operations": true, "tier": "Expedited"}), "batch_operations");
    }

    #[test]
    fn objects_of_another_restore_are_selected_by_state() {
        let at = Timestamp::UNIX_EPOCH;
        let failed = State::Failed { at, code: crate::FailureCode::NoSuchKey, message: String::new() };
        let restoring = State::Restoring { since: at, tier: Tier::Bulk, joined: false };
        let restored = State::Restored { at, expires: None, claim: None };
        let flexible = Some(ArchiveKind::Flexible);
        for (state, kind, expected) in [
            (failed, flexible, [true, false, false]),
            (restoring, flexible, [false, true, false]),
            (restored.clone(), flexible, [false, false, true]),
            (restored, Some(ArchiveKind::ItArchive), [false; 3]),
            (State::Planned, flexible, [false; 3]),
            (State::Available, None, [false; 3]),
            (State::Cancelled { at }, flexible, [true, false, false]),
        ] {
            let selected = ObjectSelector::WORDS.map(|(_, selector)| selector.means(Status::Running, &state, kind));
            assert_eq!(selected, expected, "{state:?}");
        }
    }

    #[test]
    fn a_bucket_and_keys_are_enough() {
        let request = Request::parse(&body(json!({}))).unwrap();
        assert_eq!((request.tier, request.copy_days(), request.days), (Tier::Standard, 3, None));
        assert_eq!(request.publish, Publish::default());
    }

    #[test]
    fn a_request_with_every_field_is_read() {
        let more = json!({
            "keys": ["a", {"key": "a", "version_id": "v1"}], "tier": "Bulk", "days": 7,
            "on_expedited_unavailable": "fail", "max_cost_usd": 1.5, "notify": ["ana"], "join_only": true,
            "batch_operations": false,
            "publish": {"when": "together", "only_if_stale": true, "max_over": 0},
        });
        let request = Request::parse(&body(more)).unwrap();
        let Source::Keys { keys } = &request.source else { panic!("{request:?}") };
        assert_eq!(keys[1], RequestedObject { key: "a".to_owned(), version_id: Some("v1".to_owned()) });
        assert_eq!(request.max_cost_usd, Usd::from_f64(1.5));
        let deserialised: Request = serde_json::from_str(&serde_json::to_string(&request).unwrap()).unwrap();
        assert_eq!(deserialised, request);
    }

    #[test]
    fn every_wrong_field_is_named() {
        refused(json!({"colour": "red"}), "colour");
        for bucket in ["UPPER", "ab", "-ab", "ab.", "a..b", "192.168.5.4", "0.0.0.00", &"b".repeat(64)] {
            refused(json!({"bucket": bucket}), "bucket");
        }
        refused(json!({"keys": []}), "keys");
        refused(json!({"keys": vec!["k"; 1_001]}), "keys");
        refused(json!({"keys": "a"}), "keys");
        refused(json!({"keys": ["a", "b", "a"]}), "keys[2]");
        refused(json!({"keys": ["a", ""]}), "keys[1]");
        refused(json!({"keys": ["k".repeat(1_025)]}), "keys[0]");
        refused(json!({"keys": ["ü".repeat(513)]}), "keys[0]");
        refused(json!({"keys": [{"key": "a", "versionId": "v"}]}), "keys[0].versionId");
        refused(json!({"keys": [{"version_id": "v"}]}), "keys[0].key");
        refused(json!({"keys": [7]}), "keys[0]");
        refused(json!({"days": 0}), "days");
        refused(json!({"days": 1.5}), "days");
        refused(json!({"days": "3"}), "days");
        refused(json!({"tier": "standard"}), "tier");
        refused(json!({"tier": "Nope"}), "tier");
        refused(json!({"on_expedited_unavailable": "wait"}), "on_expedited_unavailable");
        refused(json!({"max_cost_usd": -1}), "max_cost_usd");
        refused(json!({"publish": {"when": "now"}}), "publish.when");
        refused(json!({"publish": {"who": 1}}), "publish.who");
        refused(json!({"publish": {"max_over": 100_001}}), "publish.max_over");
        refused(json!({"publish": {"max_over": -1}}), "publish.max_over");
        refused(json!({"notify": "ana"}), "notify");
        refused(json!({"join_only": 1}), "join_only");
        refused(json!({"batch_operations": 1}), "batch_operations");
        refused(json!({"batch_operations": true, "tier": "Expedited"}), "batch_operations");
        // A prefix beside keys, or the whole bucket without a price limit.
        refused(json!({"prefix": "2019/"}), "prefix");
        let refused_alone = |prefix: Value, more: Value| {
            let mut body = json!({"bucket": "archive", "prefix": prefix});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            Request::parse(&body).err().and_then(|problem| problem.field)
        };
        assert_eq!(refused_alone("2019/".into(), json!({})), None);
        assert_eq!(refused_alone("".into(), json!({"max_cost_usd": 5})), None);
        for prefix in [json!(""), json!(7), json!(null), json!("ü".repeat(513))] {
            assert_eq!(refused_alone(prefix, json!({})).as_deref(), Some("prefix"));
        }
        refused(json!({"dry_run": "yes"}), "dry_run");
        refused(json!({"confirm": "yes"}), "confirm");
        refused(json!({"include": ["*.jpg"]}), "include");
        let with = |of: Value| {
            let body = json!({"bucket": "archive", "objects_of": of});
            Request::parse(&body).err().and_then(|problem| problem.field)
        };
        assert_eq!(with(json!({"restore": "r", "in": "failed"})), None);
        assert_eq!(with(json!({"restore": "a b", "in": "failed"})).as_deref(), Some("objects_of.restore"));
        assert_eq!(with(json!({"restore": "r", "in": "planned"})).as_deref(), Some("objects_of.in"));
        assert_eq!(with(json!({"restore": "r"})).as_deref(), Some("objects_of.in"));
        assert_eq!(with(json!({"restore": "r", "in": "failed", "of": 1})).as_deref(), Some("objects_of.of"));
        assert_eq!(with(json!("r")).as_deref(), Some("objects_of"));
        refused(json!({"objects_of": {"restore": "r", "in": "failed"}}), "objects_of");
        let listed = |manifest: Value| Request::parse(&json!({"bucket": "archive", "manifest": manifest}));
        assert!(listed(json!("s3://archive/lists/2019.csv")).is_ok());
        for manifest in [json!("2019.csv"), json!(7), json!("s3://archive/")] {
            assert_eq!(listed(manifest).unwrap_err().field.as_deref(), Some("manifest"));
        }
        refused(json!({"manifest": "s3://a/b"}), "manifest");
        refused(json!({"manifest_etag": "e"}), "manifest_etag");
        let pinned = |etag: Value| {
            Request::parse(&json!({"bucket": "archive", "manifest": "s3://archive/a", "manifest_etag": etag}))
        };
        for etag in ["b1946ac9-2", "\"b1946ac9-2\""] {
            let request = pinned(etag.into()).unwrap();
            let Source::Manifest { manifest_etag, .. } = &request.source else { panic!("{request:?}") };
            assert_eq!(manifest_etag.as_deref(), Some("b1946ac9-2"));
            // The plan does not depend on the ETag.
            assert_eq!(request.without_terms(), listed("s3://archive/a".into()).unwrap().without_terms());
        }
        for etag in [json!(""), json!("\"\""), json!("a b"), json!(7), json!("e".repeat(101))] {
            assert_eq!(pinned(etag).unwrap_err().field.as_deref(), Some("manifest_etag"));
        }
    }

    #[test]
    fn values_at_the_limits_are_accepted() {
        let passes = |more: Value| Request::parse(&body(more)).unwrap();
        // Four parts alone, or digits alone, do not make an IP address.
        for bucket in ["a.b-9", "10.0.0.x", "192"] {
            passes(json!({"bucket": bucket}));
        }
        refused(json!({"bucket": "ab"}), "bucket");
        passes(json!({"bucket": "b".repeat(63)}));
        refused(json!({"bucket": "b".repeat(64)}), "bucket");
        passes(json!({"keys": (0..1_000).map(|n| n.to_string()).collect::<Vec<_>>()}));
        passes(json!({"keys": ["k".repeat(1_024)]}));
        passes(json!({"keys": [{"key": "a", "version_id": "v".repeat(900)}]}));
        refused(json!({"keys": [{"key": "a", "version_id": "v".repeat(901)}]}), "keys[0].version_id");
        assert_eq!(passes(json!({"days": 36_500})).copy_days(), 36_500);
        refused(json!({"days": 36_501}), "days");
        assert_eq!(passes(json!({"notify": vec!["w".repeat(256); 10]})).notify.len(), 10);
        refused(json!({"notify": vec!["w"; 11]}), "notify");
        refused(json!({"notify": ["w".repeat(257)]}), "notify[0]");
        assert_eq!(passes(json!({"max_cost_usd": 0})).max_cost_usd, Usd::from_f64(0.0));
        assert_eq!(Request::read(&vec![b' '; 2_097_152]).unwrap_err().status, 400);
        assert_eq!(Request::read(&vec![b' '; 2_097_153]).unwrap_err().status, 413);
    }

    #[test]
    fn only_when_never_publishes_nothing() {
        let never = [PublishWhen::Each, PublishWhen::Together, PublishWhen::Never]
            .map(|when| Publish { when, ..Publish::default() }.never());
        assert_eq!(never, [false, false, true]);
    }

    #[test]
    fn an_answer_is_short_whatever_the_caller_wrote() {
        let long = "\"".repeat(100_000);
        for more in
            [json!({(long.as_str()): 1}), json!({"publish": {(long.as_str()): 1}}), json!({"tier": long.as_str()})]
        {
            let answer = serde_json::to_string(&Request::parse(&body(more)).unwrap_err()).unwrap();
            assert!(answer.len() < 2_000, "{} bytes", answer.len());
        }
    }

    #[test]
    fn bodies_that_are_not_json_are_refused() {
        for bytes in [&b"{"[..], b"", b"\xff\xfe", b"{\"bucket\": \"a\xffb\"}"] {
            assert_eq!(Request::read(bytes).unwrap_err().status, 400);
        }
        assert_eq!(Request::read(b"[]").unwrap_err().field.as_deref(), Some("body"));
        assert_eq!(Request::read(&vec![b' '; MAX_BODY_BYTES + 1]).unwrap_err().status, 413);
    }

    #[test]
    fn a_body_may_have_a_mark_of_byte_order_and_then_be_utf16() {
        let text = r#"{"bucket": "archive", "keys": ["ü𝄞"]}"#;
        let units =
            |bytes: fn(u16) -> [u8; 2]| format!("\u{feff}{text}").encode_utf16().flat_map(bytes).collect::<Vec<_>>();
        let plain = Request::read(text.as_bytes()).unwrap();
        for body in [format!("\u{feff}{text}").into_bytes(), units(u16::to_le_bytes), units(u16::to_be_bytes)] {
            assert_eq!(Request::read(&body), Ok(plain.clone()));
        }
        let bytes = units(u16::to_le_bytes);
        assert_eq!(Request::read(&bytes[..bytes.len() - 1]).unwrap_err().status, 400);
        assert_eq!(Request::read(b"\xff\xfe\x00\xd8").unwrap_err().status, 400);
    }

    #[test]
    fn an_address_is_no_key_and_a_key_may_look_like_one_further_on() {
        for key in ["s3://archive/a", "S3A://archive/a", "arn:aws:s3:::archive/a", "https://a", "HTTP://a"] {
            refused(json!({"keys": [key]}), "keys[0]");
            refused(json!({"keys": ["a", {"key": key}]}), "keys[1].key");
        }
        for key in ["s3:/a", "a/s3://archive/a", "https", "é"] {
            assert!(Request::parse(&body(json!({"keys": [key]}))).is_ok(), "{key}");
        }
    }

    #[test]
    fn a_bucket_with_a_name_of_before_2018_is_told_so() {
        let says = |bucket: &str| Request::parse(&body(json!({"bucket": bucket}))).unwrap_err().detail;
        for bucket in ["My-Archive", "my_archive", &"a".repeat(64), &"a".repeat(255)] {
            assert!(says(bucket).contains("until March 2018"), "{bucket}");
        }
        for bucket in ["A", "my archive", "my/archive", &"a".repeat(256), "-a-"] {
            assert!(says(bucket).contains("must be a bucket name"), "{bucket}");
        }
    }

    #[test]
    fn bodies_that_mean_the_same_have_the_same_hash() {
        let hash = |text: &str| Request::read(text.as_bytes()).unwrap().hash();
        let one = hash(r#"{"bucket": "archive", "keys": ["a"], "tier": "Standard"}"#);
        assert_eq!(one, hash(r#"{"keys":["a"],"bucket":"archive"}"#));
        assert_ne!(one, hash(r#"{"keys":["b"],"bucket":"archive"}"#));
    }
}
