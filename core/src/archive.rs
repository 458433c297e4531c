//! An object's archive kind and whether it can be read now, computed from S3's answer to `HeadObject`
//! ([`Head::readability`]); and the tiers at which archived objects can be fetched.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The storage class or access tier of an archived object. It decides which tiers S3 offers, how long they take and what
/// they cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ArchiveKind {
    /// Storage class `GLACIER` (S3 Glacier Flexible Retrieval).
    Flexible,
    /// Storage class `DEEP_ARCHIVE`.
    Deep,
    /// Storage class `INTELLIGENT_TIERING`, access tier `ARCHIVE_ACCESS`.
    ItArchive,
    /// Storage class `INTELLIGENT_TIERING`, access tier `DEEP_ARCHIVE_ACCESS`.
    ItDeep,
}

impl ArchiveKind {
    /// Every kind, in the order of documents and tables.
    pub const ALL: [Self; 4] = [Self::Flexible, Self::Deep, Self::ItArchive, Self::ItDeep];

    /// Whether a restore makes a temporary copy that expires.
    ///
    /// Intelligent-Tiering has none: the object itself moves back to the Frequent Access tier, and S3 refuses
    /// `Days` for it (User Guide, "Restoring an archived object").
    pub fn has_copy(self) -> bool {
        match self {
            Self::Flexible | Self::Deep => true,
            Self::ItArchive | Self::ItDeep => false,
        }
    }

    /// AWS's name, for texts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flexible => "Glacier Flexible Retrieval",
            Self::Deep => "Glacier Deep Archive",
            Self::ItArchive => "Intelligent-Tiering Archive Access",
            Self::ItDeep => "Intelligent-Tiering Deep Archive Access",
        }
    }

    /// The word used in documents, the API and the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Flexible => "flexible",
            Self::Deep => "deep",
            Self::ItArchive => "it_archive",
            Self::ItDeep => "it_deep",
        }
    }
}

/// When a copy that begins, or is extended, at `from` expires: at the first UTC midnight after `days` days.
///
/// AWS's own example: a copy of 3 days made on 2012-10-15 at 10:30 expires on 2012-10-19 at 00:00 (User Guide,
/// "Restoring an archived object").
pub fn copy_expiry(from: Timestamp, days: u32) -> Timestamp {
    const DAY: i64 = 86_400;
    let end = from.as_second().saturating_add(i64::from(days) * DAY);
    let midnight = (end + DAY - 1).div_euclid(DAY) * DAY;
    Timestamp::from_second(midnight).unwrap_or(Timestamp::MAX)
}

/// How fast to fetch an archived object. Ordered by speed, slowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Tier {
    /// Hours to two days; the cheapest.
    Bulk,
    /// Hours; the default of S3 and of thaw.
    Standard,
    /// Minutes, while S3 has the capacity; not offered for the deep kinds.
    Expedited,
}

impl Tier {
    /// Every tier, slowest first.
    pub const ALL: [Self; 3] = [Self::Bulk, Self::Standard, Self::Expedited];

    /// AWS's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bulk => "Bulk",
            Self::Standard => "Standard",
            Self::Expedited => "Expedited",
        }
    }
}

/// S3's answer to a `HeadObject`, as far as it decides whether the object can be read. The values are as S3 sent them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// `x-amz-storage-class`; S3 omits it for `STANDARD`.
    pub storage_class: Option<String>,
    /// `x-amz-archive-status`: only for archived Intelligent-Tiering objects.
    pub archive_status: Option<String>,
    /// `x-amz-restore`.
    pub restore: Option<String>,
    /// `x-amz-version-id`; absent in a bucket without versions.
    pub version: Option<String>,
    /// Size in bytes.
    pub size: u64,
}

/// Whether an object can be read now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readability {
    /// Never archived, or moved back from an archive tier of Intelligent-Tiering: a GET returns its bytes.
    Readable,
    /// Archived, and S3 is not fetching it.
    Archived(ArchiveKind),
    /// Archived, and S3 is fetching it.
    Restoring(ArchiveKind),
    /// Archived, with a copy until `expires`, which is always a UTC midnight.
    Copy {
        /// The kind of the original.
        kind: ArchiveKind,
        /// When S3 removes the copy.
        expires: Timestamp,
    },
}

/// A header of S3's answer that thaw cannot read. thaw does not guess, because a wrong guess would make a wrong status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("S3 described the object with {header} = {value:?}, which thaw cannot read")]
pub struct UnreadableHead {
    /// The header.
    pub header: &'static str,
    /// Its value, at most 200 characters.
    pub value: String,
}

impl Head {
    /// Whether the object can be read at `now`.
    ///
    /// The storage class stays `GLACIER` while there is a copy, so only `x-amz-restore` decides. A copy whose expiry has
    /// passed does not count.
    pub fn readability(&self, now: Timestamp) -> Result<Readability, UnreadableHead> {
        Ok(match (self.kind()?, self.restore_header()?) {
            (None, None | Some(Restore::Done { .. })) => Readability::Readable,
            // S3 says that it is fetching the object, but names no archive from which.
            (None, Some(Restore::Ongoing)) => return Err(self.unreadable_restore()),
            (Some(kind), None) => Readability::Archived(kind),
            (Some(kind), Some(Restore::Ongoing)) => Readability::Restoring(kind),
            (Some(kind), Some(Restore::Done { expires: Some(expires) })) if expires > now => {
                Readability::Copy { kind, expires }
            }
            (Some(kind), Some(Restore::Done { .. })) => Readability::Archived(kind),
        })
    }

