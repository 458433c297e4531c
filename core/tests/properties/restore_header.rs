//! The `x-amz-restore` header, together with the other headers on which an object's readability depends.

use jiff::Timestamp;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use thaw_core::{ArchiveKind, Head, Readability};

use crate::laws;

fn now() -> Timestamp {
    "2012-12-20T12:00:00Z".parse().unwrap()
}

const DATES: [&str; 5] = [
    "Fri, 21 Dec 2012 00:00:00 GMT",
    "Wed, 19 Dec 2012 00:00:00 GMT",
    "Thu, 21 Dec 2012 00:00:00 GMT",
    "Fri, 31 Dec 9999 00:00:00 GMT",
    "soon",
];

/// A parameter, correct or misspelt.
fn parameter() -> impl Strategy<Value = String> {
    let name = select(
        &["ongoing-request", "expiry-date", "x-amz-restore-request-date", "x-ongoing-request", "Ongoing-Request", ""][..],
    );
    let value = prop_oneof![
        6 => select(&["true", "false"][..]).prop_map(str::to_owned),
        3 => select(&DATES[..]).prop_map(str::to_owned),
        1 => "[a-z,='\" ]{0,12}",
    ];
    (name, value).prop_map(|(name, value)| format!("{name}=\"{value}\""))
}

/// A header of such parameters, perhaps in single quotes, perhaps damaged.
fn header() -> impl Strategy<Value = String> {
    let separator = select(&[", ", ",", " ", "; ", ",,"][..]);
    let damage = option::weighted(0.3, (any::<Index>(), any::<char>()));
    (vec(parameter(), 0..4), separator, any::<bool>(), damage).prop_map(|(parameters, separator, quoted, damage)| {
        let mut header = parameters.join(separator);
        if quoted {
            header = format!("'{header}'");
        }
        if let Some((at, char)) = damage {
            let mut chars: Vec<char> = header.chars().collect();
            let at = at.index(chars.len() + 1);
            chars.insert(at, char);
            header = chars.into_iter().collect();
        }
        header
    })
}

fn head() -> impl Strategy<Value = Head> {
    let class = select(
        &["GLACIER", "DEEP_ARCHIVE", "INTELLIGENT_TIERING", "STANDARD", "GLACIER_IR", "glacier", "'GLACIER'", ""][..],
    );
    let status = select(&["ARCHIVE_ACCESS", "DEEP_ARCHIVE_ACCESS", "'ARCHIVE_ACCESS'", "ICE", ""][..]);
    let restore = prop_oneof![6 => header(), 1 => any::<String>()];
    (option::of(class), option::weighted(0.3, status), option::weighted(0.9, restore)).prop_map(
        |(class, status, restore)| Head {
            storage_class: class.map(str::to_owned),
            archive_status: status.map(str::to_owned),
            restore,
            ..Head::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_readable_unless_s3_says_so(head in head()) {
        laws::readability(&head, now());
    }

    /// The reverse of the law: every header in the documented form is understood, for any time and with unknown parameters.
    #[test]
    fn a_copy_lives_until_its_date(second in 0_i64..4_000_000_000, more in option::of("[a-z-]{1,10}")) {
        let expires = Timestamp::from_second(second).unwrap();
        let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&expires).unwrap();
        let more = more.map_or_else(String::new, |name| format!(", x-{name}=\"a, b\""));
        let head = Head {
            storage_class: Some("GLACIER".to_owned()),
            restore: Some(format!("ongoing-request=\"false\", expiry-date=\"{date}\"{more}")),
            ..Head::default()
        };
        let expect = if expires > now() {
            Readability::Copy { kind: ArchiveKind::Flexible, expires }
        } else {
            Readability::Archived(ArchiveKind::Flexible)
        };
        prop_assert_eq!(head.readability(now()), Ok(expect));
    }
}
