//! Keys and distributions, against the edge.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use thaw_core::{Distribution, Origin};

use super::laws;

/// A key: of characters that mean something in a path, or of any.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "(p/|p%20/|/)?[ab.*~+?%#é /]{1,12}(index\\.html)?",
        4 => "(p/|/|a/)?((index|home)\\.html)?",
        2 => any::<String>(),
        1 => "é{500,520}",
    ]
    .prop_filter("S3 has no such key", |key| (1..=1_024).contains(&key.len()))
}

/// A key that a function may show under another path. Without a `*`: one at the end of a path is escaped in its invalidation,
/// and how a function passes that on is its business.
fn rewritten_key() -> impl Strategy<Value = String> {
    "(images/|img/|img/a/|site/|a b/|i m/|a)?[ab~+ %é/]{0,3}(\\.jpg|\\.html)?"
        .prop_filter("S3 has no such key", |key| !key.is_empty())
}

/// A distribution in the few words of [`laws::read_config`].
fn config() -> impl Strategy<Value = String> {
    let origin_path = select(&["", "", "/p", "/p%20", "/a", "//p"][..]);
    let pattern = prop_oneof!["/?[ab*?.]{1,4}", "/?p/\\*", "\\*\\.html", "index\\.html", "/"];
    let target = select(&["1", "2", "3", "4", "5", "6"][..]);
    let behaviour = (target.clone(), pattern).prop_map(|(target, pattern)| format!("{target}{pattern}"));
    let indexes = select(&["", "", "index.html"][..]);
    let roots = select(&["", "index.html", "home.html"][..]);
    (indexes, roots, origin_path.clone(), origin_path, target, vec(behaviour, 0..3)).prop_map(
        |(directory_index, root_object, one, two, target, behaviours)| {
            let words = [directory_index, root_object, one, two, target].map(str::to_owned);
            [&words[..], &behaviours].concat().join("\t")
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_paths_of_a_key_are_those_that_show_it(config in config(), key in key()) {
        prop_assert!(laws::is_config(&config), "{config:?}");
        laws::paths(laws::read_config(&config), &key);
    }

    #[test]
    fn rewritten_paths_keep_the_law(
        pattern in select(&["/img/*", "/*", "/images/*", "/a*", "/img/a?*"][..]),
        from in select(&["/img/*", "/*", "/img/*.jpg", "/a*", "/img/a/*", "/i m/*"][..]),
        to in select(&["/images/*", "/*", "/img/*.jpg", "/images/*.html", "/site/*", "/a b/*"][..]),
        is_before_the_cache in any::<bool>(),
        shows_other in any::<bool>(),
        key in rewritten_key(),
        neighbour in rewritten_key(),
    ) {
        let rewriting = laws::Rewriting { pattern, from, to, is_before_the_cache, shows_other };
        laws::rewritten(rewriting, &key, &neighbour);
    }

    #[test]
    fn an_origin_is_one_buckets(
        bucket in "[a-c]{3}(\\.s3|\\.s3-a|\\.s)?",
        other in "[a-c]{3}(\\.s3|\\.s3-a|\\.s)?",
        endpoint in select(&[
            ".s3.amazonaws.com", ".s3.eu-west-1.amazonaws.com", ".s3-eu-west-1.amazonaws.com",
            ".s3-website-us-east-1.amazonaws.com", ".s3-website.eu-central-1.amazonaws.com",
            ".s3.dualstack.us-east-1.amazonaws.com", ".s3.cn-north-1.amazonaws.com.cn",
        ][..]),
    ) {
        let origin = Origin { id: "s3".to_owned(), domain: format!("{bucket}{endpoint}"), path: String::new() };
        let distribution = Distribution { origins: vec![origin], ..Distribution::default() };
        laws::origins(&distribution, &bucket, true);
        laws::origins(&distribution, &other, other == bucket);
        laws::origins(&distribution, &bucket[..3], bucket.len() == 3);
    }
}

/// A behaviour shows what the same bucket has elsewhere, under a path that the wildcard for a `~` covers.
#[test]
fn two_origins_in_one_bucket_keep_the_law() {
    laws::paths(laws::read_config("\t\t/p\t\t1\t2/"), "p/~");
    laws::paths(laws::read_config("\t\t/a\t\t2\t3?"), "a/~");
}

/// So does another bucket, also as the second of a group.
#[test]
fn two_buckets_keep_the_law() {
    for target in ["5", "6"] {
        laws::paths(laws::read_config(&format!("\t\t\t/a\t1\t{target}*.html")), "p/~");
    }
}

/// An index of directories is not what `/` shows where the default root object is another.
#[test]
fn a_root_that_shows_another_index_keeps_the_law() {
    for key in ["index.html", "home.html"] {
        laws::paths(laws::read_config("index.html\thome.html\t\t\t1"), key);
    }
}
