//! Computes the paths under which a CloudFront distribution shows a key of a bucket, from the distribution's config.
//! Also finds the folders that a distribution shows as a whole, in which a wildcard covers objects of that bucket only, and why
//! each path is one ([`ViewerPath`]).

mod viewer_paths;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::origin::{Origin, bucket_of};
use crate::path::{Endpoint, Spelling, without_dot_segments};
use crate::path_pattern::{Under, as_patterns_may_see, matches, under};
use crate::path_rules::Rule;
use crate::{PathRules, QueryStrings};

/// The part of a distribution's config that determines paths and staleness.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Distribution {
    /// Its id, `E…`.
    pub id: String,
    /// The primary distribution, if it is a staging distribution with viewers. The rules of the primary are its own, too.
    pub primary: Option<String>,
    /// Its origins.
    pub origins: Vec<Origin>,
    /// Its origin groups (origins with a failover).
    pub groups: Vec<OriginGroup>,
    /// The cache behaviours in order of precedence, the default one (`*`) last.
    pub behaviours: Vec<Behaviour>,
    /// The object that `/` shows; empty if none is configured.
    pub default_root_object: String,
    /// How long errors are cached.
    pub errors: Vec<ErrorRule>,
    /// The viewer-request functions, by the pattern of their behaviour. They run before the cache lookup and may
    /// rewrite the path. CloudFront Functions may also select another origin.
    pub viewer_functions: BTreeMap<String, String>,
    /// The origin-request functions, by the pattern of their behaviour. They run after the cache lookup and may rewrite the
    /// path that the origin is asked for, or select another origin.
    pub origin_functions: BTreeMap<String, String>,
    /// What these functions do. Not from the config: the operator of thaw says it.
    pub rules: PathRules,
}

/// A function that may rewrite paths, and of which neither `DirectoryIndex` nor a rule of `PathRules` says what it does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Undeclared<'a> {
    /// The pattern of its behaviour.
    pub behaviour: &'a str,
    /// Its name.
    pub function: &'a str,
    /// When it runs.
    pub event: FunctionEvent,
}

/// When a function that may rewrite paths runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FunctionEvent {
    /// Before the cache lookup.
    ViewerRequest,
    /// Before the origin is asked.
    OriginRequest,
}

/// Two origins. CloudFront asks the second when the first answers with one of the codes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OriginGroup {
    /// The name by which behaviours refer to it.
    pub id: String,
    /// The first origin's id, then the second's.
    pub members: Vec<String>,
    /// The HTTP codes that make CloudFront ask the second.
    pub fails_over_on: Vec<u16>,
}

/// A cache behaviour: the paths that match its pattern go to its origin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Behaviour {
    /// `*` is any characters, `?` any one; matching is case-sensitive.
    pub pattern: String,
    /// An origin's or a group's id.
    pub target: String,
    /// Whether a function may change what is cached, and thaw does not know how: Lambda@Edge on origin-response, or a
    /// function that rewrites paths and is [`Undeclared`].
    pub has_origin_function: bool,
    /// The part of the query string that is in the cache key.
    pub query_strings: QueryStrings,
}

impl Behaviour {
    /// The pattern without a slash at its beginning, which means the same.
    pub(crate) fn relative_pattern(&self) -> &str {
        self.pattern.strip_prefix('/').unwrap_or(&self.pattern)
    }
}

/// The time for which CloudFront caches an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorRule {
    /// The HTTP code.
    pub code: u16,
    /// Seconds (`ErrorCachingMinTTL`).
    pub min_ttl: u64,
}

/// The paths under which a distribution shows a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paths {
    /// Encoded, each starting with `/`. Empty if the distribution does not serve the key.
    pub paths: BTreeSet<String>,
    /// The objects of S3 that the wildcards among the paths cover. None of them may be archived.
    pub covers: BTreeSet<Covered>,
    /// Paths that may also show other objects, with their buckets and keys: the paths of a directory, paths from which a
    /// client removes dot segments, and paths that a function rewrites. If such an object exists, it must not be archived.
    /// The bucket behind an access point is not known, and its domain stands here.
    pub shared: BTreeMap<String, BTreeSet<(String, String)>>,
    /// Those of the paths that a function rewrites, or makes of others.
    pub rewritten: BTreeSet<String>,
}

