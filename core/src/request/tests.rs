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
fn publishing_only_stands_beside_nothing_that_s3_would_be_asked() {
    let with = |more: Value| {
        let mut asked = body(json!({"publish_only": true, "publish": {"when": "together", "max_over": 5}}));
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Request::parse(&asked)
    };
    let request = with(json!({"dry_run": true, "max_cost_usd": 1, "tier": "Standard"})).unwrap();
    assert_eq!(Request::parse(&serde_json::to_value(&request).unwrap()), Ok(request.clone()));
    let id = RestoreId::new("2026-11-22T10:00:00Z".parse().unwrap(), &request, "seed");
    assert!(id.as_str().contains("_publish_"), "{id}");
    for (more, field) in [
        (json!({"tier": "Bulk"}), "tier"),
        (json!({"days": 3}), "days"),
        (json!({"on_expedited_unavailable": "fail"}), "on_expedited_unavailable"),
        (json!({"batch_operations": false}), "batch_operations"),
        (json!({"join_only": true}), "join_only"),
        (json!({"publish": {"when": "never"}}), "publish.when"),
        (json!({"publish": {"only_if_stale": true}}), "publish.only_if_stale"),
    ] {
        let problem = with(more).unwrap_err();
        assert_eq!((problem.status, problem.field.as_deref()), (400, Some(field)), "{problem:?}");
    }
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
    refused(json!({"days": -1.0}), "days");
    refused(json!({"days": 1e300}), "days");
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
    refused(json!({"publish_only": "yes"}), "publish_only");
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
    assert_eq!(passes(json!({"days": 7.0})), passes(json!({"days": 7})));
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
    for more in [json!({(long.as_str()): 1}), json!({"publish": {(long.as_str()): 1}}), json!({"tier": long.as_str()})]
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
