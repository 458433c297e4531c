//! The keys of a world's objects, and the paths under which viewers request them.

use std::collections::BTreeSet;

use thaw_core::encode_path;

use super::{Distribution, FunctionEvent, Rule, World};

impl World {
    /// The key of an object in the bucket.
    pub fn full_key(&self, object: u32) -> Option<String> {
        let object = self.objects.iter().find(|one| one.id == object)?;
        let prefix = self.origin_path.trim_start_matches('/');
        Some(if prefix.is_empty() { object.key.clone() } else { format!("{prefix}/{}", object.key) })
    }

    /// The object with this key in the bucket.
    pub fn object_with_key(&self, key: &str) -> Option<u32> {
        self.objects.iter().map(|object| object.id).find(|id| self.full_key(*id).as_deref() == Some(key))
    }

    /// Whether a distribution with viewers shows an object.
    pub fn is_shown(&self, object: u32) -> bool {
        self.viewed_distributions().any(|distribution| !self.viewer_paths(&distribution, object).is_empty())
    }

    /// The paths that viewers request of a distribution for an object: those of its key, those of its directory, and those that
    /// a function rewrites. They come in every spelling that browsers and SDKs send, and with some query strings where those
    /// are cached apart. None if the distribution does not show the object.
    ///
    /// Not among them are paths that a function rewrites without a rule that says so: thaw cannot know them.
    pub fn viewer_paths(&self, distribution: &Distribution, object: u32) -> Vec<String> {
        let rewritten = self.rewritten_paths(distribution, object, true).into_iter().map(|(path, _)| path);
        let paths = self.own_paths(distribution, object).into_iter().chain(rewritten);
        paths.flat_map(|path| with_query_strings(distribution, &path, &path)).collect()
    }

    /// Every path under which a distribution may cache an object: those that viewers request, and those that a function makes
    /// of them.
    pub fn cached_paths(&self, distribution: &Distribution, object: u32) -> BTreeSet<String> {
        let mut cached: BTreeSet<String> = self.viewer_paths(distribution, object).into_iter().collect();
        for (path, rewritten_to) in self.rewritten_paths(distribution, object, true) {
            cached.extend(rewritten_to.iter().flat_map(|name| with_query_strings(distribution, &path, name)));
        }
        cached
    }

    /// The paths that a function rewrites to those of an object, without a rule that says so.
    pub fn undeclared_paths(&self, distribution: &Distribution, object: u32) -> Vec<String> {
        self.rewritten_paths(distribution, object, false).into_iter().map(|(path, _)| path).collect()
    }

    /// Whether a path is one that a function rewrites to that of an object, and a rule says so.
    pub fn is_rewritten_path(&self, distribution: &Distribution, object: u32, path: &str) -> bool {
        self.rewritten_paths(distribution, object, true).iter().any(|(rewritten, _)| rewritten == path)
    }

    /// The paths of an object's key, and those of its directory.
    fn own_paths(&self, distribution: &Distribution, object: u32) -> Vec<String> {
        let Some(encoded) = self.encoded_path(distribution, object) else { return Vec::new() };
        let directory = encoded.strip_suffix("index.html").filter(|directory| directory.ends_with('/'));
        // `/` is the path of the default root object, whether there is a directory index or not.
        let directory = directory.filter(|directory| *directory == "/" || !self.directory_index.is_empty());
        let paths = [Some(encoded.clone()), directory.map(str::to_owned)].into_iter().flatten().flat_map(spellings);
        paths.filter(|path| distribution.behaviour(path).is_some_and(|behaviour| behaviour.shows_bucket)).collect()
    }

    /// The paths that a function rewrites to those of an object, with or without a rule that says so. With each path comes
    /// the path that the function makes of it, if CloudFront caches the object under that, too.
    fn rewritten_paths(
        &self,
        distribution: &Distribution,
        object: u32,
        is_declared: bool,
    ) -> Vec<(String, Option<String>)> {
        let Some(encoded) = self.encoded_path(distribution, object) else { return Vec::new() };
        let functions = distribution.behaviours.iter().filter_map(|behaviour| behaviour.function);
        let paths = functions.filter_map(|function| function.rewrite.undo(&encoded)).flat_map(spellings);
        let rewritten = paths.filter_map(|path| {
            let behaviour = distribution.behaviour(&path).filter(|behaviour| behaviour.shows_bucket)?;
            let function = behaviour.function.filter(|function| (function.rule != Rule::Missing) == is_declared)?;
            let is_cached = function.event == FunctionEvent::ViewerRequest;
            let to = function.rewrite.apply(&path).filter(|to| is_same(to, &encoded))?;
            Some((path, is_cached.then_some(to)))
        });
        rewritten.collect()
    }

    /// The path of an object's key with every blank as `%20`; none if the key does not lie under the origin path. S3 reads a
    /// `+` as a blank, so a `+` of the key is always escaped.
    fn encoded_path(&self, distribution: &Distribution, object: u32) -> Option<String> {
        let key = self.full_key(object)?;
        Some(format!("/{}", encode_path(distribution.shown_part(&key)?)))
    }
}

/// The spellings of a path: a blank is `%20` or `+`.
fn spellings(path: String) -> Vec<String> {
    let plus = path.contains("%20").then(|| path.replace("%20", "+"));
    [Some(path), plus].into_iter().flatten().collect()
}

/// Whether two paths are spellings of one.
fn is_same(path: &str, other: &str) -> bool {
    path.replace('+', "%20") == other.replace('+', "%20")
}

/// A name of a path in the cache, with the query strings that viewers send with the path.
fn with_query_strings(distribution: &Distribution, path: &str, name: &str) -> Vec<String> {
    let is_varied = distribution.behaviour(path).is_some_and(|behaviour| behaviour.caches_by_query_string);
    let queries: &[&str] = if is_varied { &["", "?v=2", "?1"] } else { &[""] };
    queries.iter().map(|query| format!("{name}{query}")).collect()
}
