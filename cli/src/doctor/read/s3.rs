//! S3's answers about a bucket's configuration.

use roxmltree::Node;
use thaw_core::sends_to_eventbridge;

use super::xml::{child, children, parse, text};
use crate::doctor::facts::{DeleteMarkers, Encryption, Events, Expiration, LifecycleRule, Versioning};

/// `GetBucketNotificationConfiguration`.
pub fn events(xml: &str) -> Result<Events, String> {
    let document = parse(xml)?;
    let names: Vec<_> =
        document.root_element().children().filter(Node::is_element).map(|node| node.tag_name().name()).collect();
    Ok(Events {
        to_eventbridge: sends_to_eventbridge(xml).map_err(|error| error.to_string())?,
        elsewhere: names.iter().any(|name| *name != "EventBridgeConfiguration"),
    })
}

/// `GetBucketVersioning`. A bucket that never had versions has no status.
pub fn versioning(xml: &str) -> Result<Versioning, String> {
    match text(parse(xml)?.root_element(), &["Status"]).as_str() {
        "" => Ok(Versioning::Never),
        "Enabled" => Ok(Versioning::Enabled),
        "Suspended" => Ok(Versioning::Suspended),
        other => Err(format!("the versioning status {other:?} is unknown to this command")),
    }
}

/// `GetBucketEncryption`: how new objects are encrypted.
pub fn encryption(xml: &str) -> Result<Encryption, String> {
    let document = parse(xml)?;
    let by_default = |node: &Node<'_, '_>| node.tag_name().name() == "ApplyServerSideEncryptionByDefault";
    let Some(applied) = document.descendants().find(by_default) else { return Ok(Encryption::S3) };
    Ok(match text(applied, &["SSEAlgorithm"]).as_str() {
        "aws:kms" | "aws:kms:dsse" => {
            Encryption::Kms(Some(text(applied, &["KMSMasterKeyID"])).filter(|key| !key.is_empty()))
        }
        _ => Encryption::S3,
    })
}

/// `GetBucketLifecycleConfiguration`.
pub fn lifecycle(xml: &str) -> Result<Vec<LifecycleRule>, String> {
    children(parse(xml)?.root_element(), "Rule").map(rule).collect()
}

fn rule(rule: Node<'_, '_>) -> Result<LifecycleRule, String> {
    let filter = child(rule, "Filter");
    // Several conditions stand in `And`; an old configuration has the prefix in the rule itself.
    let and = filter.and_then(|filter| child(filter, "And"));
    let places = [and, filter, Some(rule)].into_iter().flatten();
    let prefix = places.map(|place| text(place, &["Prefix"])).find(|prefix| !prefix.is_empty()).unwrap_or_default();
    let chooses = |node: Node<'_, '_>| {
        ["Tag", "ObjectSizeGreaterThan", "ObjectSizeLessThan"].iter().any(|name| child(node, name).is_some())
    };
    let days = |node: Node<'_, '_>, name: &str| {
        let days = text(node, &[name]);
        days.parse::<u32>().map_err(|_| format!("a lifecycle rule has {days:?} {name}"))
    };
    let archives = children(rule, "Transition")
        .filter(|transition| matches!(text(*transition, &["StorageClass"]).as_str(), "GLACIER" | "DEEP_ARCHIVE"));
    let archives_after = archives.filter(|one| child(*one, "Days").is_some()).map(|one| days(one, "Days"));
    let expiration = match child(rule, "Expiration") {
        Some(expires) if child(expires, "Days").is_some() => Some(Expiration::Days(days(expires, "Days")?)),
        Some(expires) if child(expires, "Date").is_some() => {
            let date = text(expires, &["Date"]);
            Some(Expiration::Date(date.parse().map_err(|_| format!("a lifecycle rule expires at {date:?}"))?))
        }
        // `ExpiredObjectDeleteMarker` deletes no object.
        Some(_) | None => None,
    };
    Ok(LifecycleRule {
        id: text(rule, &["ID"]),
        enabled: text(rule, &["Status"]) == "Enabled",
        prefix,
        has_filter: [and, filter].into_iter().flatten().any(chooses),
        expiration,
        archives_after: archives_after.collect::<Result<Vec<_>, _>>()?.into_iter().min(),
    })
}

