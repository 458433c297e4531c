//! The distributions in front of a bucket: whether thaw invalidates them, and what of them makes that vital, pointless or dear.

use serde_json::{Value, json};
use thaw_core::quantity;

use crate::doctor::facts::{Bucket, Facts, LeftOut, Seen, SeenBehaviour, SeenDistribution};
use crate::doctor::finding::{Finding, Kind, Subject};
use crate::doctor::mend::{change_distribution, set_parameter};
use crate::doctor::read::has_origin;
use crate::shell::quoted;

/// How long CloudFront caches an error if the distribution does not say (Developer Guide, "Control how long CloudFront caches
/// errors"), in seconds.
const DEFAULT_ERROR_SECONDS: u64 = 10;

/// From this many seconds on, nobody waits until an error is gone by itself.
const LONG_ERROR_SECONDS: u64 = 300;

/// The cache policy CachingOptimized of AWS, without query strings in the cache key (Developer Guide, "Use managed cache
/// policies").
const CACHING_OPTIMIZED: &str = "658327ea-f89d-4fab-a63d-7e88639e58f6";

pub fn findings(bucket: &Bucket, facts: &Facts) -> Vec<Finding> {
    let of_bucket = Subject { kind: Kind::Bucket, name: &bucket.name };
    if !bucket.of_stack {
        let why = "The stack's parameter ArchiveBuckets does not name it: thaw restores nothing of it.";
        let finding = of_bucket.problem("distributions", "it is no archive bucket of the stack", why);
        let named = facts.stack.as_ref().ok().and_then(|stack| stack.parameters.get("ArchiveBuckets"));
        return vec![match named {
            Some(named) => {
                let all = format!("{named},{}", bucket.name);
                finding.mend(set_parameter(&facts.stack_name, &facts.region, "ArchiveBuckets", &all))
            }
            None => finding,
        }];
    }
    let seen = match &bucket.seen {
        Err(unread) => return vec![of_bucket.unread("distributions", unread)],
        Ok(seen) => seen,
    };
    let mut out = vec![in_front(seen, bucket, facts)];
    for distribution in seen.distributions.iter().filter(|one| !one.origins.is_empty()) {
        let subject = Subject { kind: Kind::Distribution, name: &distribution.id };
        if distribution.behaviours.is_empty() {
            let why = "The distribution has an origin that is the bucket, but no behaviour goes to it: it shows none of its objects, and nothing is invalidated there.";
            out.push(subject.warning("behaviours", format!("none goes to {}", bucket.name), why));
            continue;
        }
        out.extend(staging(distribution, facts, subject));
        out.push(error_caching(distribution, bucket, subject));
        out.push(query_strings(distribution, subject));
        out.extend(functions(distribution, facts, subject));
    }
    out.extend(seen.left_out.iter().map(|one| left_out(one, seen, facts)));
    out.extend(not_named(seen, bucket, facts));
    out
}

/// Whether any distribution shows the bucket.
fn in_front(seen: &Seen, bucket: &Bucket, facts: &Facts) -> Finding {
    let subject = Subject { kind: Kind::Bucket, name: &bucket.name };
    let names =
        seen.distributions.iter().filter(|one| !one.origins.is_empty()).map(|one| match facts.configs.get(&one.id) {
            Some(Ok(config)) => {
                let domains: Vec<_> = [&config.domain].into_iter().chain(&config.aliases).map(String::as_str).collect();
                format!("{} ({})", one.id, domains.join(", "))
            }
            Some(Err(_)) | None => one.id.clone(),
        });
    let names: Vec<_> = names.collect();
    if !names.is_empty() {
        return subject.ok("distributions", names.join(", "));
    }
    let where_from = match seen.distribution_ids.as_slice() {
        [] => "No distribution of the account that answers viewers has it as an origin".to_owned(),
        ids => format!(
            "The stack's parameter DistributionIds names {}, and none of them has it as an origin",
            ids.join(", ")
        ),
    };
    let why = format!(
        "{where_from}. Objects are restored, but nothing is invalidated: viewers get what is cached until it is gone."
    );
    let list = "aws cloudfront list-distributions --query 'DistributionList.Items[].[Id, Origins.Items[].DomainName]'";
    subject.problem("distributions", "none shows it", why).mend(list)
}