    fn kind(&self) -> Result<Option<ArchiveKind>, UnreadableHead> {
        match (self.storage_class.as_deref(), self.archive_status.as_deref().map(unquoted)) {
            (Some("GLACIER"), _) => Ok(Some(ArchiveKind::Flexible)),
            (Some("DEEP_ARCHIVE"), _) => Ok(Some(ArchiveKind::Deep)),
            (_, Some("ARCHIVE_ACCESS")) => Ok(Some(ArchiveKind::ItArchive)),
            (_, Some("DEEP_ARCHIVE_ACCESS")) => Ok(Some(ArchiveKind::ItDeep)),
            (_, Some(other)) => {
                Err(UnreadableHead { header: "x-amz-archive-status", value: other.chars().take(200).collect() })
            }
            // All other classes are readable at once: STANDARD, the infrequent access classes, GLACIER_IR (Instant
            // Retrieval), and Intelligent-Tiering outside its archive tiers.
            (_, None) => Ok(None),
        }
    }

    fn restore_header(&self) -> Result<Option<Restore>, UnreadableHead> {
        let Some(header) = self.restore.as_deref() else { return Ok(None) };
        parse_restore(header).map(Some).ok_or_else(|| self.unreadable_restore())
    }

    fn unreadable_restore(&self) -> UnreadableHead {
        let value = self.restore.iter().flat_map(|header| header.chars()).take(200).collect();
        UnreadableHead { header: "x-amz-restore", value }
    }
}

/// Optional white space (RFC 9110, section 5.6.3).
const BLANKS: [char; 2] = [' ', '\t'];

enum Restore {
    Ongoing,
    Done { expires: Option<Timestamp> },
}

/// Reads `x-amz-restore`; `None` if it has another form. With `ongoing-request="true"` there is no copy, even if there is
/// an `expiry-date`. S3's documentation shows the header in single quotes, and with further parameters: both are
/// accepted, and so is white space around parameters, as in every list in HTTP.
fn parse_restore(header: &str) -> Option<Restore> {
    let (mut ongoing, mut expires) = (None, None);
    for (name, value) in parameters(unquoted(header.trim_matches(BLANKS)))? {
        let twice = match name {
            "ongoing-request" => ongoing.replace(value.parse::<bool>().ok()?).is_some(),
            "expiry-date" => {
                expires.replace(jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?).is_some()
            }
            _ => false,
        };
        if twice {
            return None;
        }
    }
    Some(if ongoing? { Restore::Ongoing } else { Restore::Done { expires } })
}

/// The parameters of `name="value", name="value"`; `None` for any other form. Values may contain commas, as dates do.
fn parameters(header: &str) -> Option<Vec<(&str, &str)>> {
    let mut parameters = Vec::new();
    let mut rest = header;
    loop {
        let (name, quoted) = rest.split_once("=\"")?;
        let (value, after) = quoted.split_once('"')?;
        let name = name.trim_start_matches(BLANKS);
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return None;
        }
        parameters.push((name, value));
        match after.trim_matches(BLANKS) {
            "" => return Some(parameters),
            after => rest = after.strip_prefix(',')?,
        }
    }
}