/// The objects of one S3 origin that a wildcard covers: all whose keys begin with the prefix.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Covered {
    /// The origin's domain. It begins with the bucket's name if that is known.
    pub domain: String,
    /// The beginning of the keys.
    pub prefix: String,
}

impl Covered {
    /// The bucket of the objects; `None` if the domain does not begin with its name.
    pub fn bucket(&self) -> Option<&str> {
        bucket_of(&self.domain)
    }
}

/// A folder of a bucket that a distribution shows as a whole: its paths show every object in it and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Folder {
    /// The encoded beginning of its paths: starts and ends with `/`.
    pub path: String,
    /// The beginning of its keys: empty, or ends with `/`.
    pub prefix: String,
    /// The endpoint that decodes the paths.
    pub endpoint: Endpoint,
    /// The spelling of the folder's own path; `None` if all spellings of it are the same.
    spelling: Option<Spelling>,
}

impl Folder {
    /// All paths of a key in the folder that begin with the folder's path. One path uses one spelling throughout.
    pub fn paths_of(&self, key: &str) -> Vec<String> {
        let rest = key.strip_prefix(self.prefix.as_str()).unwrap_or_default();
        let own = self.spelling.as_slice();
        let spellings = if own.is_empty() { self.endpoint.spellings(rest) } else { own };
        spellings.iter().map(|spelling| format!("{}{}", self.path, self.endpoint.encode(rest, *spelling))).collect()
    }

    /// The prefix of the keys that are shown under paths that begin with `stem`. `stem` itself begins with the folder's
    /// path.
    ///
    /// A wildcard with this stem covers exactly the objects whose keys begin with this prefix, however a viewer spells
    /// their paths.
    pub fn prefix_of(&self, stem: &str) -> String {
        format!("{}{}", self.prefix, self.endpoint.decode(stem.strip_prefix(self.path.as_str()).unwrap_or_default()))
    }
}

impl Distribution {
    /// The behaviours that may show objects of the bucket.
    pub fn behaviours_to(&self, bucket: &str) -> impl Iterator<Item = &Behaviour> {
        let origins: Vec<&Origin> = self.origins.iter().filter(|origin| origin.is_bucket(bucket)).collect();
        self.behaviours.iter().filter(move |behaviour| origins.iter().any(|origin| self.goes_to(behaviour, origin)))
    }

    /// Whether an origin of this distribution is the bucket.
    pub fn has_origin(&self, bucket: &str) -> bool {
        self.origins.iter().any(|origin| origin.is_bucket(bucket))
    }

    /// Whether the bucket may be an origin under another name: an origin is an access point, and no origin names the
    /// bucket.
    pub fn may_have_origin(&self, bucket: &str) -> bool {
        !self.has_origin(bucket) && self.origins.iter().any(Origin::is_access_point)
    }

    /// Whether the bucket may be an origin for some tenant of this multi-tenant distribution. Parameters of a tenant, written
    /// `{{name}}`, may stand in the domain and in the path of an origin (Developer Guide, "How parameters work with
    /// distribution tenants"). What they are, only the tenants say.
    pub fn tenants_may_have_origin(&self, bucket: &str) -> bool {
        self.origins.iter().any(|origin| origin.tenants_may_have_it_as(bucket))
    }

