//! An origin of a distribution: which bucket it is, and what it takes of a key for its own path.

use crate::path::Endpoint;

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

impl Origin {
    /// Whether this origin is the bucket: its REST or website endpoint, by any domain that S3 has for it.
    pub fn is_bucket(&self, bucket: &str) -> bool {
        bucket_of(&self.virtual_hosted_domain()) == Some(bucket)
    }

    /// Whether this origin is any bucket, also one whose name only S3 knows, such as the bucket behind an access point.
    pub(crate) fn is_any_bucket(&self) -> bool {
        let is_s3 = self.domain.contains(".s3") || is_path_style(&self.domain);
        is_s3 && self.domain.contains("amazonaws.com")
    }

    /// Whether this origin is a bucket whose name is not in the domain: an access point, its alias, or a Multi-Region
    /// Access Point (S3 User Guide, "Access point aliases", "Multi-Region Access Points").
    pub(crate) fn is_access_point(&self) -> bool {
        self.is_any_bucket()
            && [".s3-accesspoint", "-s3alias.", ".accesspoint.s3-global."].iter().any(|part| self.domain.contains(part))
    }

    /// Whether this origin is the bucket for some values of its parameters. Without parameters it is not.
    pub(crate) fn tenants_may_have_it_as(&self, bucket: &str) -> bool {
        let Some((before, _)) = self.domain.split_once("{{") else {
            return self.path.contains("{{") && self.is_bucket(bucket);
        };
        let after = self.domain.rsplit_once("}}").map_or("", |(_, after)| after);
        let begins = |domain: &str| domain.starts_with(before) || before.starts_with(domain);
        let is_named = begins(&format!("{bucket}.s3")) || before.starts_with("s3");
        is_named && (after.is_empty() || after.ends_with("amazonaws.com"))
    }

    /// The bucket's name, or the domain if that does not begin with it.
    pub(crate) fn bucket_or_domain(&self) -> String {
        let domain = self.virtual_hosted_domain();
        bucket_of(&domain).map(str::to_owned).unwrap_or(domain)
    }

    /// The kind of S3 endpoint that this origin is.
    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::of_domain(&self.domain)
    }

    /// The domain with the bucket's name at its beginning. A path-style origin has the name in its origin path, from
    /// which it is moved here.
    pub(crate) fn virtual_hosted_domain(&self) -> String {
        match self.path_style() {
            Some((bucket, _)) if !bucket.is_empty() => format!("{bucket}.{}", self.domain),
            Some(_) | None => self.domain.clone(),
        }
    }

    /// The prefix that keys have and paths do not: the decoded origin path. CloudFront puts the origin path into the
    /// URL of its request, and S3 decodes the URL.
    pub(crate) fn key_prefix(&self) -> String {
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

/// The bucket whose REST or website endpoint this domain is. A bucket's name may contain `.s3`, so the last `.s3`
/// counts.
pub(crate) fn bucket_of(domain: &str) -> Option<&str> {
    let (bucket, rest) = domain.rsplit_once(".s3")?;
    (rest.starts_with(['.', '-']) && rest.contains("amazonaws.com")).then_some(bucket)
}
