use super::*;
use crate::wildcard::covers;
use crate::{Behaviour, Distribution, Origin};

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The part of a request's URL that is in the cache key, as CloudFront's guide has it ("Understand the cache key", and
/// "Cache content based on query string parameters").
fn cached_under(query_strings: &QueryStrings, url: &str) -> String {
    let Some((path, query)) = url.split_once('?') else { return url.to_owned() };
    let name = |parameter: &str| parameter.split('=').next().unwrap_or_default().to_owned();
    let kept: Vec<&str> = match query_strings {
        QueryStrings::None => Vec::new(),
        QueryStrings::Whitelist(names) => query.split('&').filter(|one| names.contains(&name(one))).collect(),
        QueryStrings::AllExcept(names) => query.split('&').filter(|one| !names.contains(&name(one))).collect(),
        QueryStrings::All | QueryStrings::Unknown => query.split('&').collect(),
    };
    if kept.join("&").is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
}

/// Six policies, ten URLs: whatever a viewer asked for, its entry is cleared with the object's paths, and no entry of another
/// object is.
#[test]
fn every_variant_of_a_path_is_cleared_and_none_of_another_object() {
    let policies = [
        QueryStrings::None,
        QueryStrings::Whitelist(names(&["v"])),
        QueryStrings::Whitelist(names(&[])),
        QueryStrings::AllExcept(names(&["utm_source"])),
        QueryStrings::All,
        QueryStrings::Unknown,
    ];
    let urls = [
        ("/a.jpg", "a.jpg"),
        ("/a.jpg?v=2", "a.jpg"),
        ("/a.jpg?utm_source=mail", "a.jpg"),
        ("/a.jpg?v=2&utm_source=mail", "a.jpg"),
        ("/a.jpg?w", "a.jpg"),
        ("/a.jpg?", "a.jpg"),
        ("/a.jpg?v=/b.jpg", "a.jpg"),
        ("/a.jpg%3Fv=2", "a.jpg?v=2"),
        ("/a.jpg%3Fv=2?v=2", "a.jpg?v=2"),
        ("/a.jpg2?v=2", "a.jpg2"),
    ];
    for query_strings in policies {
        let behaviour =
            Behaviour { pattern: "*".to_owned(), target: "s3".to_owned(), query_strings, ..Behaviour::default() };
        let origin = Origin { id: "s3".to_owned(), domain: "archive.s3.amazonaws.com".to_owned(), path: String::new() };
        let query_strings = behaviour.query_strings.clone();
        let distribution =
            Distribution { origins: vec![origin], behaviours: vec![behaviour], ..Distribution::default() };
        for (url, key) in urls {
            let cached = cached_under(&query_strings, url);
            for other in ["a.jpg", "a.jpg?v=2", "a.jpg2"] {
                let paths = distribution.paths_of("archive", other).paths;
                let is_cleared = paths.iter().any(|path| covers(path, &cached));
                assert_eq!(is_cleared, other == key, "{other}, {query_strings:?}: {url} cached as {cached}");
            }
        }
    }
}

#[test]
fn a_path_has_variants_where_a_parameter_may_be_in_the_cache_key() {
    for (query_strings, variants) in [
        (QueryStrings::None, false),
        (QueryStrings::Whitelist(names(&[])), false),
        (QueryStrings::Whitelist(names(&["v"])), true),
        (QueryStrings::AllExcept(names(&["utm_source"])), true),
        (QueryStrings::All, true),
        (QueryStrings::Unknown, true),
    ] {
        assert_eq!(query_strings.make_variants(), variants, "{query_strings:?}");
    }
}