    /// The paths under which this distribution shows the key, in every spelling that shows it (see [`Endpoint`]).
    ///
    /// For each origin that is the bucket: strip that origin's path, and check that the first behaviour that matches
    /// goes to that origin. Then add the other paths of the same object: `/` for the default root object, and the
    /// directory with and without its slash if there is a directory index, and what the rules say of the key. Which
    /// behaviour serves a path is decided by the path of the viewer, before any function rewrites it. A path that is
    /// rewritten is cached under the path of the key, too (Developer Guide, "Changing the URI by using a Lambda function").
    ///
    /// Where query strings are in the cache key, each path comes with the wildcard that clears it with any query
    /// string.
    ///
    /// CloudFront accepts no `~` in an invalidation, raw or encoded. Its documented workaround is a wildcard that ends
    /// before the `~`. That wildcard covers everything that any origin shows under paths with the same beginning.
    pub fn paths_of(&self, bucket: &str, key: &str) -> Paths {
        let mut out = Paths::default();
        for shown in self.shown(bucket, key) {
            match shown.before_tilde() {
                None => {
                    let mut shared = self.namesakes(&shown);
                    shared.remove(&(bucket.to_owned(), key.to_owned()));
                    for path in shown.items() {
                        if !shared.is_empty() {
                            out.shared.entry(path.clone()).or_default().extend(shared.iter().cloned());
                        }
                        if shown.is_rewritten {
                            out.rewritten.insert(path.clone());
                        }
                        out.paths.insert(path);
                    }
                }
                Some(before) => {
                    out.paths.extend(shown.items());
                    out.covers.extend(self.covered_by(before));
                }
            }
        }
        out
    }

    /// The objects that a wildcard covers: all whose paths, as viewers ask or as a function rewrites them, begin with
    /// `encoded`.
    fn covered_by(&self, encoded: &str) -> BTreeSet<Covered> {
        let mut out = BTreeSet::new();
        for origin in self.origins.iter().filter(|origin| origin.is_any_bucket()) {
            let (domain, root) = (origin.virtual_hosted_domain(), origin.key_prefix());
            let beginning = origin.endpoint().decode(encoded);
            let mut cover = |prefix: String| out.insert(Covered { domain: domain.clone(), prefix });
            if as_patterns_may_see(encoded).iter().any(|path| self.may_show(origin, path)) {
                cover(format!("{root}{beginning}"));
            }
            for rule in self.path_rules().filter(|rule| self.may_be_shown_by(origin, rule)) {
                if rule.has_keys_under(&format!("{root}{beginning}")) {
                    cover(format!("{root}{beginning}"));
                }
                for prefix in rule.prefixes_under(&beginning) {
                    if prefix.starts_with(&root) {
                        cover(prefix);
                    } else if root.starts_with(&prefix) {
                        cover(root.clone());
                    }
                }
            }
        }
        out
    }

    /// The objects, as buckets and keys, that the same path may show or have shown. The object itself may be among them.
    fn namesakes(&self, shown: &Shown<'_>) -> BTreeSet<(String, String)> {
        let Shown { origin, rest, path, behaviour, .. } = shown;
        let root = origin.key_prefix();
        let mut out = BTreeSet::new();
        let mut add = |origin: &Origin, key: String| out.insert((origin.bucket_or_domain(), key));
        let is_own = path == rest;
        let directory_index = self.rules.directory_index();
        if !is_own && !path.is_empty() {
            add(origin, format!("{root}{path}"));
        }
        if !is_own && path.is_empty() && !self.default_root_object.is_empty() && *rest != self.default_root_object {
            // Whether a function that adds indexes or the default root object applies first is not documented.
            add(origin, format!("{root}{}", self.default_root_object));
        }
        if is_own && is_folder(rest) && !directory_index.is_empty() {
            add(origin, format!("{root}{rest}{directory_index}"));
        }
        if let Some(without) = without_dot_segments(path) {
            // Whether CloudFront removes dot segments from the path of an invalidation is not documented.
            add(origin, format!("{root}{without}"));
        }
        // `/` may be rewritten as the default root object is.
        let root_object = Some(self.default_root_object.clone()).filter(|name| path.is_empty() && !name.is_empty());
        let asked: Vec<String> =
            [Some(path.clone().into_owned()), without_dot_segments(path), root_object].into_iter().flatten().collect();
        for rule in self.path_rules() {
            let keys = asked.iter().filter(|_| rule.is_of(&behaviour.pattern)).flat_map(|path| rule.keys_at(path));
            for key in keys.filter(|key| key.starts_with(&root)) {
                add(origin, key);
            }
        }
        if is_own && self.path_rules().next().is_some() {
            // A function may make this path of one under which another origin shows an object. And if the object itself is
            // shown elsewhere only, another origin may show others under this path.
            for other in self.origins.iter().filter(|other| other.is_any_bucket() && other.id != origin.id) {
                let key = format!("{}{rest}", other.key_prefix());
                let is_served = shown.is_rewritten && self.serves(other, rest);
                if is_served {
                    let keys = self.path_rules().flat_map(|rule| asked.iter().flat_map(|path| rule.keys_at(path)));
                    keys.filter(|key| key.starts_with(&other.key_prefix())).for_each(|key| {
                        add(other, key);
                    });
                }
                if is_served || !self.rewritten(other, &key).is_empty() {
                    add(other, key);
                }
            }
        }
        out
    }

