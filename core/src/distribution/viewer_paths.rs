//! Why viewers get a key under a path: which behaviour answers, and what makes it a path of the key ([`ViewerPath`]); or why
//! a distribution does not show a key ([`NotShown`]).
//!
//! The paths are those that [`Distribution::paths_of`] computes. This file only says where they come from.

use std::collections::BTreeSet;

use super::{Distribution, Shown};
use crate::cache_key::with_any_query_string;
use crate::path_pattern::as_patterns_may_see;
use crate::{Origin, QueryStrings};

/// A path under which viewers get a key from a distribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewerPath<'a> {
    /// As a viewer asks for it: encoded, begins with `/`, without a query string.
    pub path: String,
    /// The pattern of the behaviour that answers.
    pub behaviour: &'a str,
    /// The domain of the origin, with its path.
    pub origin: String,
    /// What makes it a path of the key.
    pub reason: PathReason<'a>,
    /// The part of the query string that is in the cache key of the behaviour.
    pub query_strings: &'a QueryStrings,
    /// What an invalidation names for it.
    pub items: Vec<String>,
}

/// What makes a path one of a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathReason<'a> {
    /// It is the key, without the path of the origin.
    Key,
    /// The key is the default root object.
    DefaultRootObject,
    /// The key is the index of the directory (`DirectoryIndex`).
    DirectoryIndex(&'a str),
    /// A rule of `PathRules`: its template of keys, and that of paths.
    Rule {
        /// The template of keys.
        keys: &'a str,
        /// The template of paths, with a slash at its beginning.
        path: String,
    },
    /// It is what a function makes of a path of a rule, and viewers' answers are cached under it, too.
    Rewritten,
}

impl PathReason<'_> {
    /// The word in the API.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::DefaultRootObject => "default_root_object",
            Self::DirectoryIndex(_) => "directory_index",
            Self::Rule { .. } => "path_rule",
            Self::Rewritten => "rewritten",
        }
    }
}

/// Why a distribution shows a key under no path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotShown {
    /// None of its origins is the bucket: the domains of its origins.
    OtherOrigins(Vec<String>),
    /// The key does not begin as the paths of the origins that are the bucket say: the beginnings.
    OtherPrefix(Vec<String>),
    /// Viewers who ask for the path get the answer of another origin.
    OtherBehaviour {
        /// The path.
        path: String,
        /// The pattern of the behaviour that answers.
        behaviour: String,
        /// The id of its origin or origin group.
        target: String,
    },
    /// No behaviour answers the path.
    NoBehaviour {
        /// The path.
        path: String,
    },
}

impl NotShown {
    /// A text with the reason.
    pub fn says(&self, bucket: &str) -> String {
        match self {
            Self::OtherOrigins(domains) => {
                format!("none of its origins is the bucket {bucket}: it has {}", domains.join(", "))
            }
            Self::OtherPrefix(prefixes) => {
                format!("its origin path makes it show only keys that begin with {}", prefixes.join(" or "))
            }
            Self::OtherBehaviour { path, behaviour, target } => {
                format!("{path} is answered by the behaviour {behaviour}, which goes to {target}")
            }
            Self::NoBehaviour { path } => format!("no behaviour answers {path}"),
        }
    }
}

