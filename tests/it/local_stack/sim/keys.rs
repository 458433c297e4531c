//! Key to path, through everything that could encode once too often or once too little.

use crate::local_stack::stack::{Stack, sim};

/// The keys that other tools get wrong, and their paths. The second half of a pair is all that is ever invalidated.
pub(super) const KEYS: [(&str, &[&str]); 15] = [
    ("photos/2019/cat.jpg", &["photos/2019/cat.jpg"]),
    ("a b.jpg", &["a%20b.jpg", "a+b.jpg"]),
    ("a+b.jpg", &["a%2Bb.jpg"]),
    ("a%2Bb.jpg", &["a%252Bb.jpg"]),
    ("c d+e f.jpg", &["c%20d%2Be%20f.jpg", "c+d%2Be+f.jpg"]),
    ("c d%2Be.jpg", &["c%20d%252Be.jpg", "c+d%252Be.jpg"]),
    ("my dir/my file", &["my%20dir/my%20file", "my+dir/my+file"]),
    ("\u{fc}/\u{f1}and\u{fa}.jpg", &["%C3%BC/%C3%B1and%C3%BA.jpg"]),
    ("u\u{308}/n\u{303}andu\u{301}.jpg", &["u%CC%88/n%CC%83andu%CC%81.jpg"]),
    ("100%.txt", &["100%25.txt"]),
    ("q?x=1.html", &["q%3Fx=1.html"]),
    ("#tag.txt", &["%23tag.txt"]),
    ("it's (1).png", &["it's%20(1).png", "it's+(1).png"]),
    ("dir/index.html", &["dir", "dir/", "dir/index.html"]),
    ("ends-with-*", &["ends-with-%2A"]),
];

/// Archived keys that nobody asks for.
pub(super) const NEIGHBOURS: [&str; 8] = ["my", "a", "a ", "a+", "c ", "c d", "dir/stays", "it's"];

/// S3's limit for a key.
const LONGEST: usize = 1_024;

#[test]
fn every_key_is_invalidated_under_its_paths_once() {
    check(sim().bucket(), sim().entry("distribution_id"), "keys/", "/keys/", &[]);
}

#[test]
fn behind_an_origin_path_every_key_is_invalidated_without_it_and_with_any_query_string() {
    // Its cache policy has all parameters in the cache key but `utm_source`.
    let queries = ["?v=2", "?x=1.html", "?utm_source=mail&w=a%20b", "?a?b"];
    check(sim().entry("media_bucket"), sim().entry("media_distribution_id"), "public/", "/", &queries);
}

#[test]
fn a_key_that_functions_show_under_other_paths_is_shown_again_under_all_of_them() {
    let (stack, distribution) = (sim(), sim().entry("distribution_id"));
    stack.put("GLACIER", ["originals/a b.jpg", "originals/stays.jpg"]);
    let names = ["a%20b.jpg", "a+b.jpg"];
    let paths: Vec<String> = ["before", "behind", "originals"]
        .iter()
        .flat_map(|folder| names.map(|name| format!("/{folder}/{name}")))
        .collect();
    for path in &paths {
        assert_eq!(stack.view_at(distribution, path).status, 403, "{path} before");
    }
    let id = stack.restore(["originals/a b.jpg"]);
    stack.succeeds(&id);
    for path in &paths {
        let seen = stack.view_at(distribution, path);
        assert_eq!((seen.status, seen.text.as_str()), (200, "originals/a b.jpg"), "{path} after");
    }
    let invalidated = ["/before/", "/behind/", "/originals/"].map(|folder| stack.invalidated(distribution, folder));
    assert_eq!(sorted(invalidated.concat()), paths);
}

/// `queries` are query strings of which each is cached apart.
fn check(bucket: &str, distribution: &str, before_key: &str, before_path: &str, queries: &[&str]) {
    let stack = sim();
    let longest = "k".repeat(LONGEST - before_key.len());
    let mut keys: Vec<_> = KEYS.iter().map(|(key, _)| format!("{before_key}{key}")).collect();
    keys.push(format!("{before_key}{longest}"));
    // No invalidation path takes a `~`: the wildcard before it does, if nothing archived lies under it.
    keys.push(format!("{before_key}home/~user/x"));
    let mut paths: Vec<_> =
        KEYS.iter().flat_map(|(_, paths)| *paths).map(|path| format!("{before_path}{path}")).collect();
    paths.push(format!("{before_path}{longest}"));
    if !queries.is_empty() {
        paths.extend(paths.clone().iter().map(|path| format!("{path}?*")));
    }
    paths.push(format!("{before_path}home/*"));
    paths.sort();

    stack.put_into(bucket, "GLACIER", keys.iter().map(String::as_str));
    // Beside these no wildcard can stand for several of the paths.
    stack.put_into(bucket, "GLACIER", NEIGHBOURS.map(|key| format!("{before_key}{key}")).iter().map(String::as_str));
    // The spellings that browsers and SDKs send: a blank escaped or as a plus, all else as it is invalidated.
    let exact = || paths.iter().filter(|path| !path.ends_with('*') && !is_directory(path));
    let spelled = || {
        let queries = || [""].iter().chain(queries);
        exact().flat_map(move |path| queries().map(move |query| format!("{path}{query}")))
    };
    for path in spelled() {
        assert_eq!(stack.view_at(distribution, &path).status, 403, "{path} before");
    }
    let id = stack.restore_from(bucket, keys.iter().map(String::as_str));
    stack.succeeds(&id);
    // Where no neighbour of its folder begins like a path, one wildcard stands for the path and its variants.
    let both = |item: &String| {
        let path = item.strip_suffix('*').filter(|path| paths.iter().any(|exact| exact == path));
        path.map_or_else(|| vec![item.clone()], |path| vec![path.to_owned(), format!("{path}?*")])
    };
    let invalidated = stack.invalidated(distribution, before_path);
    // The tests of what is said of paths have a folder of their own.
    let ours = invalidated.iter().filter(|path| !path.starts_with("/paths/"));
    assert_eq!(sorted(ours.flat_map(both).collect()), paths);
    for path in spelled() {
        assert_eq!(stack.view_at(distribution, &path).status, 200, "{path} after");
    }
    assert_eq!(asked(stack, &id), sorted(keys), "the objects come back by their names");
}

/// Whether a path is that of the directory `dir`, which only a function shows.
fn is_directory(path: &str) -> bool {
    path.ends_with("/dir") || path.ends_with("/dir/")
}

fn asked(stack: &Stack, id: &str) -> Vec<String> {
    let objects = stack.objects(id);
    sorted(objects.iter().filter_map(|object| object["key"].as_str().map(str::to_owned)).collect())
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}
