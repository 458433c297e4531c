//! What was read of the stack, its buckets and its distributions, before anything is decided about it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
pub use thaw_core::Encryption;

/// What a read brought.
pub type Read<T> = Result<T, Unread>;

/// Why a read brought nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unread {
    /// The caller may not make it.
    Denied {
        /// The action, as IAM names it.
        action: &'static str,
        /// The ARN that a policy would name.
        resource: String,
    },
    /// It failed in another way.
    Failed(String),
}

/// All that was read.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The name of the stack.
    pub stack_name: String,
    /// Its Region.
    pub region: String,
    /// The days for which copies should stay.
    pub days: u32,
    /// What CloudFormation says of it.
    pub stack: Read<Stack>,
    /// Its alarms.
    pub alarms: Read<Vec<Alarm>>,
    /// How many Lambda functions may run at a time in the account and Region.
    pub concurrency: Read<u64>,
    /// The archive buckets that are checked; or why it is not known which the stack has.
    pub buckets: Read<Vec<Bucket>>,
    /// All distributions of the account.
    pub account_distributions: Read<Vec<Listed>>,
    /// The distributions that have one of the buckets as an origin, by id.
    pub configs: BTreeMap<String, Read<Config>>,
    /// What was invalidated this month in those distributions.
    pub invalidated: Read<Invalidated>,
}

/// A stack, as CloudFormation describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stack {
    /// `StackStatus`.
    pub status: String,
    pub parameters: BTreeMap<String, String>,
    pub outputs: BTreeMap<String, String>,
}

/// An alarm of CloudWatch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    pub name: String,
    /// `OK`, `ALARM` or `INSUFFICIENT_DATA`.
    pub state: String,
    /// `AlarmDescription`.
    pub description: String,
}

/// An archive bucket.
#[derive(Debug, Clone)]
pub struct Bucket {
    pub name: String,
    pub state: BucketState,
    pub events: Read<Events>,
    pub versioning: Read<Versioning>,
    /// The keys whose current version is a delete marker. Only read where there are versions.
    pub delete_markers: Option<Read<DeleteMarkers>>,
    /// The rules of its lifecycle configuration.
    pub lifecycle: Read<Vec<LifecycleRule>>,
    /// How S3 encrypts new objects.
    pub encryption: Read<Encryption>,
    /// The bucket policy; `None` if there is none.
    pub policy: Read<Option<Value>>,
    /// The distributions, as thaw sees them.
    pub seen: Read<Seen>,
    /// Whether it is one of the stack's archive buckets, as far as that is known.
    pub of_stack: bool,
}

/// Whether a bucket can be read at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BucketState {
    /// Nothing speaks against it.
    There,
    /// There is no such bucket.
    Missing,
    /// It is in another Region than the stack.
    InAnotherRegion,
}

/// `GetBucketNotificationConfiguration`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Events {
    /// Whether they go to EventBridge.
    pub to_eventbridge: bool,
    /// Whether some go to queues, topics or functions.
    pub elsewhere: bool,
}

/// `GetBucketVersioning`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versioning {
    Never,
    Enabled,
    Suspended,
}

/// The first page of `ListObjectVersions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeleteMarkers {
    /// Versions and delete markers on the page.
    pub looked_at: usize,
    /// Keys whose current version is a delete marker.
    pub hidden: usize,
    /// Whether the bucket has more than this page.
    pub more: bool,
}

/// A rule of a lifecycle configuration, as far as it deletes or archives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LifecycleRule {
    pub id: String,
    pub enabled: bool,
    /// The keys that it is about begin so.
    pub prefix: String,
    /// Whether tags or sizes choose among them.
    pub has_filter: bool,
    /// When it deletes current versions.
    pub expiration: Option<Expiration>,
    /// After how many days it moves current versions into an archive class.
    pub archives_after: Option<u32>,
}

/// When a lifecycle rule deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiration {
    /// So many days after an object was made.
    Days(u32),
    /// At this time, and then at once.
    Date(Timestamp),
}

/// A distribution in a listing of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub id: String,
    pub domain: String,
    pub enabled: bool,
    pub staging: bool,
    /// The domains and paths of its origins.
    pub origins: Vec<(String, String)>,
}

/// What a distribution's config says of its origins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    pub arn: String,
    pub domain: String,
    pub aliases: Vec<String>,
    /// By the origin's id: as whom CloudFront asks S3.
    pub access: BTreeMap<String, Access>,
}

/// As whom CloudFront asks an origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// As the distribution: an origin access control that signs requests.
    Control,
    /// Unsigned, by an origin access control that never signs.
    ControlThatNeverSigns,
    /// As an origin access identity, with its id.
    Identity(String),
    /// Unsigned.
    Nobody,
    /// An origin access control that could not be read.
    Unread(Unread),
}

/// What was invalidated this month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invalidated {
    /// The paths that were counted.
    pub paths: u64,
    /// Whether there were more invalidations than were counted: each has one path or more.
    pub at_least: bool,
}

/// `GET /v1/distributions`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Seen {
    pub bucket: String,
    pub archive_buckets: Vec<String>,
    pub distribution_ids: Vec<String>,
    pub distributions: Vec<SeenDistribution>,
    pub left_out: Vec<LeftOut>,
}

/// A distribution that is invalidated.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct SeenDistribution {
    pub id: String,
    pub origins: Vec<SeenOrigin>,
    pub behaviours: Vec<SeenBehaviour>,
    pub error_caching: Vec<ErrorCaching>,
}

/// An origin that is the bucket.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SeenOrigin {
    pub id: String,
    pub domain: String,
    pub path: String,
}

/// A behaviour that may show objects of the bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct SeenBehaviour {
    pub path_pattern: String,
    pub query_strings: String,
    pub query_string_names: Vec<String>,
    pub has_variants: bool,
    pub functions: Vec<SeenFunction>,
    pub has_unknown_function: bool,
    pub fails_over_on: Vec<u16>,
}

/// A function that may rewrite paths.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SeenFunction {
    pub name: String,
    pub event: String,
    pub has_rule: bool,
}

/// How long an error is cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct ErrorCaching {
    pub status: u16,
    pub seconds: u64,
}

/// A distribution that is not invalidated.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LeftOut {
    pub distribution: String,
    pub reason: String,
    pub says: String,
}