impl Distribution {
    /// The paths under which viewers get a key, each once for each behaviour that may answer it.
    pub fn viewer_paths<'a>(&'a self, bucket: &str, key: &'a str) -> Vec<ViewerPath<'a>> {
        let view = |shown: Shown<'a>| ViewerPath {
            path: format!("/{}", shown.encoded),
            behaviour: &shown.behaviour.pattern,
            origin: format!("{}{}", shown.origin.domain, shown.origin.path),
            reason: self.reason(&shown, key),
            query_strings: &shown.behaviour.query_strings,
            items: shown.items(),
        };
        let mut out: Vec<ViewerPath<'a>> = self.shown(bucket, key).into_iter().map(view).collect();
        out.sort_by(|one, other| (&one.reason, &one.path).cmp(&(&other.reason, &other.path)));
        // A path may be one for several reasons. The first says most.
        let mut seen = BTreeSet::new();
        out.retain(|one| seen.insert((one.path.clone(), one.behaviour)));
        out
    }

    fn reason<'a>(&'a self, shown: &Shown<'a>, key: &str) -> PathReason<'a> {
        let Shown { rest, path, behaviour, is_rewritten, .. } = shown;
        if *is_rewritten {
            // `/` may be rewritten as the default root object is.
            let asked = if path.is_empty() { self.default_root_object.as_str() } else { path };
            let rules = self.path_rules().filter(|rule| rule.is_of(&behaviour.pattern));
            let templates = rules.filter_map(|rule| rule.templates_of(key, asked)).next();
            return templates
                .map_or(PathReason::Rewritten, |(keys, path)| PathReason::Rule { keys, path: format!("/{path}") });
        }
        match path == rest {
            true => PathReason::Key,
            false if path.is_empty() && *rest == self.default_root_object => PathReason::DefaultRootObject,
            false => PathReason::DirectoryIndex(self.rules.directory_index()),
        }
    }

    /// Why this distribution shows a key under no path. For a key that it shows, the answer means nothing.
    pub fn why_not_shown(&self, bucket: &str, key: &str) -> NotShown {
        let domains = || self.origins.iter().map(|origin| format!("{}{}", origin.domain, origin.path)).collect();
        let of_bucket = || self.origins.iter().filter(|origin| origin.is_bucket(bucket));
        if of_bucket().next().is_none() {
            return NotShown::OtherOrigins(domains());
        }
        let Some((origin, rest)) =
            of_bucket().find_map(|origin| Some((origin, key.strip_prefix(origin.key_prefix().as_str())?)))
        else {
            return NotShown::OtherPrefix(of_bucket().map(Origin::key_prefix).collect());
        };
        let endpoint = origin.endpoint();
        let spelling = endpoint.spellings(rest).first();
        let encoded = spelling.map(|spelling| endpoint.encode(rest, *spelling)).unwrap_or_default();
        let path = format!("/{encoded}");
        let answers = as_patterns_may_see(&encoded).iter().find_map(|seen| self.behaviour(seen));
        match answers {
            None => NotShown::NoBehaviour { path },
            Some(behaviour) => NotShown::OtherBehaviour {
                path,
                behaviour: behaviour.pattern.clone(),
                target: behaviour.target.clone(),
            },
        }
    }
}

