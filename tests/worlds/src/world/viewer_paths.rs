//! The keys of a world's objects, and the paths under which viewers request them.

use percent_encoding::percent_decode_str;
use thaw_core::encode_path;

use super::{Distribution, World};

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

    /// The paths that viewers request of a distribution for an object, in every spelling that browsers and SDKs send, and with
    /// some query strings where those are cached apart. None if the distribution does not show the object.
    pub fn viewer_paths(&self, distribution: &Distribution, object: u32) -> Vec<String> {
        with_query_strings(distribution, self.spellings(distribution, object))
    }

    /// Every path under which a distribution may cache an object: those of its key and those of its directory, each with
    /// the query strings that viewers send.
    pub fn cached_paths(&self, distribution: &Distribution, object: u32) -> Vec<String> {
        let mut paths = self.spellings(distribution, object);
        for path in paths.clone() {
            if path == "/index.html" {
                paths.push("/".to_owned());
            }
            if let Some(directory) = path.strip_suffix("/index.html").filter(|one| !one.is_empty())
                && !self.directory_index.is_empty()
            {
                paths.push(format!("{directory}/"));
            }
        }
        with_query_strings(distribution, paths)
    }

    /// The spellings of an object's path. S3 reads a `+` as a blank, so a `+` of the key is always escaped, and a blank is
    /// `%20` or `+`.
    fn spellings(&self, distribution: &Distribution, object: u32) -> Vec<String> {
        let key = self.full_key(object);
        let shown = key.as_deref().and_then(|key| key_without_origin_path(distribution, key));
        let escaped = shown.map(|key| format!("/{}", encode_path(key)));
        let plus = escaped.iter().filter(|path| path.contains("%20")).map(|path| path.replace("%20", "+"));
        let plus: Vec<String> = plus.collect();
        let shows = |path: &String| distribution.behaviour(path).is_some_and(|behaviour| behaviour.shows_bucket);
        escaped.into_iter().chain(plus).filter(shows).collect()
    }
}

/// The part of a key that viewers see, if the key lies under the distribution's origin path.
pub fn key_without_origin_path<'a>(distribution: &Distribution, key: &'a str) -> Option<&'a str> {
    let origin_path = percent_decode_str(distribution.origin_path.trim_start_matches('/')).decode_utf8_lossy();
    if origin_path.is_empty() { Some(key) } else { key.strip_prefix(origin_path.as_ref())?.strip_prefix('/') }
}

/// The same paths with the query strings that viewers send.
fn with_query_strings(distribution: &Distribution, paths: Vec<String>) -> Vec<String> {
    let queries = |path: &str| -> &[&str] {
        let is_varied = distribution.behaviour(path).is_some_and(|behaviour| behaviour.caches_by_query_string);
        if is_varied { &["", "?v=2", "?1"] } else { &[""] }
    };
    paths.iter().flat_map(|path| queries(path).iter().map(move |query| format!("{path}{query}"))).collect()
}
