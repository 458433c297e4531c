//! A wildcard of an invalidation that replaces the paths of several objects.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::fold::{common, may_end};
use crate::{Covered, Endpoint};

/// A wildcard that is invalidated instead of the exact paths with the same beginning.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Wildcard {
    /// The distribution's id.
    pub distribution: String,
    /// The path in the invalidation: the beginning of the paths, and `*`.
    pub path: String,
    /// The bucket whose objects are shown under the wildcard. No other origin shows anything there, except as in
    /// `covers`.
    pub bucket: String,
    /// The common beginning of the keys of these objects.
    pub prefix: String,
    /// The endpoint that decodes the paths.
    #[serde(default, skip_serializing_if = "Endpoint::is_rest")]
    pub endpoint: Endpoint,
    /// The objects that it covers, if it replaces a path with a `~`. Other origins may show objects under it too.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub covers: BTreeSet<Covered>,
}

impl Wildcard {
    /// Whether it covers this path of this distribution.
    pub fn covers(&self, distribution: &str, path: &str) -> bool {
        self.distribution == distribution && covers(&self.path, path)
    }

    /// Splits the wildcard into longer ones that together cover most of the same paths. `paths` are the covered paths,
    /// sorted. Paths with the same next character after the stem get one wildcard, as long as possible. A path that is
    /// alone with its next character stays an exact path.
    pub(crate) fn narrower(&self, paths: &[&str]) -> Vec<Self> {
        let stem = self.path.trim_end_matches('*').len();
        let mut found = Vec::new();
        let mut rest = paths;
        while let [first, others @ ..] = rest {
            if first.len() <= stem {
                rest = others;
                continue;
            }
            let next = (stem + 1..=first.len()).find(|end| may_end(first, *end)).unwrap_or(first.len());
            let has_same_next = |path: &&str| path.get(..next) == first.get(..next);
            let (group, others) = rest.split_at(rest.iter().take_while(|path| has_same_next(path)).count().max(1));
            rest = others;
            let last = group[group.len() - 1];
            let end = (stem + 1..=common(first, last)).rev().find(|end| may_end(first, *end));
            if let Some(end) = end.filter(|_| group.len() > 1) {
                let prefix = format!("{}{}", self.prefix, self.endpoint.decode(&first[stem..end]));
                found.push(Self { path: format!("{}*", &first[..end]), prefix, ..self.clone() });
            }
        }
        found
    }
}

/// Whether an item of an invalidation covers a path.
pub(crate) fn covers(item: &str, path: &str) -> bool {
    item.strip_suffix('*').map_or(item == path, |stem| path.starts_with(stem))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wildcard(path: &str, prefix: &str) -> Wildcard {
        Wildcard {
            distribution: "E1".to_owned(),
            path: path.to_owned(),
            bucket: "archive".to_owned(),
            prefix: prefix.to_owned(),
            endpoint: Endpoint::Rest,
            covers: BTreeSet::new(),
        }
    }

    #[test]
    fn a_wildcard_covers_paths_with_its_beginning_in_its_distribution() {
        let wildcard = wildcard("/a/*", "a/");
        assert!(wildcard.covers("E1", "/a/b") && wildcard.covers("E1", "/a/") && wildcard.covers("E1", "/a/~*"));
        assert!(!wildcard.covers("E2", "/a/b") && !wildcard.covers("E1", "/a"));
    }

    #[test]
    fn a_wildcard_is_split_at_the_next_character_after_its_stem() {
        let narrower = wildcard("/f*", "f").narrower(&["/f", "/fa1", "/fa2", "/fb1"]);
        assert_eq!(narrower, [wildcard("/fa*", "fa")]);
    }

    #[test]
    fn a_wildcard_is_split_where_its_paths_differ() {
        let paths = ["/p/a1x", "/p/a1y", "/p/a2", "/p/b", "/p/%C3%A4/1", "/p/%C3%A4/2", "/p/%C3%BC"];
        let mut sorted = paths;
        sorted.sort_unstable();
        let narrower = wildcard("/p/*", "public/p/").narrower(&sorted);
        assert_eq!(narrower, [wildcard("/p/%C3%A4/*", "public/p/ä/"), wildcard("/p/a*", "public/p/a")]);
        assert_eq!(
            wildcard("/p/a*", "public/p/a").narrower(&["/p/a1x", "/p/a1y", "/p/a2"]),
            [wildcard("/p/a1*", "public/p/a1")]
        );
        assert_eq!(wildcard("/x+*", "x ").narrower(&["/x+1+a", "/x+1+b"]), [wildcard("/x+1+*", "x 1 ")]);
        let website = |path: &str, prefix: &str| Wildcard { endpoint: Endpoint::Website, ..wildcard(path, prefix) };
        assert_eq!(website("/x+*", "x+").narrower(&["/x+1+a", "/x+1+b"]), [website("/x+1+*", "x+1+")]);
        let of_itself = wildcard("/p*", "p").narrower(&["/p", "/pa1", "/pa2"]);
        assert_eq!(of_itself, [wildcard("/pa*", "pa")]);
    }
}