impl Shown<'_> {
    /// The encoded path up to its first `~`, which CloudFront accepts in no invalidation; `None` if it has none.
    pub(super) fn before_tilde(&self) -> Option<&str> {
        // Nothing else is encoded as `%7E`.
        self.encoded.split_once("%7E").map(|(before, _)| before)
    }

    /// What an invalidation names for this path: the path, and what clears it with any query string where these are cached
    /// apart; or, for a path with a `~`, the wildcard that ends before it.
    pub(super) fn items(&self) -> Vec<String> {
        if let Some(before) = self.before_tilde() {
            return vec![format!("/{before}*")];
        }
        let path = format!("/{}", self.encoded);
        let variants = self.behaviour.query_strings.make_variants().then(|| with_any_query_string(&path));
        [Some(path), variants].into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Behaviour, PathRules};

    fn distribution(rules: &str) -> Distribution {
        let origin = |id: &str, domain: &str, path: &str| Origin {
            id: id.to_owned(),
            domain: domain.to_owned(),
            path: path.to_owned(),
        };
        let behaviour = |pattern: &str, target: &str, query_strings: QueryStrings| Behaviour {
            pattern: pattern.to_owned(),
            target: target.to_owned(),
            query_strings,
            ..Behaviour::default()
        };
        Distribution {
            id: "E1".to_owned(),
            origins: vec![origin("s3", "archive.s3.amazonaws.com", "/public"), origin("api", "api.example.com", "")],
            behaviours: vec![
                behaviour("/api/*", "api", QueryStrings::All),
                behaviour("/img/*", "s3", QueryStrings::All),
                behaviour("*", "s3", QueryStrings::None),
            ],
            default_root_object: "home.html".to_owned(),
            rules: PathRules::new("index.html", rules).unwrap(),
            ..Distribution::default()
        }
    }

    const RULES: &str = r#"[{"keys": "public/images/{path...}", "paths": ["/img/{path...}"]}]"#;

    /// Paths with the words for what makes them paths of the key, the behaviours that answer, and what is invalidated.
    fn explained(rules: &str, key: &str) -> Vec<(String, &'static str, String, String)> {
        let distribution = distribution(rules);
        let paths = distribution
            .viewer_paths("archive", key)
            .into_iter()
            .map(|one| (one.path, one.reason.as_str(), one.behaviour.to_owned(), one.items.join(" ")));
        let paths: Vec<_> = paths.collect();
        // They are the paths that publishing invalidates, and no others.
        let items: BTreeSet<String> =
            paths.iter().flat_map(|(.., items)| items.split(' ').map(str::to_owned)).collect();
        assert_eq!(items, distribution.paths_of("archive", key).paths, "{key}");
        paths
    }

    fn path(path: &str, reason: &'static str, behaviour: &str, items: &str) -> (String, &'static str, String, String) {
        (path.to_owned(), reason, behaviour.to_owned(), items.to_owned())
    }

    #[test]
    fn each_path_says_what_makes_it_one_of_the_key() {
        assert_eq!(
            explained("", "public/a b"),
            [path("/a%20b", "key", "*", "/a%20b"), path("/a+b", "key", "*", "/a+b")]
        );
        assert_eq!(
            explained("", "public/home.html"),
            [path("/home.html", "key", "*", "/home.html"), path("/", "default_root_object", "*", "/")]
        );
        assert_eq!(
            explained("", "public/d/index.html"),
            [
                path("/d/index.html", "key", "*", "/d/index.html"),
                path("/d", "directory_index", "*", "/d"),
                path("/d/", "directory_index", "*", "/d/"),
            ]
        );
        assert_eq!(
            explained(RULES, "public/images/1"),
            [
                path("/images/1", "key", "*", "/images/1"),
                path("/img/1", "path_rule", "/img/*", "/img/1 /img/1?*"),
                path("/images/1", "rewritten", "/img/*", "/images/1 /images/1?*"),
            ]
        );
        assert_eq!(explained("", "public/u/~me"), [path("/u/%7Eme", "key", "*", "/u/*")]);
        let distribution = distribution(RULES);
        let rule = distribution.viewer_paths("archive", "public/images/1").remove(1);
        let templates = PathReason::Rule { keys: "public/images/{path...}", path: "/img/{path...}".to_owned() };
        assert_eq!((rule.reason, rule.origin.as_str()), (templates, "archive.s3.amazonaws.com/public"));
    }

    #[test]
    fn a_key_that_is_not_shown_says_why() {
        let says = |bucket: &str, key: &str| {
            assert_eq!(explained("", "elsewhere"), []);
            distribution("").why_not_shown(bucket, key).says(bucket)
        };
        for (bucket, key, words) in [
            (
                "other",
                "public/a",
                "none of its origins is the bucket other: it has archive.s3.amazonaws.com/public, api",
            ),
            ("archive", "private/a", "its origin path makes it show only keys that begin with public/"),
            ("archive", "public/api/a b", "/api/a%20b is answered by the behaviour /api/*, which goes to api"),
        ] {
            let says = says(bucket, key);
            assert!(says.starts_with(words), "{says}");
        }
        let mut nothing = distribution("");
        nothing.behaviours.truncate(1);
        assert_eq!(nothing.why_not_shown("archive", "public/a").says("archive"), "no behaviour answers /a");
    }
}
