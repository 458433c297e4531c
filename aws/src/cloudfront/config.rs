//! What thaw reads in the config of a distribution: all that decides about paths, cache keys and staleness.

use std::collections::BTreeMap;

use aws_sdk_cloudfront::types::{
    CacheBehaviors, CachePolicyQueryStringBehavior, CachePolicyQueryStringsConfig, CustomErrorResponses,
    DistributionConfig, EventType, ForwardedValues, FunctionAssociations, LambdaFunctionAssociations,
    OriginGroupMembers, OriginGroups, Origins, QueryStringCacheKeys, QueryStringNames, StatusCodes,
};
use thaw_core::{Behaviour, Distribution, ErrorRule, Origin, OriginGroup, PathRules, QueryStrings};

/// CloudFront's default if a config has no value (Developer Guide, "How CloudFront caches HTTP 4xx and 5xx").
const DEFAULT_ERROR_TTL: i64 = 10;

/// The part of a config that decides about paths and staleness.
#[expect(
    deprecated,
    reason = "behaviours without a cache policy are not deprecated, and say it with `ForwardedValues`"
)]
pub fn read_config(id: &str, config: &DistributionConfig) -> Distribution {
    let groups = config.origin_groups().map(OriginGroups::items).unwrap_or_default();
    let behaviours = config.cache_behaviors().map(CacheBehaviors::items).unwrap_or_default();
    let named = behaviours.iter().map(|behaviour| Behaviour {
        pattern: behaviour.path_pattern().to_owned(),
        target: behaviour.target_origin_id().to_owned(),
        has_origin_function: has_response_function(behaviour.lambda_function_associations()),
        query_strings: of_forwarded_values(behaviour.forwarded_values()),
    });
    let default = config.default_cache_behavior().map(|behaviour| Behaviour {
        pattern: "*".to_owned(),
        target: behaviour.target_origin_id().to_owned(),
        has_origin_function: has_response_function(behaviour.lambda_function_associations()),
        query_strings: of_forwarded_values(behaviour.forwarded_values()),
    });
    let of_default = config.default_cache_behavior().and_then(|behaviour| {
        let function = viewer_function(behaviour.lambda_function_associations(), behaviour.function_associations());
        function.map(|function| ("*".to_owned(), function))
    });
    let origin_of_default = config.default_cache_behavior().and_then(|behaviour| {
        origin_function(behaviour.lambda_function_associations()).map(|function| ("*".to_owned(), function))
    });
    let origin_functions = behaviours.iter().filter_map(|behaviour| {
        let function = origin_function(behaviour.lambda_function_associations())?;
        Some((behaviour.path_pattern().to_owned(), function))
    });
    let origin_functions = origin_functions.chain(origin_of_default).collect();
    let viewer_functions = behaviours.iter().filter_map(|behaviour| {
        let function = viewer_function(behaviour.lambda_function_associations(), behaviour.function_associations());
        function.map(|function| (behaviour.path_pattern().to_owned(), function))
    });
    let viewer_functions = viewer_functions.chain(of_default).collect();
    let errors = config.custom_error_responses().map(CustomErrorResponses::items).unwrap_or_default();
    let errors = errors.iter().filter_map(|error| {
        let seconds = error.error_caching_min_ttl().unwrap_or(DEFAULT_ERROR_TTL);
        // An invalid code or TTL makes no rule.
        Some(ErrorRule { code: error.error_code().try_into().ok()?, min_ttl: seconds.try_into().ok()? })
    });
    Distribution {
        id: id.to_owned(),
        primary: None,
        origins: read_origins(config.origins()),
        groups: groups
            .iter()
            .map(|group| {
                let members = group.members().map(OriginGroupMembers::items).unwrap_or_default();
                let codes = group.failover_criteria().and_then(|criteria| criteria.status_codes());
                let codes = codes.map(StatusCodes::items).unwrap_or_default();
                OriginGroup {
                    id: group.id().to_owned(),
                    members: members.iter().map(|member| member.origin_id().to_owned()).collect(),
                    fails_over_on: codes.iter().filter_map(|code| u16::try_from(*code).ok()).collect(),
                }
            })
            .collect(),
        behaviours: named.chain(default).collect(),
        default_root_object: config.default_root_object().unwrap_or_default().to_owned(),
        errors: errors.collect(),
        viewer_functions,
        origin_functions,
        rules: PathRules::default(),
    }
}

pub fn read_origins(origins: Option<&Origins>) -> Vec<Origin> {
    let read = |origin: &aws_sdk_cloudfront::types::Origin| Origin {
        id: origin.id().to_owned(),
        domain: origin.domain_name().to_owned(),
        path: origin.origin_path().unwrap_or_default().to_owned(),
    };
    origins.map(Origins::items).unwrap_or_default().iter().map(read).collect()
}