/// A page of `ListObjectVersions`.
pub fn delete_markers(xml: &str) -> Result<DeleteMarkers, String> {
    let document = parse(xml)?;
    let list = document.root_element();
    let markers: Vec<_> = children(list, "DeleteMarker").collect();
    Ok(DeleteMarkers {
        looked_at: markers.len() + children(list, "Version").count(),
        hidden: markers.iter().filter(|marker| text(**marker, &["IsLatest"]) == "true").count(),
        more: text(list, &["IsTruncated"]) == "true",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_events_go_is_read() {
        let read = |inner: &str| {
            let xml = format!(
                r#"<NotificationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{inner}</NotificationConfiguration>"#
            );
            let events = events(&xml).unwrap();
            (events.to_eventbridge, events.elsewhere)
        };
        assert_eq!(read(""), (false, false));
        assert_eq!(read("<EventBridgeConfiguration/>"), (true, false));
        assert_eq!(read("<QueueConfiguration><Id>q</Id></QueueConfiguration>"), (false, true));
        assert!(events("no XML").is_err());
    }

    #[test]
    fn versioning_and_encryption_have_defaults() {
        let status = |inner: &str| versioning(&format!("<VersioningConfiguration>{inner}</VersioningConfiguration>"));
        assert_eq!(status(""), Ok(Versioning::Never));
        assert_eq!(status("<Status>Enabled</Status>"), Ok(Versioning::Enabled));
        assert_eq!(status("<Status>Suspended</Status><MfaDelete>Disabled</MfaDelete>"), Ok(Versioning::Suspended));
        assert!(status("<Status>Paused</Status>").is_err());
        let applied = |inner: &str| {
            encryption(&format!("<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>{inner}</ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>")).unwrap()
        };
        assert_eq!(applied("<SSEAlgorithm>AES256</SSEAlgorithm>"), Encryption::S3);
        assert_eq!(applied("<SSEAlgorithm>aws:kms</SSEAlgorithm>"), Encryption::Kms(None));
        let key = "<SSEAlgorithm>aws:kms:dsse</SSEAlgorithm><KMSMasterKeyID>arn:k</KMSMasterKeyID>";
        assert_eq!(applied(key), Encryption::Kms(Some("arn:k".to_owned())));
    }

    #[test]
    fn a_lifecycle_rule_is_read_in_all_its_forms() {
        let read = |inner: &str| {
            let xml = format!(
                "<LifecycleConfiguration><Rule><ID>r</ID><Status>Enabled</Status>{inner}</Rule></LifecycleConfiguration>"
            );
            lifecycle(&xml).unwrap().remove(0)
        };
        let rule = LifecycleRule { id: "r".to_owned(), enabled: true, ..LifecycleRule::default() };
        let days = Some(Expiration::Days(30));
        assert_eq!(
            read("<Filter/><Expiration><Days>30</Days></Expiration>"),
            LifecycleRule { expiration: days, ..rule.clone() }
        );
        let prefix = "img/".to_owned();
        for place in [
            "<Prefix>img/</Prefix>",
            "<Filter><Prefix>img/</Prefix></Filter>",
            "<Filter><And><Prefix>img/</Prefix></And></Filter>",
        ] {
            assert_eq!(read(place), LifecycleRule { prefix: prefix.clone(), ..rule.clone() }, "{place}");
        }
        let tagged = "<Filter><And><Prefix>img/</Prefix><Tag><Key>k</Key><Value>v</Value></Tag></And></Filter>";
        assert_eq!(read(tagged), LifecycleRule { prefix, has_filter: true, ..rule.clone() });
        let transitions = "<Transition><Days>90</Days><StorageClass>DEEP_ARCHIVE</StorageClass></Transition><Transition><Days>10</Days><StorageClass>GLACIER</StorageClass></Transition><Transition><Days>1</Days><StorageClass>STANDARD_IA</StorageClass></Transition>";
        assert_eq!(read(transitions), LifecycleRule { archives_after: Some(10), ..rule.clone() });
        let date = read("<Expiration><Date>2026-12-01T00:00:00.000Z</Date></Expiration>");
        assert_eq!(date.expiration, Some(Expiration::Date("2026-12-01T00:00:00Z".parse().unwrap())));
        let versions = "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration><NoncurrentVersionExpiration><NoncurrentDays>7</NoncurrentDays></NoncurrentVersionExpiration>";
        assert_eq!(read(versions), rule);
    }

    #[test]
    fn only_markers_that_are_current_hide_a_key() {
        let xml = "<ListVersionsResult><IsTruncated>true</IsTruncated><Version><IsLatest>true</IsLatest></Version><DeleteMarker><IsLatest>true</IsLatest></DeleteMarker><DeleteMarker><IsLatest>false</IsLatest></DeleteMarker></ListVersionsResult>";
        assert_eq!(delete_markers(xml), Ok(DeleteMarkers { looked_at: 3, hidden: 1, more: true }));
    }
}