fn unquoted(value: &str) -> &str {
    value.strip_prefix('\'').and_then(|value| value.strip_suffix('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2012-12-20T12:00:00Z";

    #[track_caller]
    fn check(class: Option<&str>, status: Option<&str>, restore: Option<&str>, expect: Option<Readability>) {
        let head = Head {
            storage_class: class.map(str::to_owned),
            archive_status: status.map(str::to_owned),
            restore: restore.map(str::to_owned),
            ..Head::default()
        };
        assert_eq!(head.readability(NOW.parse().unwrap()).ok(), expect);
    }

    fn copy(kind: ArchiveKind) -> Option<Readability> {
        Some(Readability::Copy { kind, expires: "2012-12-21T00:00:00Z".parse().unwrap() })
    }

    const DONE: &str = r#"ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT""#;
    const ONGOING: &str = r#"ongoing-request="true""#;

    #[test]
    fn storage_classes_that_are_no_archive_are_readable() {
        for class in [None, Some("STANDARD"), Some("STANDARD_IA"), Some("GLACIER_IR"), Some("INTELLIGENT_TIERING")] {
            check(class, None, None, Some(Readability::Readable));
        }
    }

    #[test]
    fn the_storage_class_or_access_tier_decides_the_archive_kind() {
        check(Some("GLACIER"), None, None, Some(Readability::Archived(ArchiveKind::Flexible)));
        check(Some("DEEP_ARCHIVE"), None, None, Some(Readability::Archived(ArchiveKind::Deep)));
        let it = Some("INTELLIGENT_TIERING");
        check(it, Some("ARCHIVE_ACCESS"), None, Some(Readability::Archived(ArchiveKind::ItArchive)));
        check(it, Some("'DEEP_ARCHIVE_ACCESS'"), None, Some(Readability::Archived(ArchiveKind::ItDeep)));
    }

    #[test]
    fn the_header_from_the_documentation_is_a_copy_until_its_date() {
        check(Some("GLACIER"), None, Some(DONE), copy(ArchiveKind::Flexible));
        let quoted = format!("'{DONE}'");
        check(Some("GLACIER"), None, Some(&quoted), copy(ArchiveKind::Flexible));
        let expired = r#"ongoing-request="false", expiry-date="Wed, 19 Dec 2012 00:00:00 GMT""#;
        check(Some("GLACIER"), None, Some(expired), Some(Readability::Archived(ArchiveKind::Flexible)));
    }

    #[test]
    fn an_ongoing_request_counts_more_than_an_expiry_date() {
        check(Some("GLACIER"), None, Some(ONGOING), Some(Readability::Restoring(ArchiveKind::Flexible)));
        let both = r#"ongoing-request="true", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT""#;
        check(Some("DEEP_ARCHIVE"), None, Some(both), Some(Readability::Restoring(ArchiveKind::Deep)));
        let more = r#"ongoing-request="true", x-amz-restore-request-date="Fri, 13 Nov 2020 00:20:00 GMT""#;
        check(Some("DEEP_ARCHIVE"), None, Some(more), Some(Readability::Restoring(ArchiveKind::Deep)));
    }

    #[test]
    fn blanks_round_parameters_mean_nothing() {
        for header in [format!(" {DONE}\t"), DONE.replace(", expiry", "\t ,expiry"), format!("' {DONE} '")] {
            let head = Head { storage_class: Some("GLACIER".to_owned()), restore: Some(header), ..Head::default() };
            assert!(matches!(head.readability(NOW.parse().unwrap()), Ok(Readability::Copy { .. })), "{head:?}");
        }
    }

    #[test]
    fn a_copy_does_not_count_from_the_second_of_its_expiry() {
        let readability = |now: &str| {
            let head =
                Head { storage_class: Some("GLACIER".to_owned()), restore: Some(DONE.to_owned()), ..Head::default() };
            Some(head.readability(now.parse().unwrap()).unwrap())
        };
        assert_eq!(readability("2012-12-20T23:59:59Z"), copy(ArchiveKind::Flexible));
        assert_eq!(readability("2012-12-21T00:00:00Z"), Some(Readability::Archived(ArchiveKind::Flexible)));
    }

    #[test]
    fn intelligent_tiering_has_no_copies() {
        let have = ArchiveKind::ALL.map(|kind| (kind.as_str(), kind.has_copy()));
        assert_eq!(have, [("flexible", true), ("deep", true), ("it_archive", false), ("it_deep", false)]);
    }

    #[test]
    fn an_object_that_is_being_fetched_is_not_readable_in_any_class() {
        check(None, None, Some(ONGOING), None);
        check(Some("INTELLIGENT_TIERING"), None, Some(ONGOING), None);
        check(Some("INTELLIGENT_TIERING"), None, Some(r#"ongoing-request="false""#), Some(Readability::Readable));
    }

    #[test]
    fn a_copy_expires_at_the_midnight_after_its_days() {
        let expiry = |from: &str, days| copy_expiry(from.parse().unwrap(), days).to_string();
        assert_eq!(expiry("2012-10-15T10:30:00Z", 3), "2012-10-19T00:00:00Z");
        assert_eq!(expiry("2012-10-15T00:00:00Z", 1), "2012-10-16T00:00:00Z");
    }

    #[test]
    fn an_unreadable_header_is_an_error() {
        for header in ["", "ongoing-request=true", r#"ongoing-request="maybe""#] {
            check(Some("GLACIER"), None, Some(header), None);
        }
        check(Some("GLACIER"), None, Some(r#"ongoing-request="false", expiry-date="soon""#), None);
        // A name that only ends like a known one, a parameter twice, and other forms.
        for header in [
            format!("x-{DONE}"),
            format!("x-{DONE}, {ONGOING}"),
            format!("{DONE}, {ONGOING}"),
            format!("{DONE}, expiry-date=\"Sat, 22 Dec 2012 00:00:00 GMT\""),
            format!("{DONE} and more"),
            format!("{DONE},, {ONGOING}"),
            DONE.replace("=\"", " =\""),
            DONE.replace("=\"", "= \""),
            format!("\r{DONE}"),
            format!("{DONE}\u{a0}"),
        ] {
            let head = Head { storage_class: Some("GLACIER".to_owned()), restore: Some(header), ..Head::default() };
            assert!(!matches!(head.readability(NOW.parse().unwrap()), Ok(Readability::Copy { .. })), "{head:?}");
        }
        check(Some("INTELLIGENT_TIERING"), Some("ICE_ACCESS"), None, None);
    }
}
