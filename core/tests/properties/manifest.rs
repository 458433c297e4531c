//! Manifests in every form, whole and damaged, in pieces of any length.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};
use thaw_core::RequestedObject;

use crate::source_laws::{self, gzip, utf16};

/// A key as S3 encodes it: as a form, save that `/` stays.
fn encoded(key: &str) -> String {
    key.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' | b'/' => char::from(byte).to_string(),
            b' ' => "+".to_owned(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn asked() -> impl Strategy<Value = RequestedObject> {
    let key = prop_oneof![6 => any::<String>(), 3 => "[ +%,\"a/é\n]{1,8}", 1 => "ü{510,512}"]
        .prop_filter("S3 has no such key", |key| (1..=1_024).contains(&key.len()));
    let version = option::of(prop_oneof!["[A-Za-z0-9._]{1,32}", "v{898,900}"]);
    (key, version).prop_map(|(key, version_id)| RequestedObject { key, version_id })
}

/// The forms of a manifest, each as lines.
fn forms(all: &[RequestedObject], line_break: &str) -> Vec<String> {
    let lines = |line: &dyn Fn(&RequestedObject) -> String| {
        all.iter().map(|asked| line(asked) + line_break).collect::<String>()
    };
    vec![
        lines(&|asked| {
            let version = asked.version_id.as_ref().map_or_else(String::new, |version| format!(",{version}"));
            format!("archive,{}{version}", encoded(&asked.key))
        }),
        lines(&|asked| {
            let version = asked.version_id.as_deref().unwrap_or_default();
            format!("\"archive\",\"{}\",\"{version}\"", encoded(&asked.key))
        }),
        lines(&|asked| json!(asked).to_string()),
    ]
}

/// What `aws s3api` answers to a listing, with a delete marker.
fn listing(all: &[RequestedObject], line_break: &str) -> String {
    let versions = all.iter().map(|asked| {
        let RequestedObject { key, version_id } = asked;
        let more = json!({"ETag": "\"[{\"", "Key": key, "RestoreStatus": {"IsRestoreInProgress": false}, "Size": 7});
        let mut version = more;
        if let Some(id) = version_id {
            version["VersionId"] = id.as_str().into();
        }
        version.to_string()
    });
    let versions = versions.collect::<Vec<_>>().join(&format!(",{line_break}"));
    let marker = json!({"Key": "gone", "VersionId": "v", "IsLatest": true});
    format!(
        "{{{line_break}\"Versions\": [{versions}],{line_break}\"DeleteMarkers\": [{marker}], \"CommonPrefixes\": [{{}}]}}{line_break}"
    )
}

/// Lines near those of a manifest, with mistakes.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => select(&["archive,", "\"archive\",", "other,", "bucket,key\n", "\n", "\r\n", ",", "\"", "\u{feff}"][..])
            .prop_map(str::to_owned),
        2 => select(&["{\"key\":\"", "\"}", "\"version_id\":", "[", "{", "%2", "+", " "][..]).prop_map(str::to_owned),
        2 => "[a-zé%]{0,4}",
        2 => select(&["{\"Contents\":[", "\"DeleteMarkers\":[", "{\"Key\":\"a\"}", "]", "}", "\"Name\":\"", "\\"][..]).prop_map(str::to_owned),
        1 => select(&["s3://archive/", "s3://", "https://a", "Key,Size\n", "Key,Bucket\n", ", ", "𝄞"][..]).prop_map(str::to_owned),
    ];
    vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_manifest_names_the_same_in_every_form(
        all in vec(asked(), 1..6),
        line_break in select(&["\n", "\r\n", "\n\n"][..]),
        pieces_of in 1_usize..100,
    ) {
        for form in forms(&all, line_break) {
            for bytes in [form.as_bytes(), form.trim_end_matches(['\r', '\n']).as_bytes()] {
                prop_assert_eq!(&source_laws::manifest(bytes, pieces_of), &(all.clone(), None));
                prop_assert_eq!(&source_laws::manifest(&gzip(bytes), pieces_of), &(all.clone(), None));
            }
        }
        for form in [listing(&all, line_break), forms(&all, line_break).swap_remove(0)] {
            prop_assert_eq!(&source_laws::manifest(&utf16(&form), pieces_of), &(all.clone(), None));
        }
    }

    #[test]
    fn a_list_of_keys_names_them_as_they_are(keys in vec("[ -~é]{0,7}[!-~é]", 1..6), pieces_of in 1_usize..20) {
        let text: String = keys.iter().map(|key| format!("s3://archive/{key}\r\n")).collect();
        for bytes in [text.clone().into_bytes(), utf16(&text), gzip(text.as_bytes())] {
            let (asked, problem) = source_laws::manifest(&bytes, pieces_of);
            prop_assert_eq!(problem, None);
            prop_assert_eq!(asked.into_iter().map(|asked| asked.key).collect::<Vec<_>>(), keys.clone());
        }
    }

    #[test]
    fn text_near_a_manifest_keeps_the_law(text in text(), pieces_of in 1_usize..20) {
        source_laws::manifest(text.as_bytes(), pieces_of);
        source_laws::manifest(&gzip(text.as_bytes()), pieces_of);
        source_laws::manifest(&utf16(&text), pieces_of);
        source_laws::list(text.as_bytes(), "2019.txt", pieces_of);
    }

    #[test]
    fn a_packed_manifest_that_was_cut_or_damaged_keeps_the_law(
        all in vec(asked(), 1..6),
        at in any::<Index>(),
        byte: u8,
        pieces_of in 1_usize..20,
    ) {
        let csv = forms(&all, "\n").swap_remove(0);
        let mut bytes = gzip(csv.as_bytes());
        let at = at.index(bytes.len());
        source_laws::manifest(&bytes[..at], pieces_of);
        bytes[at] = byte;
        source_laws::manifest(&bytes, pieces_of);
    }

    #[test]
    fn any_bytes_keep_the_law(bytes in vec(any::<u8>(), 0..200), pieces_of in 1_usize..20) {
        source_laws::manifest(&bytes, pieces_of);
        source_laws::list(&bytes, "2019.txt", pieces_of);
        for mark in ["\u{feff}".as_bytes(), b"\xff\xfe", b"\xfe\xff"] {
            source_laws::manifest(&[mark, &bytes].concat(), pieces_of);
        }
        source_laws::inventory(&bytes);
    }

    #[test]
    fn an_inventory_with_something_else_somewhere_keeps_the_law(
        field in select(&["sourceBucket", "destinationBucket", "fileFormat", "fileSchema", "files"][..]),
        instead in prop_oneof![
            any::<String>().prop_map(Value::from),
            Just(json!([])),
            "[a/]{0,3}|k{1020,1026}".prop_map(|key| json!([{"key": key, "size": 1, "MD5checksum": ""}])),
            Just(Value::from("x".repeat(100_000))),
        ],
    ) {
        let mut manifest = json!({
            "sourceBucket": "archive",
            "destinationBucket": "arn:aws:s3:::lists",
            "fileFormat": "CSV",
            "fileSchema": "Bucket, Key",
            "files": [{"key": "inventory/data/1.csv.gz", "size": 7, "MD5checksum": ""}],
        });
        manifest[field] = instead;
        source_laws::inventory(manifest.to_string().as_bytes());
    }
}