/// Distributions in front of the bucket that the stack is not told of.
fn not_named(seen: &Seen, bucket: &Bucket, facts: &Facts) -> Vec<Finding> {
    let listed = match &facts.account_distributions {
        _ if seen.distribution_ids.is_empty() => return Vec::new(),
        Err(unread) => {
            let subject = Subject { kind: Kind::Bucket, name: &bucket.name };
            return vec![subject.unread("other distributions", unread)];
        }
        Ok(listed) => listed,
    };
    let is_known = |id: &str| {
        seen.distributions.iter().any(|one| one.id == id) || seen.distribution_ids.iter().any(|named| named == id)
    };
    let others =
        listed.iter().filter(|one| one.enabled && !one.staging && has_origin(one, &bucket.name) && !is_known(&one.id));
    let finding = |id: &str| {
        let subject = Subject { kind: Kind::Distribution, name: id };
        let why = format!(
            "It has {} as an origin, and the stack's parameter DistributionIds does not name it: nothing is invalidated there, and its viewers get what is cached until it is gone.",
            bucket.name
        );
        let ids = [seen.distribution_ids.join(","), id.to_owned()].join(",");
        let finding = subject.warning("invalidated", "not by this stack", why);
        finding.mend(set_parameter(&facts.stack_name, &facts.region, "DistributionIds", &ids))
    };
    others.map(|one| finding(&one.id)).collect()
}

fn left_out(one: &LeftOut, seen: &Seen, facts: &Facts) -> Finding {
    let id = one.distribution.as_str();
    let subject = Subject { kind: Kind::Distribution, name: id };
    let set = |parameter: &str, value: &str| set_parameter(&facts.stack_name, &facts.region, parameter, value);
    let others: Vec<_> = seen.distribution_ids.iter().filter(|other| *other != id).map(String::as_str).collect();
    let says = one.says.clone();
    let check = "invalidated";
    match one.reason.as_str() {
        // An empty parameter would let thaw invalidate on any distribution.
        "gone" if others.is_empty() => subject.warning(check, "it does not exist", says),
        "gone" => subject.warning(check, "it does not exist", says).mend(set("DistributionIds", &others.join(","))),
        "disabled" => subject.note(check, "it is disabled", says),
        "staging" => subject.note(check, "it is a staging distribution without viewers", says),
        "not_named" => {
            let finding = subject.warning(check, "it is a staging distribution with viewers", says);
            finding.mend(set("StagingDistributions", "found"))
        }
        "tenant_only" => subject.warning(check, "only tenants get it", says).mend(format!(
            "aws cloudfront list-distribution-tenants --association-filter DistributionId={}",
            quoted(id)
        )),
        "access_point" => subject.warning(check, "its origin is an access point", says),
        "policy_denied" => subject.warning(check, "its deployment policy may not be read", says),
        _ => subject.warning(check, "it is left out", says),
    }
}

/// A staging distribution has a cache of its own (Developer Guide, "Use CloudFront continuous deployment to safely test CDN
/// configuration changes").
fn staging(distribution: &SeenDistribution, facts: &Facts, subject: Subject<'_>) -> Option<Finding> {
    let listed = facts.account_distributions.iter().flatten().find(|one| one.id == distribution.id)?;
    let why = "A continuous deployment policy sends viewers to it, and it has a cache of its own: each path is invalidated and paid there, too. That ends when the policy is disabled; the command lists them.";
    let list = "aws cloudfront list-continuous-deployment-policies --query 'ContinuousDeploymentPolicyList.Items[].ContinuousDeploymentPolicy.[Id, ContinuousDeploymentPolicyConfig.Enabled, ContinuousDeploymentPolicyConfig.StagingDistributionDnsNames.Items]'";
    listed.staging.then(|| subject.note("staging", "it is a staging distribution with viewers", why).mend(list))
}

fn error_caching(distribution: &SeenDistribution, bucket: &Bucket, subject: Subject<'_>) -> Finding {
    let check = "error caching";
    if let Some(group) = distribution.behaviours.iter().find(|one| one.fails_over_on.contains(&403)) {
        let why = format!(
            "Where S3 answers 403, the behaviour {} shows its second origin's answer, and caches it as it would the object: for hours, if its headers do not say less. Only an invalidation makes a restored object seen; restores with --publish never are not.",
            group.path_pattern
        );
        return subject.note(check, "a second origin answers for archived objects", why);
    }
    let rule = distribution.error_caching.iter().find(|rule| rule.status == 403);
    let seconds = rule.map_or(DEFAULT_ERROR_SECONDS, |rule| rule.seconds);
    let found = format!("403 for {}", duration(seconds));
    if seconds <= DEFAULT_ERROR_SECONDS {
        let why = "An archived object's error is gone by itself before an invalidation is complete. Publishing costs a path for each object and gains seconds; a restore may leave it out.";
        return subject.note(check, found, why).mend(format!("thaw restore s3://{}/KEY --publish never", bucket.name));
    }
    if seconds < LONG_ERROR_SECONDS {
        return subject.ok(check, found);
    }
    let why = format!(
        "Viewers who asked for an object while it was archived get its error for up to {} after the restore, unless thaw invalidates it. The command makes it a minute.",
        duration(seconds)
    );
    let minute = ".CustomErrorResponses.Items |= map(if .ErrorCode == 403 then .ErrorCachingMinTTL = 60 else . end)";
    subject.note(check, found, why).mend(change_distribution(&distribution.id, minute))
}

