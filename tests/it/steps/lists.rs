//! Lists whose keys can be read in two ways, or are not there; and lists that cannot be read.

use serde_json::{Value, json};
use thaw_core::{Facts, ObjectId, S3Uri};
use thaw_sim::model::{AccessTier, ObjectRef, PutRequest, StorageClass};
use thaw_sim::ports::Aws;
use thaw_steps::StepError;
use thaw_steps::ports::{ListFrom, Page, Piece, PortError, ReadArchive, VersionMarker, VersionPage};
use thaw_steps::workflow::plan;

use super::world::{BUCKET, WORK, World};

/// Lists `keys` under this name, and plans what it lists.
fn plan_of(world: &World, name: &str, text: &str, class: StorageClass) -> Result<plan::Output, String> {
    let put = PutRequest::new(BUCKET, name, class, text.to_owned());
    world.aws.with(|sim, now| sim.put_object(put, now)).unwrap();
    match world.plan("r", listed(name)) {
        Ok(output) => Ok(output),
        Err(StepError::InvalidRequest(problem)) => {
            assert_eq!((problem.status, problem.field.as_deref()), (422, Some("manifest")), "{problem}");
            assert_eq!(world.aws.with(|sim, _| sim.calls("RestoreObject")), 0);
            Err(problem.detail)
        }
        Err(other) => panic!("{other}"),
    }
}

fn listed(name: &str) -> Value {
    json!({"bucket": BUCKET, "manifest": format!("s3://{BUCKET}/{name}")})
}

#[test]
fn a_list_that_was_read_in_the_other_way_is_one_problem_and_no_thousand_missing_keys() {
    for (name, text, says) in [
        (
            "list.txt",
            "c\n2019/a%20b.jpg\n",
            "line 2: the bucket has \"2019/a b.jpg\", and not \"2019/a%20b.jpg\". Keys in JSON",
        ),
        (
            "list.json",
            "[\"2019/a+b.jpg\"]",
            "line 1: the bucket has \"2019/a b.jpg\", and not \"2019/a+b.jpg\". Keys in JSON",
        ),
        (
            "list.csv",
            "archive,c+d\n",
            "line 1: the bucket has \"c+d\", and not \"c d\". Keys in CSV are read URL-encoded",
        ),
    ] {
        let world = World::new();
        for key in ["2019/a b.jpg", "c+d", "c"] {
            world.put(key, StorageClass::Glacier);
        }
        let refused = plan_of(&world, name, text, StorageClass::Standard).unwrap_err();
        assert!(refused.contains(says), "{name}: {refused}");
    }
}

#[test]
fn a_plan_says_how_keys_were_read_where_it_makes_a_difference() {
    for (name, text, warns) in [
        ("list.txt", "a\nb%20c\n", Some("as they are: % and + are characters")),
        ("list.csv", "archive,a\narchive,d+e\n", Some("URL-encoded, as it is CSV")),
        ("list.csv", "archive,a\n", None),
        // Neither is there, so nobody knows.
        ("list.csv", "archive,a\narchive,x+y\n", Some("URL-encoded, as it is CSV")),
    ] {
        let world = World::new();
        for key in ["a", "b%20c", "d e"] {
            world.put(key, StorageClass::Glacier);
        }
        let planned = plan_of(&world, name, text, StorageClass::Standard).unwrap();
        let told = planned.warnings.iter().find(|warning| warning.starts_with("the keys of the list were read"));
        assert_eq!(told.is_some(), warns.is_some(), "{text}: {told:?}");
        assert!(warns.is_none_or(|warns| told.unwrap().contains(warns)), "{text}: {told:?}");
    }
}

#[test]
fn a_text_of_which_no_line_is_a_key_is_no_list_and_nothing_of_it_is_told() {
    let world = World::new();
    world.put("a", StorageClass::Glacier);
    let refused = plan_of(&world, "notes", "my secret\nanother secret\n", StorageClass::Standard).unwrap_err();
    assert!(refused.contains("none of its first 2 keys") && !refused.contains("secret"), "{refused}");
    let many = (0..1_200).map(|n| format!("secret/{n}\n")).collect::<String>();
    let refused = plan_of(&world, "notes", &many, StorageClass::Standard).unwrap_err();
    assert!(
        refused.contains("keys is that of an object in bucket archive") && !refused.contains("secret"),
        "{refused}"
    );
    let refused =
        plan_of(&world, "notes.json", "[\"my secret\", \"another secret\"]", StorageClass::Standard).unwrap_err();
    assert!(refused.contains("none of its first 2 keys") && !refused.contains("secret"), "{refused}");
    // One that is there tells that it is a list, and then the others are missing.
    let planned = plan_of(&world, "keys", "gone\na\n", StorageClass::Standard).unwrap();
    assert_eq!((planned.counts.total, planned.counts.failed), (2, 1));
    // CSV names the bucket in each line.
    let planned = plan_of(&World::new(), "keys.csv", "archive,gone\n", StorageClass::Standard).unwrap();
    assert_eq!((planned.counts.total, planned.counts.failed), (1, 1));
}

