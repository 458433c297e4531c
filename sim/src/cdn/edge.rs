//! The edge: what a viewer sees, fresh from the origin or as it was when somebody last looked.

use super::cache::{CacheOutcome, EdgeResponse, Entry, OriginResponse};
use super::distribution::{Behavior, Distribution, DistributionConfig, Origin, Traffic};
use super::path::{matches_pattern, to_key};
use crate::model::{ApiError, ObjectRef, Sim};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

impl Sim {
    /// The distribution that viewers ask under this host name: its own name or one of its aliases.
    pub fn distribution_at(&self, host: &str) -> Option<&Distribution> {
        let host = host.to_lowercase();
        self.distributions.values().find(|one| one.domain_name() == host || one.config.aliases.contains(&host))
    }

    /// The distribution that answers a viewer who asks this one and sends these headers: a staging distribution, while a
    /// continuous deployment policy sends such viewers there, or else the distribution itself.
    ///
    /// Developer Guide, "Route requests to the staging distribution". Not documented: that a disabled one of the two gets no
    /// viewers by way of the policy.
    pub fn routed(&mut self, distribution: &str, headers: &[(&str, &str)]) -> String {
        let itself = || distribution.to_owned();
        let Some(Distribution { config, .. }) = self.distributions.get(distribution) else { return itself() };
        let policy = config.continuous_deployment_policy_id.as_ref().filter(|_| !config.disabled);
        let policy = policy.and_then(|id| self.policies.get(id)).filter(|policy| policy.enabled);
        let Some(policy) = policy.cloned() else { return itself() };
        let is_sent = match &policy.traffic {
            Traffic::Header { name, value } => {
                headers.iter().any(|(sent, with)| sent.eq_ignore_ascii_case(name) && with == value)
            }
            Traffic::Percent(percent) => self.next_hash("viewer") % 100 < u64::from(*percent),
        };
        let is_staging = |one: &&Distribution| {
            one.config.staging && !one.config.disabled && policy.staging_distributions.contains(&one.domain_name())
        };
        let staging = self.distributions.values().find(is_staging).filter(|_| is_sent);
        staging.map_or_else(itself, |staging| staging.id.clone())
    }

    /// What a viewer gets who asks a distribution for a path, encoded as in the request line, query string included. Who may
    /// be sent to a staging distribution asks that of [`Sim::routed`].
    pub fn serve(&mut self, distribution: &str, path: &str, now: Timestamp) -> Result<EdgeResponse, ApiError> {
        if self.distribution(distribution)?.config.disabled {
            return Err(ApiError::new("DistributionDisabled", 403, "The distribution is disabled."));
        }
        self.apply_invalidations(distribution, now)?;
        let Distribution { config, cache, .. } = self.distribution(distribution)?;
        let request = Request::new(config, path);
        let key = format!("{}\n{}", request.viewer, request.origin);
        let old = cache.entries.get(&key);
        if let Some(entry) = old.filter(|entry| now < entry.fresh_until) {
            return Ok(entry.response.answer(CacheOutcome::Hit, seconds_between(entry.stored, now)));
        }
        // A stale copy outlives an origin that is broken (5xx), not one that says no (4xx).
        let stale = old.filter(|entry| !entry.response.is_error).map(|entry| (entry.response.clone(), entry.stored));
        let (config, request) = (config.clone(), request.owned());
        let response = self.fetch(&config, &request, now);
        if let (500..=599, Some((stale, stored))) = (response.status, stale) {
            return Ok(stale.answer(CacheOutcome::Hit, seconds_between(stored, now)));
        }
        let ttl = ttl(&config, &request.behavior, &response);
        let response = self.with_error_page(&config, response, now);
        let answer = response.answer(CacheOutcome::Miss, 0);
        if let Some(distribution) = self.distributions.get_mut(distribution).filter(|_| ttl > 0) {
            let mut names = vec![request.viewer, request.origin];
            names.dedup();
            let fresh_until = now.checked_add(SignedDuration::from_secs(ttl)).unwrap_or(Timestamp::MAX);
            let entry = Entry { names, tags: response.tags.clone(), stored: now, fresh_until, response };
            distribution.cache.entries.insert(key, entry);
        }
        Ok(answer)
    }

