//! The keys of a world's objects, and the paths under which viewers request them.

use thaw_core::encode_path;

use super::World;

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

    /// The paths that viewers request for an object, in every spelling that browsers and SDKs send, and with some query
    /// strings where those are cached apart.
    pub fn viewer_paths(&self, object: u32) -> Vec<String> {
        self.with_query_strings(self.spellings(object))
    }

    /// The same paths with the query strings that viewers send.
    fn with_query_strings(&self, paths: Vec<String>) -> Vec<String> {
        let queries: &[&str] = if self.caches_by_query_string { &["", "?v=2", "?1"] } else { &[""] };
        paths.iter().flat_map(|path| queries.iter().map(move |query| format!("{path}{query}"))).collect()
    }

    /// The spellings of an object's path. S3 reads a `+` as a blank, so a `+` of the key is always escaped, and a blank is
    /// `%20` or `+`.
    fn spellings(&self, object: u32) -> Vec<String> {
        let object = self.objects.iter().find(|one| one.id == object);
        let escaped = object.map(|object| format!("/{}", encode_path(&object.key)));
        let plus = escaped.iter().filter(|path| path.contains("%20")).map(|path| path.replace("%20", "+"));
        let plus: Vec<String> = plus.collect();
        escaped.into_iter().chain(plus).collect()
    }

    /// Every path under which CloudFront may cache an object: those of its key and those of its directory, each with
    /// the query strings that viewers send.
    pub fn cached_paths(&self, object: u32) -> Vec<String> {
        let mut paths = self.spellings(object);
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
        self.with_query_strings(paths)
    }
}