#[test]
fn a_list_that_is_archived_says_so_and_how_to_restore_it() {
    let world = World::new();
    let refused = plan_of(&world, "lists/a.csv", "archive,a\n", StorageClass::DeepArchive).unwrap_err();
    let body = r#"{"bucket":"archive","keys":["lists/a.csv"],"max_cost_usd":1}"#;
    assert!(refused.contains("the list is archived itself (DEEP_ARCHIVE)") && refused.contains(body), "{refused}");
    let (report, _) = world.restore("the-list", serde_json::from_str(body).unwrap());
    assert_eq!(report.counts.published, 1);
    world.put("a", StorageClass::Glacier);
    assert_eq!(world.plan("again", listed("lists/a.csv")).unwrap().counts.total, 1);

    let world = World::new();
    plan_of(&world, "lists/a.csv", "archive,a\n", StorageClass::Glacier).unwrap_err();
    world.begin("the-list", serde_json::from_str(body).unwrap());
    let StepError::InvalidRequest(refused) = world.plan("again", listed("lists/a.csv")).unwrap_err() else { panic!() };
    assert!(refused.detail.contains("and S3 is fetching it"), "{refused}");
}

#[test]
fn an_archived_list_in_the_inbox_is_not_restored_but_dropped_again() {
    let world = World::new();
    let put = PutRequest::new(WORK, "inbox/a.csv", StorageClass::Glacier, "archive,a\n");
    world.aws.with(|sim, now| sim.put_object(put, now)).unwrap();
    let request = json!({"bucket": BUCKET, "manifest": format!("s3://{WORK}/inbox/a.csv")});
    let refused = world.plan("r", request).unwrap_err().to_string();
    assert!(refused.contains("Drop it again in the storage class STANDARD"), "{refused}");
}

#[test]
fn a_key_that_is_there_with_its_accents_written_otherwise_is_hinted_at() {
    let world = World::new();
    world.put("2019/cafe\u{301}.jpg", StorageClass::Glacier);
    world.put("2019/\u{e9}t\u{e9}.jpg", StorageClass::Glacier);
    let asked = ["2019/caf\u{e9}.jpg", "2019/e\u{301}te\u{301}.jpg", "2019/\u{fc}.jpg"];
    let planned = world.plan("r", json!({"bucket": BUCKET, "keys": asked})).unwrap();
    assert_eq!(planned.counts.failed, 3);
    let messages: Vec<_> = world.objects("r").into_iter().map(|row| format!("{:?}", row.state)).collect();
    assert!(
        messages[0].contains(r"2019/cafe\\u{301}.jpg") && messages[0].contains("letters and accents (NFD)"),
        "{messages:?}"
    );
    assert!(
        messages[1].contains(r"2019/\\u{e9}t\\u{e9}.jpg") && messages[1].contains("composed characters (NFC)"),
        "{messages:?}"
    );
    assert!(!messages[2].contains("looks the same"), "{messages:?}");
}

#[test]
fn an_address_is_no_key_and_an_old_bucket_name_is_refused_in_words() {
    let world = World::new();
    for (body, says) in [
        (json!({"bucket": BUCKET, "keys": ["s3://archive/a"]}), "keys[0]: is an address and not a key"),
        (json!({"bucket": BUCKET, "keys": [{"key": "HTTPS://cdn/a"}]}), "keys[0].key: is a URL and not a key"),
        (
            json!({"bucket": "My_Archive", "keys": ["a"]}),
            "bucket: has a name that S3 allowed in us-east-1 until March 2018",
        ),
        (json!({"bucket": "my archive", "keys": ["a"]}), "bucket: must be a bucket name"),
    ] {
        let error = world.plan("r", body).unwrap_err();
        assert!(matches!(error, StepError::InvalidRequest(_)) && error.to_string().contains(says), "{error}");
    }
}

/// The same bucket, whose files come in one piece: so many rows of a list that they are looked up by listing.
struct WholeFiles<'a>(&'a Aws);