    fn apply_invalidations(&mut self, id: &str, now: Timestamp) -> Result<(), ApiError> {
        self.distribution(id)?;
        if let Some(distribution) = self.distributions.get_mut(id) {
            let due = distribution.invalidations.iter_mut().filter(|one| !one.applied && one.completed <= now);
            for invalidation in due {
                invalidation.applied = true;
                distribution.cache.drop_covered(invalidation);
            }
        }
        Ok(())
    }

    /// Asks the origin, or the second of a group if the first answers one of its failover statuses.
    fn fetch(&mut self, config: &DistributionConfig, request: &OwnedRequest, now: Timestamp) -> OriginResponse {
        let (first, second) = config.targets(&request.behavior.target_origin_id);
        let Some(first) = first else {
            return OriginResponse::from_api_error(&ApiError::new("NoSuchOrigin", 502, "no origin serves this path"));
        };
        let response = self.ask(first, &request.asked, now);
        match second {
            Some((second, statuses)) if statuses.contains(&response.status) => self.ask(second, &request.asked, now),
            Some(_) | None => response,
        }
    }

    /// One origin's answer. A scripted fault of `OriginGetObject` is an origin that fails.
    fn ask(&mut self, origin: &Origin, path: &str, now: Timestamp) -> OriginResponse {
        if let Some(page) = &origin.holding_page {
            return OriginResponse {
                status: page.status,
                body: page.body.clone().into(),
                content_type: page.content_type.clone(),
                cache_control: page.cache_control.clone(),
                etag: None,
                tags: Vec::new(),
                is_error: page.status >= 400,
            };
        }
        let key = to_key(&origin.domain_name, &origin.origin_path, path);
        let read = self.call("OriginGetObject", &[&key], |sim| {
            if key.is_empty() {
                // An origin without a root object is asked for the listing of the bucket, which it may not have.
                return Err(ApiError::new("AccessDenied", 403, "Access Denied"));
            }
            sim.read(&ObjectRef::new(&origin.bucket, &key), now)
        });
        match read {
            Err(api_error) => OriginResponse::from_api_error(&api_error),
            Ok(head) => OriginResponse {
                status: 200,
                body: head.content.body,
                content_type: head.content.content_type.unwrap_or_else(|| "binary/octet-stream".to_owned()),
                cache_control: head.content.cache_control,
                etag: Some(head.etag),
                tags: tags(&head.content.metadata),
                is_error: false,
            },
        }
    }

    /// Puts the page of a custom error response in the place of an error. Without that page the error stays.
    fn with_error_page(
        &mut self,
        config: &DistributionConfig,
        response: OriginResponse,
        now: Timestamp,
    ) -> OriginResponse {
        let custom = config.custom_error_responses.iter().find(|custom| custom.error_code == response.status);
        let Some((custom, path)) = custom.and_then(|custom| Some((custom, custom.response_page_path.as_deref()?)))
        else {
            return response;
        };
        let page = self.fetch(config, &Request::new(config, path).owned(), now);
        if page.is_error {
            return response;
        }
        OriginResponse { status: custom.response_code.unwrap_or(response.status), is_error: true, ..page }
    }
}

/// What is asked, after the root object, the directory index, the functions and the cache key have had their say.
struct Request<'a> {
    /// The path of the viewer.
    viewer: String,
    /// The path in the cache key: after the root object, the directory index and the function on viewer-request.
    origin: String,
    /// The path that the origin is asked for: after the function on origin-request.
    asked: String,
    behavior: &'a Behavior,
}

struct OwnedRequest {
    viewer: String,
    origin: String,
    asked: String,
    behavior: Behavior,
}

