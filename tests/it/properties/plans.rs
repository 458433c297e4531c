//! A plan that takes several calls is the plan that one call makes, whatever its objects come from.

use std::cell::Cell;
use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};
use thaw_sim::cdn::{DistributionConfig, Origin};
use thaw_sim::model::{AccessTier, FaultRule, PutRequest, SettingsChange, StorageClass};

use crate::steps::world::{BUCKET, World};

/// The same objects with versions.
const VERSIONED: &str = "versioned";

/// Where a plan's objects come from.
#[derive(Debug, Clone, Copy)]
enum From {
    Prefix,
    FilteredPrefix,
    Keys,
    Manifest,
    PackedManifest,
    JsonLines,
    Listing,
    KeysInUtf16,
    Inventory,
    PackedInventory,
    AnotherRestore,
}

#[derive(Debug, Clone)]
struct Case {
    /// Folder, name and class of each object, as small numbers.
    objects: Vec<(u8, u8, u8)>,
    from: From,
    bucket: &'static str,
    when: &'static str,
    keys_per_page: usize,
    objects_per_chunk: usize,
    /// Pages without a key, of a hundred.
    empty: u8,
    /// Pages that each call of the plan has time for, in turn.
    pages: Vec<u8>,
}

fn case() -> impl Strategy<Value = Case> {
    let objects = proptest::collection::vec((0..6_u8, 0..40_u8, 0..6_u8), 1..60);
    let from = prop_oneof![
        Just(From::Prefix),
        Just(From::FilteredPrefix),
        Just(From::Keys),
        Just(From::Manifest),
        Just(From::PackedManifest),
        Just(From::JsonLines),
        Just(From::Listing),
        Just(From::KeysInUtf16),
        Just(From::Inventory),
        Just(From::PackedInventory),
        Just(From::AnotherRestore),
    ];
    let bucket = prop_oneof![Just(BUCKET), Just(VERSIONED)];
    let when = prop_oneof![Just("each"), Just("together"), Just("never")];
    let sizes = (1..8_usize, 1..12_usize, prop_oneof![Just(0), Just(30)]);
    (objects, from, bucket, when, sizes, proptest::collection::vec(0..4_u8, 1..4)).prop_map(
        |(objects, from, bucket, when, (keys_per_page, objects_per_chunk, empty), pages)| Case {
            objects,
            from,
            bucket,
            when,
            keys_per_page,
            objects_per_chunk,
            empty,
            pages,
        },
    )
}

impl Case {
    fn key(folder: u8, name: u8) -> String {
        // One is no folder, one has a name that must be encoded, and one lies in another.
        let folder = ["", "a/", "a b/", "c/d/", "c/", "c~/"][usize::from(folder)];
        format!("{folder}{name:02}.jpg")
    }

    fn keys(&self) -> impl Iterator<Item = String> {
        self.objects.iter().map(|(folder, name, _)| Self::key(*folder, *name))
    }

    /// A world with the objects, and what is asked for.
    fn world(&self) -> (World, Value) {
        let mut world = World::new();
        world.settings.archive_buckets.push(VERSIONED.to_owned());
        world.settings.objects_per_chunk = self.objects_per_chunk;
        world.settings.objects_per_job = 7;
        world.aws.with(|sim, now| {
            sim.create_bucket(VERSIONED, true);
            let origin = Origin { id: "s3".to_owned(), bucket: VERSIONED.to_owned(), ..Origin::default() };
            let shown = DistributionConfig { id: Some("E2".to_owned()), origins: vec![origin], ..Default::default() };
            sim.put_distribution(shown, now).unwrap();
            for (folder, name, class) in &self.objects {
                let key = Self::key(*folder, *name);
                let put = |class| PutRequest::new(self.bucket, &key, class, key.clone());
                let put = match class {
                    0 => put(StorageClass::Standard),
                    1 => put(StorageClass::DeepArchive),
                    2 => put(StorageClass::IntelligentTiering).in_tier(AccessTier::ArchiveAccess),
                    _ => put(StorageClass::Glacier),
                };
                sim.put_object(put, now).unwrap();
            }
        });
        let request = self.request(&world);
        world.aws.with(|sim, _| {
            let keys_per_page = Some(self.keys_per_page);
            sim.change_settings(&SettingsChange { keys_per_page, ..SettingsChange::default() });
            let empty = |operation| FaultRule::new(operation, "EmptyPage").sometimes(f64::from(self.empty) / 100.0);
            sim.set_faults(["ListObjectsV2", "ListObjectVersions"].map(empty).into());
        });
        (world, request)
    }