impl ReadArchive for WholeFiles<'_> {
    async fn head(&self, object: &ObjectId) -> Result<Facts, PortError> {
        self.0.head(object).await
    }

    async fn list(&self, bucket: &str, prefix: &str, from: &ListFrom) -> Result<Page, PortError> {
        self.0.list(bucket, prefix, from).await
    }

    async fn folders(&self, bucket: &str, prefix: &str, after: &str) -> Result<Vec<String>, PortError> {
        self.0.folders(bucket, prefix, after).await
    }

    async fn list_versions(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<&VersionMarker>,
    ) -> Result<VersionPage, PortError> {
        self.0.list_versions(bucket, prefix, after).await
    }

    async fn read(&self, file: &S3Uri, from: u64, etag: Option<&str>) -> Result<Option<Piece>, PortError> {
        let Some(mut whole) = self.0.read(file, from, etag).await? else { return Ok(None) };
        while whole.more {
            let from = from + whole.bytes.len() as u64;
            let Some(piece) = self.0.read(file, from, etag).await? else { return Ok(None) };
            whole.bytes.extend(piece.bytes);
            whole.more = piece.more;
        }
        Ok(Some(whole))
    }

    async fn has_versions(&self, bucket: &str) -> Result<bool, PortError> {
        self.0.has_versions(bucket).await
    }
}

/// A bucket with an object of everything in many keys, older versions and delete markers if it has versions, and a list of all
/// of it and more.
fn rows(bucket: &str) -> World {
    let mut world = World::new();
    world.settings.archive_buckets.push("versioned".to_owned());
    let mut lines = String::new();
    world.aws.with(|sim, now| {
        sim.create_bucket("versioned", true);
        for number in 0..400 {
            let key = format!("2019/{}{number:03}.jpg", ["", "a b/", "ü/"][number % 3]);
            let put = |class| PutRequest::new(bucket, &key, class, key.clone());
            let put = match number % 7 {
                0 => put(StorageClass::Standard),
                1 => put(StorageClass::DeepArchive),
                2 => put(StorageClass::IntelligentTiering).in_tier(AccessTier::ArchiveAccess),
                _ => put(StorageClass::Glacier),
            };
            let first = sim.put_object(put.clone(), now).unwrap();
            let last = if number % 5 == 0 { sim.put_object(put, now).unwrap() } else { first.clone() };
            let row = match number % 4 {
                0 => json!({"Key": key, "VersionId": first.version}),
                1 => json!({"Key": key, "VersionId": last.version}),
                2 => json!({"Key": key, "VersionId": if number % 8 == 2 { json!("no-such-version") } else { Value::Null }}),
                _ => json!({"Key": key}),
            };
            if number % 11 == 0 {
                sim.delete_object(&ObjectRef::new(bucket, &key), now).unwrap();
            }
            lines.push_str(&format!("{row}\n{{\"Key\": \"{key}.gone\"}}\n"));
        }
        let list = PutRequest::new(BUCKET, "rows.jsonl", StorageClass::Standard, lines);
        sim.put_object(list, now).unwrap();
    });
    world
}

#[test]
fn rows_that_are_looked_up_by_listing_are_planned_as_those_that_are_asked_for_one_by_one() {
    for bucket in [BUCKET, "versioned"] {
        let planned = |by_listing: bool| {
            let world = rows(bucket);
            let request = json!({"bucket": bucket, "manifest": format!("s3://{BUCKET}/rows.jsonl")});
            let input = || plan::Input { restore: "r".to_owned(), request: request.clone(), cursor: String::new() };
            let World { aws, ledger, files, events, settings, .. } = &world;
            let (whole, now) = (WholeFiles(aws), world.now());
            let output = if by_listing {
                world.run(plan::run(input(), &whole, aws, ledger, files, events, settings, now, || true)).unwrap()
            } else {
                world.run(plan::run(input(), aws, aws, ledger, files, events, settings, now, || true)).unwrap()
            };
            let heads = aws.with(|sim, _| sim.calls("HeadObject"));
            let objects: Vec<_> = world
                .objects("r")
                .into_iter()
                .map(|row| {
                    json!([row.object, row.place, row.kind, row.decision, row.current, row.size, row.state.as_str()])
                })
                .collect();
            (heads, json!([objects, output.counts, output.hash, output.cost, output.warnings]))
        };
        let (listed, one_by_one) = (planned(true), planned(false));
        assert_eq!(listed.1, one_by_one.1, "{bucket}");
        assert!(listed.0 + 150 < one_by_one.0, "{bucket}: {} and {} questions", listed.0, one_by_one.0);
    }
}
