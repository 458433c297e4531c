//! What `POST /v1/paths` says, and what a restore that only publishes then does at the edge: over keys that other tools get
//! wrong, and six ways in which a distribution shows them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::keys::{KEYS, NEIGHBOURS};
use crate::local_stack::stack::{Stack, sim};

#[test]
fn what_is_said_of_a_plain_a_staging_and_a_query_string_distribution_is_what_is_invalidated() {
    let gallery = &sim().book()["gallery"];
    let text = |name: &str| gallery[name].as_str().expect("the simulator's stack has a gallery");
    let ids = ["distribution_id", "staging_distribution_id", "query_distribution_id"].map(text);
    let distributions = check(text("bucket"), "paths/", &[]);
    assert_eq!(distributions, ids.map(str::to_owned).into());
}

#[test]
fn what_is_said_behind_an_origin_path_is_what_is_invalidated() {
    let distributions = check(sim().entry("media_bucket"), "public/paths/", &[]);
    assert_eq!(distributions, [sim().entry("media_distribution_id").to_owned()].into());
}

#[test]
fn what_is_said_of_rewritten_paths_and_of_a_directory_index_is_what_is_invalidated() {
    let distributions = check(sim().bucket(), "paths/", &["originals/paths/a b.jpg", "originals/paths/dir/index.html"]);
    assert_eq!(distributions, [sim().entry("distribution_id").to_owned()].into());
}

#[test]
fn what_is_archived_is_refused_and_stays_in_the_cache() {
    let (stack, key) = (sim(), "paths-cold/cat.jpg");
    put(stack, stack.bucket(), key, "old");
    let view = || stack.view_at(stack.entry("distribution_id"), "/paths-cold/cat.jpg");
    assert_eq!(view().text, "old");
    let archived = json!({ "bucket": stack.bucket(), "key": key, "storage_class": "GLACIER" });
    stack.sim_call("POST", "objects", &archived);
    let said = &ask(stack, stack.bucket(), &[key.to_owned()])["objects"][0];
    assert_eq!((&said["state"], &said["invalidation"]["code"]), (&json!("archived"), &json!("NotReadable")));
    let id = publish(stack, stack.bucket(), &[key.to_owned()]);
    assert_eq!(stack.ended(&id)["status"], "FAILED");
    let restore = stack.look(&id);
    assert_eq!((&restore["status"], &restore["failures"][0]["code"]), (&json!("failed"), &json!("NotReadable")));
    assert_eq!(restore["failures"][0]["message"], said["invalidation"]["why_not"]);
    assert_eq!(view().text, "old", "an edge still has it");
    assert!(stack.restore_calls(key).is_empty());
}

/// Asks about the hostile keys and some more, puts new content over each, publishes them, and holds both against each other.
/// Answers the distributions that show them.
fn check(bucket: &str, before_key: &str, more: &[&str]) -> BTreeSet<String> {
    let stack = sim();
    let mut keys: Vec<String> = KEYS.iter().map(|(key, _)| format!("{before_key}{key}")).collect();
    keys.push(format!("{before_key}home/~user/x"));
    keys.extend(more.iter().map(|key| (*key).to_owned()));
    keys.iter().for_each(|key| put(stack, bucket, key, "old"));
    // Beside these no wildcard can stand for several of the paths.
    let beside = NEIGHBOURS.iter().map(|key| format!("{before_key}{key}"));
    let beside: Vec<String> = beside.chain(more.iter().map(|key| format!("{key}.stays"))).collect();
    stack.put_into(bucket, "GLACIER", beside.iter().map(String::as_str));

    let said = ask(stack, bucket, &keys);
    let objects = said["objects"].as_array().expect("the answer has objects");
    assert!(objects.iter().all(|object| object["invalidation"]["possible"] == true), "{said}");
    let shown: Vec<(&str, &str)> = objects.iter().flat_map(paths_of).collect();
    let old = shown.iter().filter(|(id, path)| stack.view_at(id, path).text == "old").copied();
    let old: Vec<(&str, &str)> = old.collect();
    assert!(old.len() >= keys.len(), "each is shown under a path: {old:?}");

    keys.iter().for_each(|key| put(stack, bucket, key, "new"));
    for (id, path) in &old {
        assert_eq!(stack.view_at(id, path).text, "old", "{path} of {id} is in the cache");
    }
    let id = publish(stack, bucket, &keys);
    stack.succeeds(&id);
    for (id, path) in &old {
        assert_eq!(stack.view_at(id, path).text, "new", "{path} of {id}");
    }
    assert!(keys.iter().all(|key| stack.restore_calls(key).is_empty()), "S3 is asked for nothing");

    let named = objects.iter().flat_map(|object| object["distributions"].as_array().into_iter().flatten());
    let mut distributions = BTreeSet::new();
    let mut all: Vec<(String, BTreeSet<String>)> = Vec::new();
    for distribution in named.filter(|one| one["invalidation_paths"] != json!([])) {
        let id = distribution["id"].as_str().expect("a distribution has an id").to_owned();
        let paths = distribution["invalidation_paths"].as_array().into_iter().flatten();
        let paths: BTreeSet<String> = paths.filter_map(|path| path.as_str().map(str::to_owned)).collect();
        distributions.insert(id.clone());
        match all.iter_mut().find(|(other, _)| *other == id) {
            Some((_, known)) => known.extend(paths),
            None => all.push((id, paths)),
        }
    }
    for (id, paths) in &all {
        // Where no neighbour begins like a path, one wildcard stands for the path and its variants.
        let both = |item: &String| {
            let path = item.strip_suffix('*').filter(|path| paths.contains(*path));
            path.map_or_else(|| vec![item.clone()], |path| vec![path.to_owned(), format!("{path}?*")])
        };
        // Other tests use other folders.
        let invalidated = stack.invalidated(id, "/").into_iter().filter(|path| path.contains("/paths/"));
        let invalidated: BTreeSet<String> = invalidated.flat_map(|item| both(&item)).collect();
        assert_eq!(invalidated, *paths, "{id}");
    }
    distributions
}

/// The distributions and paths under which viewers get an object.
fn paths_of(object: &Value) -> Vec<(&str, &str)> {
    let distributions = object["distributions"].as_array().into_iter().flatten();
    let paths = distributions.flat_map(|distribution| {
        let paths = distribution["paths"].as_array().into_iter().flatten();
        paths.filter_map(move |path| Some((distribution["id"].as_str()?, path["path"].as_str()?)))
    });
    paths.collect()
}

fn put(stack: &Stack, bucket: &str, key: &str, content: &str) {
    stack.aws("s3", "put_object", json!({ "Bucket": bucket, "Key": key, "Body": content }));
}

fn ask(stack: &Stack, bucket: &str, keys: &[String]) -> Value {
    stack.api("POST", "/v1/paths", &json!({ "bucket": bucket, "keys": keys })).json(200)
}

fn publish(stack: &Stack, bucket: &str, keys: &[String]) -> String {
    let request = json!({ "bucket": bucket, "keys": keys, "publish_only": true });
    let accepted = stack.api("POST", "/v1/restores", &request).json(202);
    accepted["id"].as_str().expect("a restore has an id").to_owned()
}