    /// The folders that contain a key, outer ones first, if this distribution shows them as a whole: every path that
    /// begins with the folder's path is the path of an object in it. A folder is left out where
    ///
    /// - a behaviour whose pattern may match in it goes to another origin,
    /// - a function may ask for another object, unless a rule says which; or a rule shows an object from elsewhere in it,
    /// - an origin group falls over to another bucket, whose objects under these paths are not known,
    /// - the path has a `~`, which CloudFront does not accept, or a dot segment, which clients do not send.
    ///
    /// A folder whose path has two spellings is returned twice. The other paths of an index or of the root object are
    /// beginnings of its own path, so they lie in the same folders.
    pub fn folders_of(&self, bucket: &str, key: &str) -> Vec<Folder> {
        let mut out = Vec::new();
        for origin in self.origins.iter().filter(|origin| origin.is_bucket(bucket)) {
            let (root, endpoint) = (origin.key_prefix(), origin.endpoint());
            let Some(rest) = key.strip_prefix(root.as_str()) else { continue };
            let ends = [0].into_iter().chain(rest.match_indices('/').map(|(slash, _)| slash + 1));
            let is_plain = |folder: &&str| !folder.contains('~') && without_dot_segments(folder).is_none();
            for folder in ends.map(|end| &rest[..end]).take_while(is_plain) {
                let spellings = endpoint.spellings(folder);
                for spelling in spellings {
                    let path = endpoint.encode(folder, *spelling);
                    let is_whole = || as_patterns_may_see(&path).iter().all(|path| self.is_all_from(origin, path));
                    if is_whole() && !self.shows_from_elsewhere(origin, folder) {
                        let spelling = Some(*spelling).filter(|_| spellings.len() > 1);
                        let (path, prefix) = (format!("/{path}"), format!("{root}{folder}"));
                        out.push(Folder { path, prefix, endpoint, spelling });
                    }
                }
            }
        }
        out
    }

    /// Whether all paths under `folder` (without its leading slash) come from this origin only.
    fn is_all_from(&self, origin: &Origin, folder: &str) -> bool {
        self.may_serve(folder).into_iter().all(|behaviour| self.is_only_from(origin, behaviour))
    }

    /// The behaviours that may serve paths with this beginning (without the leading slash). The last one serves all paths that
    /// the others leave.
    fn may_serve(&self, beginning: &str) -> Vec<&Behaviour> {
        let mut out = Vec::new();
        for behaviour in &self.behaviours {
            match under(behaviour.relative_pattern(), beginning) {
                Under::Nothing => {}
                Under::Something => out.push(behaviour),
                Under::Everything => {
                    out.push(behaviour);
                    break;
                }
            }
        }
        out
    }

    /// Whether a rule shows, under paths with this beginning (decoded, without the leading slash), an object whose key does
    /// not begin like its path behind this origin; also under the path that a function makes of a viewer's.
    fn shows_from_elsewhere(&self, origin: &Origin, folder: &str) -> bool {
        let buckets = || self.origins.iter().filter(|other| other.is_any_bucket() && other.id != origin.id);
        self.path_rules().any(|rule| {
            let is_made_of_a_path = |other: &Origin| {
                self.may_be_shown_by(other, rule) && rule.has_keys_under(&format!("{}{folder}", other.key_prefix()))
            };
            rule.shows_from_elsewhere(folder, &origin.key_prefix()) || buckets().any(is_made_of_a_path)
        })
    }