/// The name of the function that sees the requests of a behaviour before the cache, if there is one. It may rewrite the
/// path, and a CloudFront Function may also select another origin (Developer Guide, "Helper methods for origin
/// modification").
fn viewer_function(
    lambdas: Option<&LambdaFunctionAssociations>,
    functions: Option<&FunctionAssociations>,
) -> Option<String> {
    let functions = functions.map(FunctionAssociations::items).unwrap_or_default().iter();
    let functions = functions.map(|function| (function.event_type(), function.function_arn()));
    let lambdas = lambdas.map(LambdaFunctionAssociations::items).unwrap_or_default().iter();
    let lambdas = lambdas.map(|function| (function.event_type(), function.lambda_function_arn()));
    let (_, arn) = functions.chain(lambdas).find(|(event, _)| **event == EventType::ViewerRequest)?;
    name_of(arn)
}

/// The name of the function that sees the requests of a behaviour before the origin is asked, if there is one. It may rewrite
/// the path and select another origin.
fn origin_function(lambdas: Option<&LambdaFunctionAssociations>) -> Option<String> {
    let mut lambdas = lambdas.map(LambdaFunctionAssociations::items).unwrap_or_default().iter();
    name_of(lambdas.find(|function| *function.event_type() == EventType::OriginRequest)?.lambda_function_arn())
}

/// The name in a function's ARN: `…:function/name`, or `…:function:name:version`.
fn name_of(arn: &str) -> Option<String> {
    arn.rsplit_once("function").map(|(_, name)| name.trim_start_matches(['/', ':']).to_owned())
}

/// The cache policies of a config's behaviours, by path pattern.
pub fn cache_policies(config: &DistributionConfig) -> BTreeMap<String, String> {
    let named = config.cache_behaviors().map(CacheBehaviors::items).unwrap_or_default();
    let named = named.iter().map(|behaviour| (behaviour.path_pattern(), behaviour.cache_policy_id()));
    let default = config.default_cache_behavior().map(|behaviour| ("*", behaviour.cache_policy_id()));
    let all = named.chain(default).filter_map(|(pattern, id)| Some((pattern, id.filter(|id| !id.is_empty())?)));
    all.map(|(pattern, id)| (pattern.to_owned(), id.to_owned())).collect()
}

/// What a behaviour without a cache policy has in its cache key (API Reference, "ForwardedValues").
fn of_forwarded_values(values: Option<&ForwardedValues>) -> QueryStrings {
    let Some(values) = values.filter(|values| values.query_string()) else { return QueryStrings::None };
    let names = values.query_string_cache_keys().map(QueryStringCacheKeys::items).unwrap_or_default();
    if names.is_empty() { QueryStrings::All } else { QueryStrings::Whitelist(names.iter().cloned().collect()) }
}

pub fn of_cache_policy(config: &CachePolicyQueryStringsConfig) -> QueryStrings {
    let names = config.query_strings().map(QueryStringNames::items).unwrap_or_default().iter().cloned().collect();
    match config.query_string_behavior() {
        CachePolicyQueryStringBehavior::None => QueryStrings::None,
        CachePolicyQueryStringBehavior::Whitelist => QueryStrings::Whitelist(names),
        CachePolicyQueryStringBehavior::AllExcept => QueryStrings::AllExcept(names),
        CachePolicyQueryStringBehavior::All => QueryStrings::All,
        _ => QueryStrings::Unknown,
    }
}

