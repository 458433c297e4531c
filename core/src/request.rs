//! A request for a restore: its fields, and the validation of its JSON body. A body is parsed once, where it arrives; all
//! other code uses [`Request`].

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::bucket_name::{MAX_KEY_BYTES, is_bucket_name, is_old_bucket_name};
use crate::problem::{cut, shorten};
use crate::whole_number::whole;
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
    /// Only invalidate what viewers can read already; S3 is never asked for anything.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub publish_only: bool,
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
    /// An id that is readable in the console: date, bucket, the first key or the prefix, tier (or `publish`), and a short hash
    /// of `seed`.
    ///
    /// The same arguments give the same id.
    pub fn new(now: Timestamp, request: &Request, seed: &str) -> Self {
        let how = if request.publish_only { "publish" } else { request.tier.as_str() };
        Self::of_words(now, &request.bucket, request.source.label(), how, seed)
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
        let request = Self {
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
            publish_only: flag(body, "publish_only", "")?,
            dry_run: flag(body, "dry_run", "")?,
            confirm: confirm(body)?,
        };
        request.refuse_beside_publish_only()?;
        Ok(request)
    }

    /// Refuses, beside `publish_only`, what says how S3 is asked, and what would leave nothing to invalidate. Defaults are not
    /// refused: the canonical form of a request has them.
    fn refuse_beside_publish_only(&self) -> Result<(), Problem> {
        if !self.publish_only {
            return Ok(());
        }
        let Publish { when, only_if_stale, max_over: _ } = self.publish;
        let is_asked = "goes with a restore: with publish_only S3 is asked for nothing. Leave it out.";
        let beside = [
            ("tier", json!(self.tier), self.tier != Tier::Standard, is_asked),
            ("days", json!(self.days), self.days.is_some(), is_asked),
            (
                "on_expedited_unavailable",
                json!(self.on_expedited_unavailable),
                self.on_expedited_unavailable != ExpeditedFallback::Standard,
                is_asked,
            ),
            ("batch_operations", json!(self.batch_operations), self.batch_operations.is_some(), is_asked),
            (
                "join_only",
                json!(self.join_only),
                self.join_only,
                "stands beside publish_only. Send one of them: the first follows restores, and the second takes what is readable now.",
            ),
            (
                "publish.when",
                json!(when),
                when == PublishWhen::Never,
                "stands beside publish_only, so there would be nothing to do. Write each or together.",
            ),
            (
                "publish.only_if_stale",
                json!(only_if_stale),
                only_if_stale,
                "stands beside publish_only, which invalidates whatever may be cached. Leave it out.",
            ),
        ];
        match beside.into_iter().find(|(_, _, is_refused, _)| *is_refused) {
            None => Ok(()),
            Some((field, value, _, why)) => Err(Problem::field(field, &value, why)),
        }
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

pub(crate) const KNOWN_FIELDS: [&str; 23] = [
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
    "publish_only",
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
        (Some(list), _) => {
            let fix = "Split the keys over several restores, or send them as a manifest.";
            Ok(Source::Keys { keys: keys(list, MAX_KEYS, fix)? })
        }
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

/// Reads 1 to `most` keys. `split` says what to do if there are more.
pub(crate) fn keys(list: &Value, most: usize, split: &str) -> Result<Vec<RequestedObject>, Problem> {
    let keys = match list {
        Value::Array(keys) if (1..=most).contains(&keys.len()) => keys,
        Value::Array(keys) => {
            let count = Value::from(format!("{} keys", keys.len()));
            let fix = match keys.is_empty() {
                true => "Name the objects.",
                false => split,
            };
            return Err(Problem::field("keys", &count, format!("must have 1 to {most} entries. {fix}")));
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
    whole(value)
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
        Some(value) => whole(value)
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
mod tests;