impl<'a> Request<'a> {
    fn new(config: &'a DistributionConfig, path_and_query: &str) -> Self {
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        let origin = match &config.directory_index {
            _ if path == "/" && !config.default_root_object.is_empty() => format!("/{}", config.default_root_object),
            Some(index) if path.ends_with('/') => format!("{path}{index}"),
            Some(_) | None => path.to_owned(),
        };
        let matching = config.behaviors.iter().find(|behavior| matches_pattern(&behavior.path_pattern, &origin));
        let behavior = matching.unwrap_or(&config.default_behavior);
        // The function on viewer-request sees the path of the viewer. It does not change which behaviour serves it.
        let origin = behavior.viewer_request.as_ref().and_then(|function| function.rewrite(path)).unwrap_or(origin);
        let asked = behavior.origin_request.as_ref().and_then(|function| function.rewrite(&origin));
        let asked = asked.unwrap_or_else(|| origin.clone());
        let kept = match &behavior.cache_policy {
            Some(policy) => policy.kept(query),
            None if behavior.query_string => query.to_owned(),
            None => String::new(),
        };
        let suffix = if kept.is_empty() { kept } else { format!("?{kept}") };
        Self { viewer: format!("{path}{suffix}"), origin: format!("{origin}{suffix}"), asked, behavior }
    }

    fn owned(self) -> OwnedRequest {
        let Self { viewer, origin, asked, behavior } = self;
        OwnedRequest { viewer, origin, asked, behavior: behavior.clone() }
    }
}

/// For how many seconds the edge keeps an answer.
///
/// "How CloudFront processes HTTP 3xx status codes" and "4xx and 5xx": 404, 414 and 500-504 always,
/// other errors only if the origin says so, or as [`DistributionConfig::cache_forbidden_seconds`] explains.
fn ttl(config: &DistributionConfig, behavior: &Behavior, response: &OriginResponse) -> i64 {
    /// `ErrorCachingMinTTL` where nothing is configured.
    const ERROR_TTL: u32 = 10;
    let said = max_age(response.cache_control.as_deref());
    if !response.is_error {
        return said.unwrap_or(i64::from(behavior.default_ttl));
    }
    let custom = config.custom_error_responses.iter().find(|custom| custom.error_code == response.status);
    // 0 at an S3 origin still is 1 second.
    let configured = custom.map(|custom| i64::from(custom.error_caching_min_ttl.unwrap_or(ERROR_TTL)).max(1));
    match response.status {
        404 | 414 | 500..=504 => configured.unwrap_or(i64::from(ERROR_TTL)).max(said.unwrap_or_default()),
        403 => {
            let kept = config.cache_forbidden_seconds.map(i64::from).or(configured).unwrap_or_default();
            kept.max(said.unwrap_or_default())
        }
        _ => match said {
            Some(said) if said > 0 => said.max(configured.unwrap_or_default()),
            Some(_) | None => 0,
        },
    }
}

/// What `Cache-Control` says: seconds to keep, 0 for not at all, nothing if it says nothing of it.
fn max_age(cache_control: Option<&str>) -> Option<i64> {
    let directives = || cache_control.unwrap_or_default().split(',').map(str::trim);
    if directives().any(|one| matches!(one, "no-store" | "no-cache" | "private")) {
        return Some(0);
    }
    let value = |name: &str| directives().find_map(|one| one.strip_prefix(name)?.strip_prefix('=')?.parse().ok());
    value("s-maxage").or_else(|| value("max-age"))
}

/// The cache tags of an object: metadata `cache-tag`, comma-separated.
fn tags(metadata: &BTreeMap<String, String>) -> Vec<String> {
    let tags = metadata.get("cache-tag").map(String::as_str).unwrap_or_default().split(',');
    tags.map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
}

fn seconds_between(stored: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.duration_since(stored).as_secs()).unwrap_or_default()
}