/// Seconds as people say them.
fn duration(seconds: u64) -> String {
    let (count, one, many) = match seconds {
        0..60 => (seconds, "second", "seconds"),
        60..3_600 => (seconds / 60, "minute", "minutes"),
        3_600..86_400 => (seconds / 3_600, "hour", "hours"),
        _ => (seconds / 86_400, "day", "days"),
    };
    quantity(count, one, many)
}

fn query_strings(distribution: &SeenDistribution, subject: Subject<'_>) -> Finding {
    let check = "query strings";
    let variants: Vec<_> = distribution.behaviours.iter().filter(|one| one.has_variants).collect();
    let Some(first) = variants.first() else { return subject.ok(check, "not in the cache key") };
    if variants.iter().all(|one| one.query_strings == "unknown") {
        let why = "CloudFront does not tell thaw what is in the cache key, because the cache policy is gone or thaw may not read it. So each path is invalidated with a wildcard for its query strings, too. Deploy the stack's current template.";
        return subject.warning(check, format!("not known for {}", patterns(&variants)), why);
    }
    let which = match (first.query_strings.as_str(), first.query_string_names.join(", ")) {
        ("whitelist", names) => names,
        ("all_except", names) => format!("all but {names}"),
        _ => "all".to_owned(),
    };
    let why = "An object is cached once for each query string. So each of its paths is invalidated with a wildcard for its query strings, too: up to twice the price, and CloudFront takes fewer wildcards than paths. If your objects do not depend on the query string, the command takes it out of the cache key.";
    let without =
        format!("(del(.ForwardedValues, .MinTTL, .DefaultTTL, .MaxTTL) | .CachePolicyId = \"{CACHING_OPTIMIZED}\")");
    let filter = match first.path_pattern.as_str() {
        "*" => format!(".DefaultCacheBehavior |= {without}"),
        pattern => {
            let pattern = Value::from(pattern);
            format!(".CacheBehaviors.Items |= map(if .PathPattern == {pattern} then {without} else . end)")
        }
    };
    let found = format!("in the cache key of {}: {which}", patterns(&variants));
    subject.warning(check, found, why).mend(change_distribution(&distribution.id, &filter))
}

fn patterns(behaviours: &[&SeenBehaviour]) -> String {
    let patterns: Vec<_> = behaviours.iter().map(|one| one.path_pattern.as_str()).collect();
    patterns.join(", ")
}

fn functions(distribution: &SeenDistribution, facts: &Facts, subject: Subject<'_>) -> Vec<Finding> {
    let check = "functions";
    let mut out = Vec::new();
    for behaviour in &distribution.behaviours {
        for function in behaviour.functions.iter().filter(|function| !function.has_rule) {
            let found = format!("{} of {} without a rule", function.name, behaviour.path_pattern);
            let why = "The function may show keys under other paths, and neither DirectoryIndex nor PathRules says which: those paths are not invalidated, and no wildcards are used here. The command says that it rewrites nothing; if it does, write its keys and paths instead.";
            let rules = with_rule(distribution, behaviour, facts);
            let finding = subject.warning(check, found, why);
            out.push(finding.mend(set_parameter(&facts.stack_name, &facts.region, "PathRules", &rules)));
        }
        if behaviour.has_unknown_function && behaviour.functions.iter().all(|function| function.has_rule) {
            let why = "A function on origin-response may change what is cached, in a way that thaw cannot know. So no wildcards are used here, and each path is paid.";
            out.push(subject.note(check, format!("one on origin-response of {}", behaviour.path_pattern), why));
        }
    }
    if out.is_empty() {
        let count = distribution.behaviours.iter().map(|one| one.functions.len()).sum::<usize>();
        let found = if count == 0 { "none that rewrites paths".to_owned() } else { "a rule speaks of each".to_owned() };
        out.push(subject.ok(check, found));
    }
    out
}

/// The stack's rules, and one that says that the functions of a behaviour rewrite nothing.
fn with_rule(distribution: &SeenDistribution, behaviour: &SeenBehaviour, facts: &Facts) -> String {
    let written = facts.stack.as_ref().ok().and_then(|stack| stack.parameters.get("PathRules"));
    let mut rules: Vec<Value> = written.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
    let root = distribution.origins.first().map(|origin| origin.path.trim_start_matches('/')).unwrap_or_default();
    let keys = if root.is_empty() { "{path...}".to_owned() } else { format!("{root}/{{path...}}") };
    rules.push(json!({
        "distribution": distribution.id, "behaviour": behaviour.path_pattern, "keys": keys, "paths": ["/{path...}"],
    }));
    Value::from(rules).to_string()
}