    /// The rules of `PathRules` that are about this distribution.
    fn path_rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.of(&self.id, self.primary.as_deref())
    }

    /// Whether a behaviour that a rule is about goes to the origin.
    fn may_be_shown_by(&self, origin: &Origin, rule: &Rule) -> bool {
        self.behaviours.iter().any(|behaviour| rule.is_of(&behaviour.pattern) && self.goes_to(behaviour, origin))
    }

    /// The functions that may rewrite paths, and of which the rules say nothing.
    pub fn undeclared<'a>(&'a self) -> Vec<Undeclared<'a>> {
        let of = |functions: &'a BTreeMap<String, String>, event: FunctionEvent| {
            functions.iter().map(move |(behaviour, function)| Undeclared { behaviour, function, event })
        };
        let all = of(&self.viewer_functions, FunctionEvent::ViewerRequest)
            .chain(of(&self.origin_functions, FunctionEvent::OriginRequest));
        all.filter(|one| !self.is_declared(one.behaviour, one.event)).collect()
    }

    /// Whether the rules say what a function of the behaviour with this pattern does. A directory index speaks of one function
    /// of each behaviour, and a rule of all of the behaviour that it names, or of those that may serve its paths.
    fn is_declared(&self, pattern: &str, event: FunctionEvent) -> bool {
        let may_add_index = match event {
            FunctionEvent::ViewerRequest => true,
            FunctionEvent::OriginRequest => !self.viewer_functions.contains_key(pattern),
        };
        let may_serve =
            |beginning: &String| self.may_serve(beginning).into_iter().any(|behaviour| behaviour.pattern == pattern);
        let speaks_of = |rule: &Rule| match rule.names_a_behaviour() {
            true => rule.is_of(pattern),
            false => rule.beginnings().any(|beginning| {
                let encoded = Endpoint::default().encode(&beginning, Spelling::Escaped);
                as_patterns_may_see(&encoded).iter().any(may_serve)
            }),
        };
        (may_add_index && !self.rules.directory_index().is_empty()) || self.path_rules().any(speaks_of)
    }

    /// Whether a path with this beginning (without the leading slash) may come from this origin.
    fn may_show(&self, origin: &Origin, beginning: &str) -> bool {
        self.may_serve(beginning).into_iter().any(|behaviour| self.goes_to(behaviour, origin))
    }

    /// Whether a behaviour shows objects of this origin only.
    fn is_only_from(&self, origin: &Origin, behaviour: &Behaviour) -> bool {
        let is_other_bucket = |id: &String| self.origins.iter().any(|one| one.id == *id && one.is_any_bucket());
        let is_origin = match self.group(behaviour) {
            None => behaviour.target == origin.id,
            Some(group) => match group.members.split_first() {
                Some((first, rest)) => *first == origin.id && !rest.iter().any(is_other_bucket),
                None => false,
            },
        };
        is_origin && !behaviour.has_origin_function
    }

    /// The behaviours that serve a key.
    pub(crate) fn behaviours_of<'a>(&'a self, bucket: &str, key: &'a str) -> Vec<&'a Behaviour> {
        self.shown(bucket, key).into_iter().map(|shown| shown.behaviour).collect()
    }

    fn shown<'a>(&'a self, bucket: &str, key: &'a str) -> Vec<Shown<'a>> {
        let mut out = Vec::new();
        for origin in self.origins.iter().filter(|origin| origin.is_bucket(bucket)) {
            let Some(rest) = key.strip_prefix(origin.key_prefix().as_str()) else { continue };
            out.extend(self.rewritten(origin, key));
            if rest.is_empty() && !self.default_root_object.is_empty() {
                // The key is the folder's own object, and `/` shows the default root object instead.
                continue;
            }
            let root = (!self.default_root_object.is_empty() && rest == self.default_root_object).then(String::new);
            let others = root.into_iter().chain(self.rules.directories_of(rest)).map(Cow::Owned);
            for path in [Cow::Borrowed(rest)].into_iter().chain(others) {
                for spelling in origin.endpoint().spellings(&path) {
                    let encoded = origin.endpoint().encode(&path, *spelling);
                    for seen in as_patterns_may_see(&encoded) {
                        // Whether patterns are compared with `/` or with the default root object is not documented. An
                        // extra path costs half a cent. A missing path stays stale.
                        let as_its_object = || self.serving(origin, rest).filter(|_| path.is_empty());
                        if let Some(behaviour) = self.serving(origin, &seen).or_else(as_its_object) {
                            let (path, encoded) = (path.clone(), encoded.clone());
                            out.push(Shown { origin, rest, path, encoded, behaviour, is_rewritten: false });
                        }
                    }
                }
            }
        }
        out
    }

    /// The paths under which the rules show a key of an origin, and its own path: a function that runs before the cache
    /// lookup makes it of them.
    fn rewritten<'a>(&'a self, origin: &'a Origin, key: &'a str) -> Vec<Shown<'a>> {
        let Some(rest) = key.strip_prefix(origin.key_prefix().as_str()) else { return Vec::new() };
        let endpoint = origin.endpoint();
        let mut out = Vec::new();
        for rule in self.path_rules() {
            let paths = rule.paths_of(key).into_iter();
            let with_root = paths.flat_map(|path| {
                // `/` may be rewritten as the default root object is.
                let is_root = !self.default_root_object.is_empty() && path == self.default_root_object;
                [Some(path), is_root.then(String::new)].into_iter().flatten()
            });
            for path in with_root.map(Cow::<str>::Owned) {
                for spelling in endpoint.spellings(&path) {
                    let encoded = endpoint.encode(&path, *spelling);
                    let seen = as_patterns_may_see(&encoded).into_iter();
                    let serving = seen.filter_map(|seen| self.serving(origin, &seen));
                    for behaviour in serving.filter(|behaviour| rule.is_of(&behaviour.pattern)) {
                        let shown = |path: Cow<'a, str>, encoded: String| Shown {
                            origin,
                            rest,
                            path,
                            encoded,
                            behaviour,
                            is_rewritten: true,
                        };
                        out.push(shown(path.clone(), encoded.clone()));
                        let own = endpoint.spellings(rest).iter().map(|spelling| endpoint.encode(rest, *spelling));
                        let own = own.chain(rule.mixed_spellings(key, &origin.key_prefix(), endpoint));
                        out.extend(own.map(|encoded| shown(Cow::Borrowed(rest), encoded)));
                    }
                }
            }
        }
        out
    }

    /// The behaviour that serves a path (without its leading slash).
    fn behaviour(&self, path: &str) -> Option<&Behaviour> {
        self.behaviours.iter().find(|behaviour| matches(behaviour.relative_pattern(), path))
    }

    /// The origin group that a behaviour goes to; `None` if it goes to a single origin.
    pub fn group(&self, behaviour: &Behaviour) -> Option<&OriginGroup> {
        self.groups.iter().find(|group| group.id == behaviour.target)
    }

    /// The behaviour that serves a path, if it goes to this origin.
    fn serving(&self, origin: &Origin, path: &str) -> Option<&Behaviour> {
        self.behaviour(path).filter(|behaviour| self.goes_to(behaviour, origin))
    }

    /// Whether a path (decoded, without its leading slash) is served from this origin.
    fn serves(&self, origin: &Origin, path: &str) -> bool {
        let spellings = origin.endpoint().spellings(path).iter();
        let encoded = spellings.map(|spelling| origin.endpoint().encode(path, *spelling));
        encoded.flat_map(|path| as_patterns_may_see(&path)).any(|seen| self.serving(origin, &seen).is_some())
    }

    fn goes_to(&self, behaviour: &Behaviour, origin: &Origin) -> bool {
        behaviour.target == origin.id || self.group(behaviour).is_some_and(|group| group.members.contains(&origin.id))
    }
}

/// A path under which a key is shown, decoded and without its leading slash.
struct Shown<'a> {
    /// The origin that it comes from.
    origin: &'a Origin,
    /// The key without the origin path.
    rest: &'a str,
    /// The path: the rest of the key, or another path of the same object.
    path: Cow<'a, str>,
    /// The encoded path, in one spelling.
    encoded: String,
    behaviour: &'a Behaviour,
    /// Whether a function rewrites it: it is a path of a rule, or what the function makes of one.
    is_rewritten: bool,
}

pub use viewer_paths::{NotShown, PathReason, ViewerPath};

/// Whether the path is that of a directory, which shows the directory's index if there is one.
fn is_folder(path: &str) -> bool {
    path.is_empty() || path.ends_with('/')
}

#[cfg(test)]
mod tests;