/// Whether a function may change what the origin answers before it is cached.
fn has_response_function(functions: Option<&LambdaFunctionAssociations>) -> bool {
    let functions = functions.map(LambdaFunctionAssociations::items).unwrap_or_default();
    functions.iter().any(|function| *function.event_type() == EventType::OriginResponse)
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudfront::types::{
        CacheBehavior, CustomErrorResponse, DefaultCacheBehavior, FunctionAssociation, LambdaFunctionAssociation,
        OriginGroupFailoverCriteria, OriginGroupMember, ViewerProtocolPolicy,
    };

    use super::*;

    fn origin(id: &str, domain: &str, path: &str) -> aws_sdk_cloudfront::types::Origin {
        aws_sdk_cloudfront::types::Origin::builder().id(id).domain_name(domain).origin_path(path).build().unwrap()
    }

    fn functions<const N: usize>(events: [EventType; N]) -> LambdaFunctionAssociations {
        let association = |event: EventType| {
            let arn = format!("arn:aws:lambda:us-east-1:111122223333:function:{}:3", event.as_str());
            LambdaFunctionAssociation::builder().lambda_function_arn(arn).event_type(event).build().unwrap()
        };
        let items = events.into_iter().map(association).collect();
        LambdaFunctionAssociations::builder().quantity(1).set_items(Some(items)).build().unwrap()
    }

    fn edge_function() -> FunctionAssociations {
        let arn = "arn:aws:cloudfront::111122223333:function/index";
        let association = FunctionAssociation::builder().function_arn(arn).event_type(EventType::ViewerRequest).build();
        FunctionAssociations::builder().quantity(1).items(association.unwrap()).build().unwrap()
    }

    fn error(code: i32, ttl: Option<i64>) -> CustomErrorResponse {
        CustomErrorResponse::builder().error_code(code).set_error_caching_min_ttl(ttl).build().unwrap()
    }

    fn group() -> aws_sdk_cloudfront::types::OriginGroup {
        let member = |id: &str| OriginGroupMember::builder().origin_id(id).build().unwrap();
        let members = OriginGroupMembers::builder().quantity(2).items(member("bucket")).items(member("spare"));
        let codes = StatusCodes::builder().quantity(2).items(403).items(404).build().unwrap();
        aws_sdk_cloudfront::types::OriginGroup::builder()
            .id("both")
            .members(members.build().unwrap())
            .failover_criteria(OriginGroupFailoverCriteria::builder().status_codes(codes).build())
            .build()
            .unwrap()
    }

    fn config() -> DistributionConfig {
        let origins = Origins::builder()
            .quantity(2)
            .items(origin("bucket", "archive.s3.eu-central-1.amazonaws.com", "/public"))
            .items(origin("spare", "example.com", ""));
        let behaviour = CacheBehavior::builder()
            .path_pattern("img/*")
            .target_origin_id("both")
            .viewer_protocol_policy(ViewerProtocolPolicy::AllowAll)
            .lambda_function_associations(functions([EventType::OriginResponse, EventType::OriginRequest]))
            .function_associations(edge_function());
        let default = DefaultCacheBehavior::builder()
            .target_origin_id("bucket")
            .viewer_protocol_policy(ViewerProtocolPolicy::AllowAll)
            .lambda_function_associations(functions([EventType::ViewerRequest]));
        let errors = CustomErrorResponses::builder().quantity(2).items(error(403, Some(0))).items(error(404, None));
        DistributionConfig::builder()
            .caller_reference("r")
            .comment("")
            .enabled(true)
            .origins(origins.build().unwrap())
            .origin_groups(OriginGroups::builder().quantity(1).items(group()).build().unwrap())
            .cache_behaviors(CacheBehaviors::builder().quantity(1).items(behaviour.build().unwrap()).build().unwrap())
            .default_cache_behavior(default.build().unwrap())
            .default_root_object("index.html")
            .custom_error_responses(errors.build().unwrap())
            .build()
            .unwrap()
    }

    #[test]
    fn a_config_keeps_what_decides_paths_and_staleness() {
        let read = read_config("E1", &config());
        let behaviour = |pattern: &str, target: &str, has_origin_function| Behaviour {
            pattern: pattern.to_owned(),
            target: target.to_owned(),
            has_origin_function,
            query_strings: QueryStrings::None,
        };
        let expected = Distribution {
            id: "E1".to_owned(),
            primary: None,
            origins: vec![
                Origin {
                    id: "bucket".to_owned(),
                    domain: "archive.s3.eu-central-1.amazonaws.com".to_owned(),
                    path: "/public".to_owned(),
                },
                Origin { id: "spare".to_owned(), domain: "example.com".to_owned(), path: String::new() },
            ],
            groups: vec![OriginGroup {
                id: "both".to_owned(),
                members: vec!["bucket".to_owned(), "spare".to_owned()],
                fails_over_on: vec![403, 404],
            }],
            behaviours: vec![behaviour("img/*", "both", true), behaviour("*", "bucket", false)],
            default_root_object: "index.html".to_owned(),
            errors: vec![ErrorRule { code: 403, min_ttl: 0 }, ErrorRule { code: 404, min_ttl: 10 }],
            viewer_functions: [("*", "viewer-request:3"), ("img/*", "index")]
                .map(|(pattern, function)| (pattern.to_owned(), function.to_owned()))
                .into(),
            origin_functions: [("img/*".to_owned(), "origin-request:3".to_owned())].into(),
            rules: PathRules::default(),
        };
        assert_eq!(read, expected);
        assert!(read.has_origin("archive"));
    }

    #[test]
    fn query_strings_in_the_cache_key_are_read_from_policies_and_forwarded_values() {
        let names = || ["v".to_owned()].into();
        let forwarded = |query_string, keys: &[&str]| {
            let keys = QueryStringCacheKeys::builder()
                .quantity(1)
                .set_items(Some(keys.iter().map(|key| (*key).to_owned()).collect()));
            let values = ForwardedValues::builder().query_string(query_string);
            of_forwarded_values(Some(&values.query_string_cache_keys(keys.build().unwrap()).build().unwrap()))
        };
        assert_eq!(of_forwarded_values(None), QueryStrings::None);
        assert_eq!(forwarded(false, &[]), QueryStrings::None);
        assert_eq!(forwarded(true, &[]), QueryStrings::All);
        assert_eq!(forwarded(true, &["v"]), QueryStrings::Whitelist(names()));
        for (behaviour, expected) in [
            ("none", QueryStrings::None),
            ("whitelist", QueryStrings::Whitelist(names())),
            ("allExcept", QueryStrings::AllExcept(names())),
            ("all", QueryStrings::All),
            ("some", QueryStrings::Unknown),
        ] {
            let listed = QueryStringNames::builder().quantity(1).items("v").build().unwrap();
            let config = CachePolicyQueryStringsConfig::builder().query_string_behavior(behaviour.into());
            assert_eq!(of_cache_policy(&config.query_strings(listed).build().unwrap()), expected, "{behaviour}");
        }
    }
}