    fn request(&self, world: &World) -> Value {
        let file = |key: &str, bytes: Vec<u8>| {
            let put = PutRequest::new(self.bucket, key, StorageClass::Standard, bytes);
            world.aws.with(|sim, now| sim.put_object(put, now)).unwrap();
        };
        // A request must name each key once. A file may do it twice.
        let once: BTreeSet<String> = self.keys().collect();
        let keys: Vec<String> = self.keys().chain(self.keys()).collect();
        let line = |key: &String| format!("{},{}\n", self.bucket, key.replace(' ', "%20"));
        let mut request = json!({"bucket": self.bucket, "publish": {"when": self.when}, "batch_operations": true});
        let mut ask = |field: &str, value: Value| request[field] = value;
        match self.from {
            From::Prefix => {
                ask("prefix", "".into());
                ask("max_cost_usd", 1_000.into());
            }
            From::FilteredPrefix => {
                ask("prefix", "c".into());
                ask("exclude", json!(["**/*1.jpg"]));
            }
            From::Keys => ask("keys", json!(once)),
            From::Manifest | From::PackedManifest => {
                let lines: String = keys.iter().map(line).collect();
                let is_packed = matches!(self.from, From::PackedManifest);
                file("lists/all.csv", if is_packed { packed(lines.as_bytes()) } else { lines.into_bytes() });
                ask("manifest", format!("s3://{}/lists/all.csv", self.bucket).into());
            }
            From::JsonLines => {
                let lines: String = keys.iter().map(|key| format!("{}\n", json!({"key": key}))).collect();
                file("lists/all.jsonl", format!("\u{feff}{lines}").into_bytes());
                ask("manifest", format!("s3://{}/lists/all.jsonl", self.bucket).into());
            }
            From::Listing => {
                let contents: Vec<_> = keys.iter().map(|key| json!({"Key": key, "Size": 1})).collect();
                let listing = json!({"Contents": contents, "RequestCharged": null, "Prefix": ""}).to_string();
                file("lists/all.json", packed(listing.as_bytes()));
                ask("manifest", format!("s3://{}/lists/all.json", self.bucket).into());
            }
            From::KeysInUtf16 => {
                let lines: String = keys.iter().map(|key| format!("{key}\r\n")).collect();
                file("lists/all.txt", format!("\u{feff}{lines}").encode_utf16().flat_map(u16::to_le_bytes).collect());
                ask("manifest", format!("s3://{}/lists/all.txt", self.bucket).into());
            }
            From::Inventory | From::PackedInventory => {
                let parts: Vec<&[String]> = keys.chunks(keys.len().div_ceil(3)).collect();
                for (number, part) in parts.iter().enumerate() {
                    let lines: String = part.iter().map(line).collect();
                    let is_packed = matches!(self.from, From::PackedInventory);
                    let bytes = if is_packed { packed(lines.as_bytes()) } else { lines.into_bytes() };
                    file(&format!("lists/{number}.csv"), bytes);
                }
                let data = |number| json!({"key": format!("lists/{number}.csv"), "size": 1, "MD5checksum": "x"});
                let inventory = json!({
                    "sourceBucket": self.bucket, "destinationBucket": format!("arn:aws:s3:::{}", self.bucket),
                    "fileFormat": "CSV", "fileSchema": "Bucket, Key",
                    "files": (0..parts.len()).map(data).collect::<Vec<_>>(),
                });
                file("lists/manifest.json", inventory.to_string().into_bytes());
                ask("manifest", format!("s3://{}/lists/manifest.json", self.bucket).into());
            }
            From::AnotherRestore => {
                world.begin("other", json!({"bucket": self.bucket, "keys": once}));
                // S3 has delivered some of them by now.
                world.pass(6 * 3_600);
                ask("objects_of", json!({"restore": "other", "in": "restoring"}));
            }
        }
        request
    }

    /// What a plan comes to, and how many calls it took, each with time for so many pages.
    fn planned(&self, pages: impl Fn(usize) -> u8) -> (Value, usize) {
        let (world, request) = self.world();
        let (mut cursor, mut calls) = (String::new(), 0);
        let output = loop {
            let left = Cell::new(pages(calls));
            let is_time_left = || {
                left.set(left.get().saturating_sub(1));
                left.get() > 0
            };
            let output = world.plan_from(&cursor, "r", request.clone(), is_time_left);
            calls += 1;
            match output {
                Ok(output) if output.cursor.is_empty() => break Ok(output),
                Ok(output) => {
                    assert!(output.chunks.is_empty() && calls < 1_000, "{output:?}");
                    assert!(world.record("r").plan.is_none(), "a plan is there before all is looked at");
                    cursor = output.cursor;
                }
                Err(error) => break Err(error.to_string()),
            }
            world.pass(60);
        };
        let Ok(output) = output else { return (json!(output.unwrap_err()), calls) };
        let mut plan = serde_json::to_value(world.record("r").plan).unwrap();
        let has_moments = ["made_at", "written", "ready_between", "alternatives"];
        plan.as_object_mut().unwrap().retain(|name, _| !has_moments.contains(&name.as_str()));
        let objects: Vec<Value> = world
            .objects("r")
            .into_iter()
            .map(|row| {
                json!([row.object, row.place, row.kind, row.decision, row.current, row.size, row.state.as_str()])
            })
            .collect();
        (json!([plan, objects, output.chunks, output.counts, output.hash, output.cost, output.warnings]), calls)
    }
}

/// A file of gzip that packs nothing: stored blocks (RFC 1951, section 3.2.4) in one member (RFC 1952).
fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    for part in bytes.chunks(100) {
        let length = u16::try_from(part.len()).unwrap();
        file.push(0);
        file.extend(length.to_le_bytes());
        file.extend((!length).to_le_bytes());
        file.extend(part);
    }
    file.extend([1, 0, 0, 255, 255]);
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    file.extend((!crc).to_le_bytes());
    file.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
    file
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_in_several_calls_is_the_plan_of_one_call(case in case()) {
        let (at_once, calls) = case.planned(|_| u8::MAX);
        prop_assert_eq!(calls, 1);
        let (in_parts, _) = case.planned(|call| case.pages[call % case.pages.len()]);
        prop_assert_eq!(at_once, in_parts);
    }
}
