//! Who may depend on what: the arrows between the crates.

use std::fs;
use std::path::PathBuf;

/// The dependencies that a crate's manifest names, without those of its tests.
fn dependencies(folder: &str) -> Vec<String> {
    let path = format!("{}/../{folder}/Cargo.toml", env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let (_, rest) = manifest.split_once("\n[dependencies]\n").unwrap_or_else(|| panic!("{path} has no dependencies"));
    let section = rest.split("\n[").next().unwrap_or_default();
    let names = section.lines().filter_map(|line| line.split(['.', '=', ' ']).next());
    names.filter(|name| !name.is_empty() && !name.starts_with('#')).map(str::to_owned).collect()
}

#[test]
fn only_one_crate_names_an_aws_sdk() {
    for folder in ["core", "lambdas/custom-resource", "lambdas/steps", "lambdas/bootstrap", "sim", "xtask"] {
        let sdks: Vec<_> = dependencies(folder).into_iter().filter(|name| name.starts_with("aws-")).collect();
        assert!(sdks.is_empty(), "{folder} names {sdks:?}");
    }
    assert!(dependencies("aws").contains(&"aws-sdk-s3".to_owned()), "or this test reads nothing");
}

#[test]
fn the_core_knows_nobody_and_the_steps_only_the_core_and_the_protocol_of_custom_resources() {
    let ours = |folder| dependencies(folder).into_iter().filter(|name| name.starts_with("thaw-")).collect::<Vec<_>>();
    assert!(ours("core").is_empty());
    // Others can take it as it is.
    assert!(ours("lambdas/custom-resource").is_empty());
    assert_eq!(ours("lambdas/steps"), ["thaw-core", "thaw-custom-resource"]);
    assert_eq!(ours("aws"), ["thaw-core", "thaw-custom-resource", "thaw-steps"]);
    assert_eq!(ours("cli"), ["thaw-core"]);
}

#[test]
fn neither_core_nor_steps_can_wait_or_touch_the_world() {
    for folder in ["core", "lambdas/custom-resource", "lambdas/steps"] {
        for world in ["tokio", "hyper", "lambda_runtime", "ureq"] {
            assert!(!dependencies(folder).contains(&world.to_owned()), "{folder} depends on {world}");
        }
    }
}

/// A row alone does not say that CloudFront is done: `ledger/rows.rs` asks its batch. Who reads rows past it shows, pays or
/// cancels what is published.
#[test]
fn rows_are_read_as_they_stand() {
    let raw =
        [".query::<Row>", ".query_eventually::<Row>", "ledger.get_many_eventually(", "get::<Row>", "get_many::<Row>"];
    // Who got a row first, how long its copy lives, since when it can be read, which rows wait for S3, and which restores have
    // one does not depend on its batch.
    let by_right = [("rows.rs", 7), ("batches.rs", 1), ("announce_expiries.rs", 1)];
    let mut found: Vec<(String, usize)> = Vec::new();
    let mut left = vec![PathBuf::from(format!("{}/../lambdas/steps/src", env!("CARGO_MANIFEST_DIR")))];
    while let Some(file) = left.pop() {
        if file.is_dir() {
            left.extend(fs::read_dir(file).unwrap().map(|inner| inner.unwrap().path()));
            continue;
        }
        if file.ends_with("tests.rs") || file.components().any(|part| part.as_os_str() == "testing") {
            continue;
        }
        let source = fs::read_to_string(&file).unwrap();
        let deployed = source.split("#[cfg(test)]\nmod ").next().unwrap().split("#[cfg(test)]\npub(crate) mod ").next();
        let reads = raw.map(|raw| deployed.unwrap().matches(raw).count()).iter().sum();
        if reads > 0 {
            found.push((file.file_name().unwrap().to_str().unwrap().to_owned(), reads));
        }
    }
    found.sort();
    let mut by_right = by_right.map(|(file, reads)| (file.to_owned(), reads));
    by_right.sort();
    assert_eq!(found, by_right);
}
