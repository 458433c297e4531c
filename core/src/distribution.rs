//! Computes the paths under which a CloudFront distribution shows a key of a bucket, from the distribution's config.
//! Also finds the folders that a distribution shows as a whole, in which a wildcard covers objects of that bucket only.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use crate::cache_key::with_any_query_string;
use crate::path::{Endpoint, Spelling, without_dot_segments};
use crate::path_rules::Rule;
use crate::{PathRules, QueryStrings};

/// The part of a distribution's config that determines paths and staleness.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Distribution {
    /// Its id, `E…`.
    pub id: String,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FunctionEvent {
    /// Before the cache lookup.
    ViewerRequest,
    /// Before the origin is asked.
    OriginRequest,
}

/// An origin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The name by which behaviours refer to it.
    pub id: String,
    /// Its domain; for S3 usually `<bucket>.s3.<region>.amazonaws.com`.
    pub domain: String,
    /// The origin path, which CloudFront prepends to every path: empty, or `/…` without a slash at the end.
    pub path: String,
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
    pub(crate) fn tenants_may_have_origin(&self, bucket: &str) -> bool {
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
            // Nothing else is encoded as `%7E`.
            match shown.encoded.split_once("%7E") {
                None => {
                    let path = format!("/{}", shown.encoded);
                    let mut shared = self.namesakes(&shown);
                    shared.remove(&(bucket.to_owned(), key.to_owned()));
                    let variants = shown.behaviour.query_strings.make_variants().then(|| with_any_query_string(&path));
                    for path in [Some(path), variants].into_iter().flatten() {
                        if !shared.is_empty() {
                            out.shared.entry(path.clone()).or_default().extend(shared.iter().cloned());
                        }
                        out.paths.insert(path);
                    }
                }
                Some((before, _)) => {
                    out.paths.insert(format!("/{before}*"));
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
        } else if !is_own && !self.default_root_object.is_empty() && *rest != self.default_root_object {
            // Whether a function that adds indexes or the default root object applies first is not documented.
            add(origin, format!("{root}{}", self.default_root_object));
        } else if is_own && is_folder(rest) && !directory_index.is_empty() {
            add(origin, format!("{root}{rest}{directory_index}"));
        } else if let Some(without) = without_dot_segments(path) {
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
        for behaviour in &self.behaviours {
            match under(behaviour.pattern.strip_prefix('/').unwrap_or(&behaviour.pattern), folder) {
                Under::Nothing => {}
                Under::Something if self.is_only_from(origin, behaviour) => {}
                Under::Something => return false,
                Under::Everything => return self.is_only_from(origin, behaviour),
            }
        }
        false
    }

    /// Whether a rule shows, under paths with this beginning (decoded, without the leading slash), an object whose key does
    /// not begin like its path behind this origin; also where it only passes by, as what a function makes of a path.
    fn shows_from_elsewhere(&self, origin: &Origin, folder: &str) -> bool {
        let buckets = || self.origins.iter().filter(|other| other.is_any_bucket() && other.id != origin.id);
        self.path_rules().any(|rule| {
            let passes_by = |other: &Origin| {
                self.may_be_shown_by(other, rule) && rule.has_keys_under(&format!("{}{folder}", other.key_prefix()))
            };
            rule.shows_from_elsewhere(folder, &origin.key_prefix()) || buckets().any(passes_by)
        })
    }

    /// The rules of `PathRules` that are about this distribution.
    fn path_rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.of(&self.id)
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
        all.filter(|one| !self.is_declared(one.behaviour)).collect()
    }

    /// Whether the rules say what the functions of the behaviour with this pattern do. A directory index speaks of all
    /// behaviours, and a rule of the one that it names, or of those that may serve its paths.
    fn is_declared(&self, pattern: &str) -> bool {
        let may_serve = |beginning: &str| {
            for behaviour in &self.behaviours {
                match under(behaviour.pattern.strip_prefix('/').unwrap_or(&behaviour.pattern), beginning) {
                    Under::Nothing => {}
                    Under::Something if behaviour.pattern == pattern => return true,
                    Under::Something => {}
                    Under::Everything => return behaviour.pattern == pattern,
                }
            }
            false
        };
        let speaks_of = |rule: &Rule| match rule.names_a_behaviour() {
            true => rule.is_of(pattern),
            false => rule.beginnings().any(|beginning| {
                let encoded = Endpoint::default().encode(&beginning, Spelling::Escaped);
                as_patterns_may_see(&encoded).iter().any(|beginning| may_serve(beginning))
            }),
        };
        !self.rules.directory_index().is_empty() || self.path_rules().any(speaks_of)
    }

    /// Whether a path with this beginning (without the leading slash) may come from this origin.
    fn may_show(&self, origin: &Origin, beginning: &str) -> bool {
        for behaviour in &self.behaviours {
            match under(behaviour.pattern.strip_prefix('/').unwrap_or(&behaviour.pattern), beginning) {
                Under::Nothing => {}
                Under::Something if !self.goes_to(behaviour, origin) => {}
                Under::Something => return true,
                Under::Everything => return self.goes_to(behaviour, origin),
            }
        }
        false
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
        self.behaviours
            .iter()
            .find(|behaviour| matches(behaviour.pattern.strip_prefix('/').unwrap_or(&behaviour.pattern), path))
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

impl Origin {
    /// Whether this origin is the bucket: its REST or website endpoint, by any domain that S3 has for it.
    fn is_bucket(&self, bucket: &str) -> bool {
        bucket_of(&self.virtual_hosted_domain()) == Some(bucket)
    }

    /// Whether this origin is any bucket, also one whose name only S3 knows, such as the bucket behind an access point.
    pub(crate) fn is_any_bucket(&self) -> bool {
        let is_s3 = self.domain.contains(".s3") || is_path_style(&self.domain);
        is_s3 && self.domain.contains("amazonaws.com")
    }

    /// Whether this origin is a bucket whose name is not in the domain: an access point, its alias, or a Multi-Region
    /// Access Point (S3 User Guide, "Access point aliases", "Multi-Region Access Points").
    fn is_access_point(&self) -> bool {
        self.is_any_bucket()
            && [".s3-accesspoint", "-s3alias.", ".accesspoint.s3-global."].iter().any(|part| self.domain.contains(part))
    }

    /// The bucket's name, or the domain if that does not begin with it.
    fn bucket_or_domain(&self) -> String {
        let domain = self.virtual_hosted_domain();
        bucket_of(&domain).map(str::to_owned).unwrap_or(domain)
    }

    /// Whether this origin is the bucket for some values of its parameters. Without parameters it is not.
    fn tenants_may_have_it_as(&self, bucket: &str) -> bool {
        let Some((before, _)) = self.domain.split_once("{{") else {
            return self.path.contains("{{") && self.is_bucket(bucket);
        };
        let after = self.domain.rsplit_once("}}").map_or("", |(_, after)| after);
        let begins = |domain: &str| domain.starts_with(before) || before.starts_with(domain);
        let is_named = begins(&format!("{bucket}.s3")) || before.starts_with("s3");
        is_named && (after.is_empty() || after.ends_with("amazonaws.com"))
    }

    /// The kind of S3 endpoint that this origin is.
    fn endpoint(&self) -> Endpoint {
        Endpoint::of_domain(&self.domain)
    }

    /// The domain with the bucket's name at its beginning. A path-style origin has the name in its origin path, from
    /// which it is moved here.
    fn virtual_hosted_domain(&self) -> String {
        match self.path_style() {
            Some((bucket, _)) if !bucket.is_empty() => format!("{bucket}.{}", self.domain),
            Some(_) | None => self.domain.clone(),
        }
    }

    /// The prefix that keys have and paths do not: the decoded origin path. CloudFront puts the origin path into the
    /// URL of its request, and S3 decodes the URL.
    fn key_prefix(&self) -> String {
        let path = match self.path_style() {
            Some((_, rest)) => rest,
            None => self.path.strip_prefix('/').unwrap_or(&self.path),
        };
        let path = self.endpoint().decode(path);
        if path.is_empty() { String::new() } else { format!("{path}/") }
    }

    /// The bucket's name and the rest of the origin path after the slash; `None` if the origin is not path-style.
    fn path_style(&self) -> Option<(&str, &str)> {
        let path = is_path_style(&self.domain).then(|| self.path.strip_prefix('/').unwrap_or(&self.path))?;
        Some(path.split_once('/').unwrap_or((path, "")))
    }
}

/// Whether this S3 domain serves all buckets, with the bucket's name in the path: `s3.eu-west-1.amazonaws.com`.
fn is_path_style(domain: &str) -> bool {
    (domain.starts_with("s3.") || domain.starts_with("s3-")) && bucket_of(domain).is_none()
}

/// The forms of a path, or of the beginning of a path, that CloudFront may compare with patterns. `path` is encoded and
/// has no leading slash. Whether CloudFront compares before or after decoding is not documented, so both are returned.
/// Dot segments are removed first (Developer Guide, "Path pattern").
fn as_patterns_may_see(path: &str) -> Vec<String> {
    let decoded = percent_decode_str(path).decode_utf8_lossy().into_owned();
    let mut seen = vec![path.to_owned()];
    seen.extend(Some(decoded).filter(|decoded| decoded != path));
    let without: Vec<String> = seen.iter().filter_map(|path| without_dot_segments(path)).collect();
    seen.extend(without);
    seen
}

/// The bucket whose REST or website endpoint this domain is. A bucket's name may contain `.s3`, so the last `.s3`
/// counts.
fn bucket_of(domain: &str) -> Option<&str> {
    let (bucket, rest) = domain.rsplit_once(".s3")?;
    (rest.starts_with(['.', '-']) && rest.contains("amazonaws.com")).then_some(bucket)
}

/// Whether the path is that of a directory, which shows the directory's index if there is one.
fn is_folder(path: &str) -> bool {
    path.is_empty() || path.ends_with('/')
}

/// Whether a CloudFront path pattern matches a path. It backtracks to the last `*` only, so that no pattern takes
/// exponential time.
fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path) = (pattern.as_bytes(), path.as_bytes());
    let (mut p, mut s) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while s < path.len() {
        if p < pattern.len() && pattern[p] == b'*' {
            p += 1;
            star = Some((p, s));
        } else if p < pattern.len() && (pattern[p] == b'?' || pattern[p] == path[s]) {
            p += 1;
            s += 1;
        } else if let Some((after, matched)) = &mut star {
            *matched += 1;
            (p, s) = (*after, *matched);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// How many of the paths under a prefix a pattern matches.
enum Under {
    Nothing,
    Something,
    Everything,
}

/// How many of the paths that begin with `prefix` a pattern matches. `Everything` is returned only if the rest of the
/// pattern is `*`: a pattern that matches everything in another way counts as `Something`.
fn under(pattern: &str, prefix: &str) -> Under {
    let pattern = pattern.as_bytes();
    // The positions in the pattern that the bytes read so far can reach. From each of them some path matches the rest.
    let mut places = vec![false; pattern.len() + 1];
    places[0] = true;
    let skip_stars = |places: &mut Vec<bool>| {
        for place in 0..pattern.len() {
            places[place + 1] |= places[place] && pattern[place] == b'*';
        }
    };
    skip_stars(&mut places);
    for byte in prefix.bytes() {
        let mut next = vec![false; pattern.len() + 1];
        for place in (0..pattern.len()).filter(|place| places[*place]) {
            match pattern[place] {
                b'*' => next[place] = true,
                b'?' => next[place + 1] = true,
                literal => next[place + 1] |= literal == byte,
            }
        }
        skip_stars(&mut next);
        places = next;
    }
    let is_all = |place: usize| place < pattern.len() && pattern[place..].iter().all(|byte| *byte == b'*');
    let reached: Vec<usize> = (0..=pattern.len()).filter(|place| places[*place]).collect();
    if reached.is_empty() {
        Under::Nothing
    } else if reached.into_iter().any(is_all) {
        Under::Everything
    } else {
        Under::Something
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(id: &str, domain: &str, path: &str) -> Origin {
        Origin { id: id.to_owned(), domain: domain.to_owned(), path: path.to_owned() }
    }

    fn behaviour(pattern: &str, target: &str) -> Behaviour {
        Behaviour { pattern: pattern.to_owned(), target: target.to_owned(), ..Behaviour::default() }
    }

    fn plain(origin_path: &str) -> Distribution {
        Distribution {
            origins: vec![origin("s3", "archive.s3.eu-west-1.amazonaws.com", origin_path)],
            behaviours: vec![behaviour("*", "s3")],
            ..Distribution::default()
        }
    }

    /// The objects of `archive` whose keys begin with `prefix`.
    fn covered(prefix: &str) -> BTreeSet<Covered> {
        [Covered { domain: "archive.s3.eu-west-1.amazonaws.com".to_owned(), prefix: prefix.to_owned() }].into()
    }

    fn with_index(distribution: &Distribution, index: &str) -> Distribution {
        Distribution { rules: PathRules::of_index(index), ..distribution.clone() }
    }

    /// The one object of each shared path, all of `archive`.
    fn keys_of(shared: BTreeMap<String, BTreeSet<(String, String)>>) -> BTreeMap<String, String> {
        let key = |objects: BTreeSet<(String, String)>| {
            let [(bucket, key)] = &objects.into_iter().collect::<Vec<_>>()[..] else { panic!("not one object") };
            assert_eq!(bucket, "archive");
            key.clone()
        };
        shared.into_iter().map(|(path, objects)| (path, key(objects))).collect()
    }

    #[track_caller]
    fn check(distribution: &Distribution, key: &str, index: &str, paths: &[&str]) {
        let found: Vec<_> = with_index(distribution, index).paths_of("archive", key).paths.into_iter().collect();
        assert_eq!(found, paths);
    }

    #[test]
    fn a_key_is_its_path() {
        check(&plain(""), "2019/ab.jpg", "", &["/2019/ab.jpg"]);
        check(&plain(""), "2019/a+b.jpg", "", &["/2019/a%2Bb.jpg"]);
    }

    #[test]
    fn a_blank_has_two_spellings_and_a_path_has_one() {
        check(&plain(""), "a b/c d+.jpg", "", &["/a%20b/c%20d%2B.jpg", "/a+b/c+d%2B.jpg"]);
        check(&plain("/p%20"), "p /cat.jpg", "", &["/cat.jpg"]);
        check(
            &plain(""),
            "a b/index.html",
            "index.html",
            &["/a%20b", "/a%20b/", "/a%20b/index.html", "/a+b", "/a+b/", "/a+b/index.html"],
        );
        check(&plain(""), "a b/~c d", "", &["/a%20b/*", "/a+b/*"]);
        check(&plain(""), "a/~c d", "", &["/a/*"]);
    }

    #[test]
    fn at_a_website_endpoint_a_plus_has_two_spellings() {
        let mut website = plain("");
        website.origins[0].domain = "archive.s3-website-eu-west-1.amazonaws.com".to_owned();
        check(&website, "a+b c.jpg", "", &["/a%2Bb%20c.jpg", "/a+b%20c.jpg"]);
        let covers = website.paths_of("archive", "a+b/~c").covers;
        assert!(covers.iter().all(|covered| covered.prefix == "a+b/"), "{covers:?}");
        // Both origins are the same bucket, but they decode the `+` of a path differently.
        website.origins.push(plain("").origins[0].clone());
        website.origins[1].id = "rest".to_owned();
        website.behaviours.insert(0, behaviour("*.jpg", "rest"));
        let covers = website.paths_of("archive", "a+b/~c").covers;
        let prefixes: BTreeSet<&str> = covers.iter().map(|covered| covered.prefix.as_str()).collect();
        assert_eq!(prefixes, ["a b/", "a+b/"].into());
    }

    #[test]
    fn a_pattern_is_compared_with_each_spelling() {
        let to_api = |pattern: &str| {
            let mut distribution = plain("");
            distribution.origins.push(origin("api", "api.example.com", ""));
            distribution.behaviours = vec![behaviour(pattern, "s3"), behaviour("*", "api")];
            distribution.paths_of("archive", "a b/é").paths.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(to_api("a b/*"), ["/a%20b/%C3%A9"]);
        assert_eq!(to_api("a%20b/*"), ["/a%20b/%C3%A9"]);
        assert_eq!(to_api("a+b/*"), ["/a+b/%C3%A9"]);
        assert_eq!(to_api("*/é"), ["/a%20b/%C3%A9", "/a+b/%C3%A9"]);
    }

    #[test]
    fn a_path_with_dot_segments_is_kept_and_names_what_a_client_would_ask_for() {
        let paths = plain("/pub").paths_of("archive", "pub/a/../b");
        assert_eq!(paths.paths, ["/a/../b".to_owned()].into());
        assert_eq!(keys_of(paths.shared), [("/a/../b".to_owned(), "pub/b".to_owned())].into());
        assert_eq!(folders(&plain(""), "a/../b/c"), [of("/", ""), of("/a/", "a/")]);
        // The behaviour is found by the path without dot segments.
        let mut distribution = plain("");
        distribution.behaviours = vec![behaviour("b", "s3"), behaviour("*", "api")];
        check(&distribution, "a/../b", "", &["/a/../b"]);
    }

    #[test]
    fn a_bucket_may_be_named_in_the_path_of_its_origin() {
        for domain in ["s3.amazonaws.com", "s3.eu-west-1.amazonaws.com", "s3-eu-west-1.amazonaws.com"] {
            let mut distribution = plain("/archive/public");
            distribution.origins[0].domain = domain.to_owned();
            check(&distribution, "public/cat.jpg", "", &["/cat.jpg"]);
            check(&distribution, "archive/public/cat.jpg", "", &[]);
            assert!(!distribution.origins[0].is_bucket("archive2") && !distribution.origins[0].is_access_point());
        }
        let access_point = |domain: &str| origin("s3", domain, "").is_access_point();
        assert!(access_point("films-123456789012.s3-accesspoint.eu-west-1.amazonaws.com"));
        assert!(access_point("films-abc-s3alias.s3.eu-west-1.amazonaws.com"));
        assert!(access_point("mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com"));
        assert!(!access_point("archive.s3.eu-west-1.amazonaws.com"));
        let mut distribution = plain("");
        assert!(!distribution.may_have_origin("archive") && !distribution.may_have_origin("other"));
        distribution.origins.push(origin("alias", "films-abc-s3alias.s3.eu-west-1.amazonaws.com", ""));
        assert!(!distribution.may_have_origin("archive") && distribution.may_have_origin("other"));
    }

    #[test]
    fn the_origin_path_is_stripped_and_other_keys_are_not_served() {
        check(&plain("/public"), "public/cat.jpg", "", &["/cat.jpg"]);
        check(&plain("/public"), "private/cat.jpg", "", &[]);
        check(&plain("/public"), "publicity.jpg", "", &[]);
    }

    #[test]
    fn the_default_root_object_is_also_the_root() {
        let distribution = Distribution { default_root_object: "index.html".to_owned(), ..plain("") };
        check(&distribution, "index.html", "", &["/", "/index.html"]);
        check(&distribution, "dir/index.html", "", &["/dir/index.html"]);
    }

    #[test]
    fn a_directory_index_is_also_its_directory_with_and_without_slash() {
        check(&plain(""), "dir/index.html", "index.html", &["/dir", "/dir/", "/dir/index.html"]);
        check(&plain(""), "index.html", "index.html", &["/", "/index.html"]);
        check(&plain(""), "dir/my-index.html", "index.html", &["/dir/my-index.html"]);
        check(&plain(""), "/index.html", "index.html", &["//", "//index.html"]);
    }

    /// A distribution that shows `archive` by default, and `other` behind some patterns.
    fn ruled(rules: &str, more: &[(&str, &str)]) -> Distribution {
        let mut distribution = Distribution { id: "E1".to_owned(), ..plain("") };
        distribution.origins.push(origin("other", "other.s3.eu-west-1.amazonaws.com", ""));
        distribution.origins.push(origin("api", "api.example.com", ""));
        let more = more.iter().map(|(pattern, target)| behaviour(pattern, target));
        distribution.behaviours.splice(0..0, more);
        distribution.rules = PathRules::new("", rules).unwrap();
        distribution
    }

    const IMAGES: &str = r#"[{"keys": "images/{path...}", "paths": ["/img/{path...}", "/i/{path...}"]}]"#;

    #[track_caller]
    fn check_ruled(distribution: &Distribution, key: &str, paths: &[&str]) {
        let found: Vec<_> = distribution.paths_of("archive", key).paths.into_iter().collect();
        assert_eq!(found, paths);
    }

    #[test]
    fn a_rule_adds_paths_in_every_spelling_where_their_behaviours_show_the_bucket() {
        let all = ["/i/a%20b+", "/i/a+b+", "/images/a%20b+", "/images/a+b+", "/img/a%20b+", "/img/a+b+"];
        let all = all.map(|path| path.replace("b+", "b%2B"));
        check_ruled(&ruled(IMAGES, &[]), "images/a b+", &all.each_ref().map(String::as_str));
        check_ruled(&ruled(IMAGES, &[]), "image/a", &["/image/a"]);
        // The viewer's path decides, and not what the function makes of it.
        check_ruled(&ruled(IMAGES, &[("/img/*", "api")]), "images/a", &["/i/a", "/images/a"]);
        check_ruled(&ruled(IMAGES, &[("/images/*", "api")]), "images/a", &["/i/a", "/images/a", "/img/a"]);
        check_ruled(&ruled(IMAGES, &[("/i*", "api")]), "images/a", &[]);
        let in_another = IMAGES.replace("{\"keys", "{\"distribution\": \"E2\", \"keys");
        check_ruled(&ruled(&in_another, &[]), "images/a", &["/images/a"]);
        for (named, paths) in [("/img/*", &["/images/a", "/img/a"][..]), ("*", &["/i/a", "/images/a"])] {
            let rules = IMAGES.replace("{\"keys", &format!("{{\"behaviour\": \"{named}\", \"keys"));
            check_ruled(&ruled(&rules, &[("img/*", "s3")]), "images/a", paths);
        }
        // The keys of a rule have the origin path, its paths do not.
        let pub_images = IMAGES.replace("images/", "pub/images/");
        let mut distribution = ruled(&pub_images, &[]);
        distribution.origins[0].path = "/pub".to_owned();
        check_ruled(&distribution, "pub/images/a", &["/i/a", "/images/a", "/img/a"]);
        check_ruled(&distribution, "images/a", &[]);
    }

    #[test]
    fn a_rule_may_show_what_the_root_shows() {
        let mut distribution = ruled(r#"[{"keys": "site/{path...}", "paths": ["/{path...}"]}]"#, &[]);
        distribution.default_root_object = "index.html".to_owned();
        check_ruled(&distribution, "site/index.html", &["/", "/index.html", "/site/index.html"]);
        let shared = distribution.paths_of("archive", "index.html").shared;
        assert!(shared["/"].contains(&("archive".to_owned(), "site/index.html".to_owned())), "{shared:?}");
    }

    #[test]
    fn each_path_has_the_variants_of_the_behaviour_that_serves_it_or_of_the_one_that_rewrites_to_it() {
        let mut distribution = ruled(IMAGES, &[("/img/*", "s3")]);
        distribution.behaviours[0].query_strings = QueryStrings::All;
        check_ruled(&distribution, "images/a", &["/i/a", "/images/a", "/images/a?*", "/img/a", "/img/a?*"]);
    }

    #[test]
    fn a_rewritten_path_names_what_else_it_may_show() {
        let shared = |distribution: &Distribution, key: &str| {
            let shared = distribution.paths_of("archive", key).shared;
            let each = |(path, all): (String, BTreeSet<(String, String)>)| {
                all.into_iter().map(move |(bucket, key)| format!("{path} {bucket} {key}"))
            };
            shared.into_iter().flat_map(each).collect::<Vec<_>>()
        };
        let distribution = ruled(IMAGES, &[]);
        assert_eq!(shared(&distribution, "images/a"), ["/i/a archive i/a", "/img/a archive img/a"]);
        assert_eq!(shared(&distribution, "img/a"), ["/img/a archive images/a"]);
        assert_eq!(shared(&distribution, "a"), [""; 0]);
        // The other bucket shows its own under `/img/`, cached as `/images/…` too, or under `/images/`.
        let distribution = ruled(IMAGES, &[("/img/*", "other")]);
        assert_eq!(shared(&distribution, "images/a"), ["/i/a archive i/a", "/images/a other images/a"]);
        let distribution = ruled(IMAGES, &[("/images/*", "other"), ("/i/*", "api")]);
        assert_eq!(shared(&distribution, "images/a"), ["/images/a other images/a", "/img/a archive img/a"]);
    }

    #[test]
    fn a_wildcard_for_a_tilde_covers_what_rules_show_beneath_it() {
        let covers = |distribution: &Distribution, key: &str| {
            let covers = distribution.paths_of("archive", key).covers.into_iter();
            covers.map(|one| format!("{} {}", one.bucket().unwrap(), one.prefix)).collect::<Vec<_>>()
        };
        let distribution = ruled(IMAGES, &[]);
        assert_eq!(covers(&distribution, "img/b/~x"), ["archive images/b/", "archive img/b/"]);
        assert_eq!(covers(&distribution, "x/~x"), ["archive x/"]);
        assert_eq!(
            covers(&distribution, "images/b/~x"),
            ["archive i/b/", "archive images/b/", "archive img/b/"],
            "three wildcards"
        );
        let distribution = ruled(IMAGES, &[("/i/*", "other")]);
        assert_eq!(covers(&distribution, "images/b/~x"), ["archive images/b/", "archive img/b/", "other images/b/"]);
    }

    #[test]
    fn a_rule_speaks_of_the_behaviours_that_may_serve_its_paths() {
        let undeclared = |rules: &str, patterns: &[&str]| {
            let more: Vec<(&str, &str)> = patterns.iter().map(|pattern| (*pattern, "s3")).collect();
            let mut distribution = ruled(rules, &more);
            let functions =
                |name: &str| distribution.behaviours.iter().map(|one| (one.pattern.clone(), name.to_owned())).collect();
            (distribution.viewer_functions, distribution.origin_functions) = (functions("v"), functions("o"));
            let found = distribution.undeclared().into_iter();
            found.map(|one| format!("{} {:?} {}", one.function, one.event, one.behaviour)).collect::<Vec<_>>()
        };
        let of_default = ["v ViewerRequest *", "o OriginRequest *"];
        assert_eq!(undeclared("", &[]), of_default);
        assert_eq!(undeclared(IMAGES, &[]), [""; 0]);
        assert_eq!(undeclared(IMAGES, &["/img/*", "i/*"]), of_default);
        assert_eq!(undeclared(IMAGES, &["/img/*.jpg", "i/*"]), [""; 0], "other images are the default behaviour's");
        assert_eq!(undeclared(IMAGES, &["/x/*"]), ["v ViewerRequest /x/*", "o OriginRequest /x/*"]);
        let named = r#"[{"behaviour": "x/*", "keys": "{path...}", "paths": ["/{path...}"]}]"#;
        assert_eq!(undeclared(named, &["/x/*"]), of_default);
    }

    #[test]
    fn a_folder_in_which_a_rule_shows_something_else_is_not_whole() {
        let folders = |distribution: &Distribution, key: &str| {
            distribution.folders_of("archive", key).into_iter().map(|folder| folder.path).collect::<Vec<_>>()
        };
        assert_eq!(folders(&ruled(IMAGES, &[]), "images/a/b"), ["/images/", "/images/a/"]);
        assert_eq!(folders(&ruled(IMAGES, &[]), "img/a/b"), [""; 0]);
        // What the other bucket shows under `/img/` may be cached as `/images/…`.
        assert_eq!(folders(&ruled(IMAGES, &[("/img/*", "other")]), "images/a/b"), [""; 0]);
        let clean = r#"[{"keys": "{page...}.html", "paths": ["/{page...}"]}]"#;
        assert_eq!(folders(&ruled(clean, &[]), "a/b"), ["/", "/a/"]);
    }

    #[test]
    fn only_the_behaviour_that_matches_first_decides() {
        let mut distribution = plain("");
        distribution.origins.push(origin("api", "api.example.com", ""));
        distribution.behaviours = vec![behaviour("/api/*", "api"), behaviour("*", "s3")];
        check(&distribution, "api/v1", "", &[]);
        check(&distribution, "apis", "", &["/apis"]);
    }

    #[test]
    fn a_group_serves_what_its_members_have() {
        let mut distribution = plain("");
        distribution.behaviours = vec![behaviour("*", "group")];
        distribution.groups = vec![OriginGroup {
            id: "group".to_owned(),
            members: vec!["s3".to_owned(), "page".to_owned()],
            fails_over_on: vec![403],
        }];
        check(&distribution, "cat.jpg", "", &["/cat.jpg"]);
    }

    #[test]
    fn other_buckets_are_not_this_bucket() {
        for domain in [
            "archive2.s3.amazonaws.com",
            "archive.example.com",
            "my.archive.s3.amazonaws.com",
            "archive.s3.example.com",
            "archive.s3example.amazonaws.com",
            "archive.s3.s3.us-east-1.amazonaws.com",
            "archive.s3-old.s3.us-east-1.amazonaws.com",
        ] {
            assert!(!origin("s3", domain, "").is_bucket("archive"), "{domain}");
        }
        for domain in [
            "archive.s3.amazonaws.com",
            "archive.s3.eu-west-1.amazonaws.com",
            "archive.s3-website-us-east-1.amazonaws.com",
            "archive.s3.dualstack.us-east-1.amazonaws.com",
        ] {
            assert!(origin("s3", domain, "").is_bucket("archive"), "{domain}");
        }
        assert!(plain("").has_origin("archive") && !plain("").has_origin("archive2"));
    }

    #[test]
    fn a_pattern_matches_nothing_something_or_everything_under_a_folder() {
        for (pattern, prefix, matched) in [
            ("*", "/a/", "everything"),
            ("/a/*", "/a/", "everything"),
            ("/a/**", "/a/", "everything"),
            ("/?/*", "/a/", "everything"),
            ("/a*/*", "/a/", "everything"),
            ("*/*", "/a/", "everything"),
            ("/a/?", "/a/", "something"),
            ("/a/?*", "/a/", "something"),
            ("/a/b*", "/a/", "something"),
            ("*.jpg", "/a/", "something"),
            ("/a/", "/a/", "something"),
            ("/a", "/a/", "nothing"),
            ("/b/*", "/a/", "nothing"),
        ] {
            let found = match under(pattern, prefix) {
                Under::Nothing => "nothing",
                Under::Something => "something",
                Under::Everything => "everything",
            };
            assert_eq!(found, matched, "{pattern} under {prefix}");
        }
    }

    #[test]
    fn a_directorys_paths_name_the_object_that_may_have_them_too() {
        let shared = |key| keys_of(with_index(&plain("/pub"), "index.html").paths_of("archive", key).shared);
        let of = |path: &str, key: &str| (path.to_owned(), key.to_owned());
        let both = ["/a%20b", "/a+b"].map(|path| [of(path, "pub/a b"), of(&format!("{path}/"), "pub/a b/")]);
        assert_eq!(shared("pub/a b/index.html"), both.into_iter().flatten().collect());
        // The object's own path is its own, and `/` is no key.
        assert_eq!(shared("pub/index.html"), [].into());
        assert_eq!(shared("pub/cat.jpg"), [].into());
    }

    #[test]
    fn a_tilde_becomes_a_wildcard_that_ends_before_it() {
        let paths = plain("").paths_of("archive", "~user/x");
        assert_eq!(paths, Paths { paths: ["/*".to_owned()].into(), covers: covered(""), ..Paths::default() });
        let paths = plain("/pub").paths_of("archive", "pub/a b/~user/x");
        let both = ["/a%20b/*", "/a+b/*"].map(str::to_owned);
        assert_eq!(paths, Paths { paths: both.into(), covers: covered("pub/a b/"), ..Paths::default() });
    }

    #[test]
    fn a_wildcard_covers_no_more_than_it_says() {
        // The name of an Emacs backup. The dot belongs to the key: `notes*` would also cover `notes` itself.
        let paths = plain("").paths_of("archive", "notes.~1~");
        assert_eq!((paths.paths, paths.covers), (["/notes.*".to_owned()].into(), covered("notes.")));
        let paths = plain("").paths_of("archive", "a*...~");
        assert_eq!((paths.paths, paths.covers), (["/a*...*".to_owned()].into(), covered("a*...")));
    }

    #[test]
    fn a_wildcard_covers_what_every_bucket_shows_there() {
        const OTHER: &str = "other.s3.eu-west-1.amazonaws.com";
        // What the wildcard for `a é/~x` covers in addition when a behaviour with this pattern goes to this origin.
        let added = |pattern: &str, target: &str, domain: &str, path: &str| {
            let mut distribution = plain("");
            distribution.origins.push(origin("more", domain, path));
            distribution.groups = vec![OriginGroup {
                id: "group".to_owned(),
                members: vec!["s3".to_owned(), "more".to_owned()],
                fails_over_on: vec![403],
            }];
            distribution.behaviours.insert(0, behaviour(pattern, target));
            let mut covers = distribution.paths_of("archive", "a é/~x").covers;
            assert!(covers.remove(&covered("a é/").pop_first().unwrap()), "{covers:?}");
            covers.into_iter().map(|covered| (covered.bucket().map(str::to_owned), covered.prefix)).collect::<Vec<_>>()
        };
        let other = |prefix: &str| [(Some("other".to_owned()), prefix.to_owned())];
        assert_eq!(added("a*/b", "more", OTHER, ""), other("a é/"));
        assert_eq!(added("*.jpg", "more", OTHER, "/p%20"), other("p /a é/"));
        assert_eq!(added("b/*", "more", OTHER, ""), []);
        // CloudFront asks the second origin where the first has no object or an archived one.
        assert_eq!(added("*.jpg", "group", OTHER, ""), other("a é/"));
        // The website endpoint of the same bucket: there `+` in the wildcard's path means another folder.
        let archive = "archive.s3-website-eu-west-1.amazonaws.com";
        let both = ["p/a é/", "p/a+é/"].map(|prefix| (Some("archive".to_owned()), prefix.to_owned()));
        assert_eq!(added("*.jpg", "more", archive, "/p"), both);
        // A pattern may be written in encoded form.
        assert_eq!(added("a%20%C3%A9/b", "more", OTHER, ""), other("a é/"));
        // The bucket's name may be in the origin path, or only S3 may know it.
        assert_eq!(added("*.jpg", "more", "s3.eu-west-1.amazonaws.com", "/other/p%20"), other("p /a é/"));
        assert_eq!(added("*.jpg", "more", "s3.eu-west-1.amazonaws.com", ""), [(None, "a é/".to_owned())]);
        let alias = "films-abc-s3alias";
        let domain = format!("{alias}.s3.eu-west-1.amazonaws.com");
        assert_eq!(added("*.jpg", "more", &domain, ""), [(Some(alias.to_owned()), "a é/".to_owned())]);
        // An origin that is not S3 has no archived objects.
        assert_eq!(added("*.jpg", "more", "api.example.com", ""), []);
    }

    #[test]
    fn an_origin_path_is_part_of_a_url() {
        check(&plain("/my%20dir"), "my dir/cat.jpg", "", &["/cat.jpg"]);
        check(&plain("/my%20dir"), "my%20dir/cat.jpg", "", &[]);
        check(&plain("//dir"), "/dir/cat.jpg", "", &["/cat.jpg"]);
        check(&plain("//dir"), "dir/cat.jpg", "", &[]);
    }

    #[test]
    fn a_folders_own_object_does_not_stand_for_its_index() {
        let with_root = Distribution { default_root_object: "index.html".to_owned(), ..plain("/public") };
        check(&with_root, "public/", "", &[]);
        // `/` shows the default root object before any index.
        let distribution = Distribution { default_root_object: "home.html".to_owned(), ..plain("/p") };
        let paths = with_index(&distribution, "index.html").paths_of("archive", "p/index.html");
        assert_eq!(paths.paths, ["/", "/index.html"].map(str::to_owned).into());
        assert_eq!(keys_of(paths.shared), [("/".to_owned(), "p/home.html".to_owned())].into());
        let paths = with_index(&distribution, "index.html").paths_of("archive", "p/home.html");
        assert_eq!(paths.paths, ["/", "/home.html"].map(str::to_owned).into());
        assert!(paths.shared.is_empty());
        let paths = with_index(&plain(""), "index.html").paths_of("archive", "dir/");
        assert_eq!(keys_of(paths.shared), [("/dir/".to_owned(), "dir/index.html".to_owned())].into());
    }

    #[test]
    fn the_root_is_shown_by_the_behaviour_of_its_object_too() {
        let mut distribution = Distribution { default_root_object: "index.html".to_owned(), ..plain("") };
        distribution.behaviours = vec![behaviour("*.html", "s3"), behaviour("*", "api")];
        check(&distribution, "index.html", "", &["/", "/index.html"]);
    }

    fn folders(distribution: &Distribution, key: &str) -> Vec<(String, String)> {
        distribution.folders_of("archive", key).into_iter().map(|folder| (folder.path, folder.prefix)).collect()
    }

    fn of(path: &str, prefix: &str) -> (String, String) {
        (path.to_owned(), prefix.to_owned())
    }

    #[test]
    fn a_folder_is_one_where_nothing_else_is_shown() {
        assert_eq!(
            folders(&plain(""), "a b/c/d"),
            [
                of("/", ""),
                of("/a%20b/", "a b/"),
                of("/a+b/", "a b/"),
                of("/a%20b/c/", "a b/c/"),
                of("/a+b/c/", "a b/c/")
            ]
        );
        assert_eq!(folders(&plain("/pub"), "pub/a/d"), [of("/", "pub/"), of("/a/", "pub/a/")]);
        assert_eq!(folders(&plain("/pub"), "private/a"), []);
        assert_eq!(folders(&plain(""), "a/~b/c"), [of("/", ""), of("/a/", "a/")]);
    }

    #[test]
    fn a_folder_knows_the_paths_of_its_keys_and_what_a_wildcard_in_it_covers() {
        let all = plain("/pub").folders_of("archive", "pub/a b/");
        let [root, escaped, plus] = &all[..] else { panic!("{all:?}") };
        assert_eq!(root.paths_of("pub/a b/c+d"), ["/a%20b/c%2Bd", "/a+b/c%2Bd"]);
        assert_eq!(escaped.paths_of("pub/a b/c d"), ["/a%20b/c%20d"]);
        assert_eq!(plus.paths_of("pub/a b/c d"), ["/a+b/c+d"]);
        assert_eq!(root.prefix_of("/x+1"), "pub/x 1");
        assert_eq!(plus.prefix_of("/a+b/c%2B"), "pub/a b/c+");
    }

    #[test]
    fn another_behaviour_breaks_a_folder_where_its_pattern_may_match() {
        let with = |pattern: &str, target: &str| {
            let mut distribution = plain("");
            distribution.origins.push(origin("api", "api.example.com", ""));
            distribution.behaviours.insert(0, behaviour(pattern, target));
            folders(&distribution, "a/b/c").into_iter().map(|(path, _)| path).collect::<Vec<_>>()
        };
        assert_eq!(with("/x/*", "api"), ["/a/", "/a/b/"]);
        assert_eq!(with("a/x*", "api"), ["/a/b/"]);
        assert_eq!(with("a/b/*.php", "api"), [""; 0]);
        assert_eq!(with("*.php", "api"), [""; 0]);
        assert_eq!(with("a/?/*", "api"), [""; 0]);
        assert_eq!(with("a", "api"), ["/a/", "/a/b/"]);
        // Another behaviour that goes to the same origin.
        assert_eq!(with("a/x*", "s3"), ["/", "/a/", "/a/b/"]);
        assert_eq!(with("*.jpg", "s3"), ["/", "/a/", "/a/b/"]);
        // An earlier behaviour that matches everything leaves nothing for a later one.
        assert_eq!(with("a/*", "s3"), ["/", "/a/", "/a/b/"]);
    }

    #[test]
    fn a_function_or_another_bucket_behind_breaks_a_folder_and_a_holding_page_does_not() {
        let mut with_function = plain("");
        with_function.behaviours[0].has_origin_function = true;
        assert_eq!(folders(&with_function, "a/b"), []);
        let with_second = |domain: &str, members: [&str; 2]| {
            let mut distribution = plain("");
            distribution.origins.push(origin("page", domain, ""));
            distribution.behaviours = vec![behaviour("*", "group")];
            distribution.groups = vec![OriginGroup {
                id: "group".to_owned(),
                members: members.map(str::to_owned).to_vec(),
                fails_over_on: vec![403],
            }];
            folders(&distribution, "a/b").len()
        };
        assert_eq!(with_second("page.example.com", ["s3", "page"]), 2);
        assert_eq!(with_second("page.example.com", ["page", "s3"]), 0);
        assert_eq!(with_second("other.s3.amazonaws.com", ["s3", "page"]), 0);
        assert_eq!(with_second("api.execute-api.us-east-1.amazonaws.com", ["s3", "page"]), 2);
        assert_eq!(with_second("files.s3.example.com", ["s3", "page"]), 2);
    }

    #[test]
    fn patterns_match_as_cloudfront_says() {
        for (pattern, path, expect) in [
            ("*", "", true),
            ("*.jpg", "a/b.jpg", true),
            ("*.jpg", "a/b.JPG", false),
            ("a/*/c", "a/x/y/c", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("**a**", "bab", true),
            ("a*b*c", "axxbxx", false),
        ] {
            assert_eq!(matches(pattern, path), expect, "{pattern} {path}");
        }
    }
}
