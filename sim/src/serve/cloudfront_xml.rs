//! CloudFront's XML: answers with every member that the API calls required, and the one request body there is.

use crate::cdn::{
    Behavior, CachePolicy, ContinuousDeploymentPolicy, Distribution, DistributionConfig, Invalidation,
    InvalidationPage, Origin, Traffic,
};
use crate::model::ApiError;
use jiff::Timestamp;
use quick_xml::Reader;
use quick_xml::escape::escape;
use quick_xml::events::Event;

const NAMESPACE: &str = "http://cloudfront.amazonaws.com/doc/2020-05-31/";

/// `<name>content</name>`; the content is XML already.
fn tag(name: &str, content: &str) -> String {
    format!("<{name}>{content}</{name}>")
}

/// `<name>text</name>`.
fn text(name: &str, text: &str) -> String {
    tag(name, &escape(text))
}

fn number(name: &str, number: impl ToString) -> String {
    tag(name, &number.to_string())
}

fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// CloudFront's lists: a count, and the items if there are any.
fn list(name: &str, items: &[String]) -> String {
    let content = if items.is_empty() { String::new() } else { tag("Items", &items.concat()) };
    tag(name, &(number("Quantity", items.len()) + &content))
}

fn document(name: &str, content: &str) -> String {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{name} xmlns=\"{NAMESPACE}\">{content}</{name}>")
}

/// The body of an error answer.
pub(super) fn error(api_error: &ApiError, request_id: &str) -> String {
    let kind = if api_error.status() < 500 { "Sender" } else { "Receiver" };
    let inner = [text("Type", kind), text("Code", api_error.code()), text("Message", api_error.message())].concat();
    document("ErrorResponse", &(tag("Error", &inner) + &text("RequestId", request_id)))
}

/// `Invalidation`.
pub(super) fn invalidation(invalidation: &Invalidation, now: Timestamp) -> String {
    let items: Vec<String> = invalidation.items.iter().map(|item| text("Path", item)).collect();
    let batch = list("Paths", &items) + &text("CallerReference", &invalidation.caller_reference);
    document("Invalidation", &(summary(invalidation, now) + &tag("InvalidationBatch", &batch)))
}

fn summary(invalidation: &Invalidation, now: Timestamp) -> String {
    let status = invalidation.status(now).as_str();
    [text("Id", &invalidation.id), text("Status", status), text("CreateTime", &time(invalidation.created))].concat()
}

/// `InvalidationList`.
pub(super) fn invalidation_list(
    page: &InvalidationPage,
    marker: Option<&str>,
    max: Option<usize>,
    now: Timestamp,
) -> String {
    let items: Vec<String> =
        page.invalidations.iter().map(|one| tag("InvalidationSummary", &summary(one, now))).collect();
    let next = page.next.as_deref().map(|next| text("NextMarker", next)).unwrap_or_default();
    let head = text("Marker", marker.unwrap_or_default()) + &next;
    listing("InvalidationList", &head, max, page.next.is_some(), &items)
}

/// `DistributionList`: one page of all.
pub(super) fn distribution_list(distributions: &[&Distribution]) -> String {
    let items: Vec<String> =
        distributions.iter().map(|one| tag("DistributionSummary", &distribution_summary(one))).collect();
    listing("DistributionList", &text("Marker", ""), None, false, &items)
}

fn listing(name: &str, head: &str, max: Option<usize>, more: bool, items: &[String]) -> String {
    let counted = list("x", items);
    let counted = counted.trim_start_matches("<x>").trim_end_matches("</x>");
    let content = format!("{head}{}{}{counted}", number("MaxItems", max.unwrap_or(100)), number("IsTruncated", more));
    document(name, &content)
}

/// `Distribution`.
pub(super) fn distribution(distribution: &Distribution, now: Timestamp) -> String {
    let running = distribution.invalidations().iter().filter(|one| one.completed > now).count();
    let content = [
        text("Id", distribution.id()),
        text("ARN", &arn(distribution)),
        text("Status", "Deployed"),
        text("LastModifiedTime", &time(distribution.made())),
        number("InProgressInvalidationBatches", running),
        text("DomainName", &distribution.domain_name()),
        tag("DistributionConfig", &config(distribution.config())),
    ];
    document("Distribution", &content.concat())
}

/// `DistributionConfig`.
pub(super) fn distribution_config(distribution: &Distribution) -> String {
    document("DistributionConfig", &config(distribution.config()))
}

fn arn(distribution: &Distribution) -> String {
    format!("arn:aws:cloudfront::000000000000:distribution/{}", distribution.id())
}

fn distribution_summary(distribution: &Distribution) -> String {
    [
        text("Id", distribution.id()),
        text("ARN", &arn(distribution)),
        text("Status", "Deployed"),
        text("LastModifiedTime", &time(distribution.made())),
        text("DomainName", &distribution.domain_name()),
        routing(distribution.config()),
        rest(distribution.config()),
        text("WebACLId", ""),
        text("HttpVersion", "http2"),
        tag("IsIPV6Enabled", "true"),
        number("Staging", distribution.config().staging),
        mode(distribution.config()),
    ]
    .concat()
}

/// `ConnectionMode`.
fn mode(config: &DistributionConfig) -> String {
    text("ConnectionMode", if config.tenant_only { "tenant-only" } else { "direct" })
}

/// `ContinuousDeploymentPolicy`.
pub(super) fn policy(policy: &ContinuousDeploymentPolicy, now: Timestamp) -> String {
    let names: Vec<String> = policy.staging_distributions.iter().map(|name| text("DnsName", name)).collect();
    let traffic = match &policy.traffic {
        Traffic::Header { name, value } => {
            tag("SingleHeaderConfig", &(text("Header", name) + &text("Value", value))) + &text("Type", "SingleHeader")
        }
        Traffic::Percent(percent) => {
            let weight = number("Weight", f32::from(*percent) / 100.0);
            tag("SingleWeightConfig", &weight) + &text("Type", "SingleWeight")
        }
    };
    let config = [
        list("StagingDistributionDnsNames", &names),
        number("Enabled", policy.enabled),
        tag("TrafficConfig", &traffic),
    ];
    let config = config.concat();
    let inner = [
        text("Id", &policy.id),
        text("LastModifiedTime", &time(now)),
        tag("ContinuousDeploymentPolicyConfig", &config),
    ];
    document("ContinuousDeploymentPolicy", &inner.concat())
}

fn config(config: &DistributionConfig) -> String {
    let logging = tag("Enabled", "false") + &tag("IncludeCookies", "false") + &text("Bucket", "") + &text("Prefix", "");
    [
        text("CallerReference", config.id.as_deref().unwrap_or_default()),
        text("DefaultRootObject", &config.default_root_object),
        routing(config),
        tag("Logging", &logging),
        rest(config),
        text("WebACLId", ""),
        text("HttpVersion", "http2"),
        tag("IsIPV6Enabled", "true"),
        text("ContinuousDeploymentPolicyId", config.continuous_deployment_policy_id.as_deref().unwrap_or_default()),
        number("Staging", config.staging),
        mode(config),
    ]
    .concat()
}

/// Aliases, origins, behaviours, errors: what a distribution and its summary in a listing share.
fn routing(config: &DistributionConfig) -> String {
    let behavior = |one: &Behavior| behavior(one, config.directory_index.is_some());
    let aliases: Vec<String> = config.aliases.iter().map(|alias| text("CNAME", alias)).collect();
    let origins: Vec<String> = config.origins.iter().map(origin).collect();
    let groups: Vec<String> = config
        .origin_groups
        .iter()
        .map(|group| {
            let statuses: Vec<String> =
                group.failover_statuses.iter().map(|status| number("StatusCode", status)).collect();
            let members = group.members.iter().map(|member| tag("OriginGroupMember", &text("OriginId", member)));
            let criteria = tag("FailoverCriteria", &list("StatusCodes", &statuses));
            let members = list("Members", &members.collect::<Vec<_>>());
            tag("OriginGroup", &[text("Id", &group.id), criteria, members].concat())
        })
        .collect();
    let pattern = |one: &Behavior| tag("CacheBehavior", &(text("PathPattern", &one.path_pattern) + &behavior(one)));
    let errors = config.custom_error_responses.iter().map(|custom| {
        let page = custom.response_page_path.as_deref().unwrap_or_default();
        let code = custom.response_code.map(|code| code.to_string()).unwrap_or_default();
        let inner = [
            number("ErrorCode", custom.error_code),
            text("ResponsePagePath", page),
            text("ResponseCode", &code),
            number("ErrorCachingMinTTL", custom.error_caching_min_ttl.unwrap_or(10)),
        ];
        tag("CustomErrorResponse", &inner.concat())
    });
    [
        list("Aliases", &aliases),
        list("Origins", &origins),
        list("OriginGroups", &groups),
        tag("DefaultCacheBehavior", &behavior(&config.default_behavior)),
        list("CacheBehaviors", &config.behaviors.iter().map(pattern).collect::<Vec<_>>()),
        list("CustomErrorResponses", &errors.collect::<Vec<_>>()),
    ]
    .concat()
}

fn rest(config: &DistributionConfig) -> String {
    let certificate = tag("CloudFrontDefaultCertificate", "true") + &text("MinimumProtocolVersion", "TLSv1");
    let geo = text("RestrictionType", "none") + &number("Quantity", 0);
    [
        text("Comment", &config.comment),
        text("PriceClass", "PriceClass_All"),
        number("Enabled", !config.disabled),
        tag("ViewerCertificate", &certificate),
        tag("Restrictions", &tag("GeoRestriction", &geo)),
    ]
    .concat()
}

fn origin(origin: &Origin) -> String {
    let kind = if origin.holding_page.is_some() {
        let protocols = list("OriginSslProtocols", &[text("SslProtocol", "TLSv1.2")]);
        let inner =
            [number("HTTPPort", 80), number("HTTPSPort", 443), text("OriginProtocolPolicy", "https-only"), protocols];
        tag("CustomOriginConfig", &inner.concat())
    } else {
        tag("S3OriginConfig", &text("OriginAccessIdentity", ""))
    };
    let inner = [
        text("Id", &origin.id),
        text("DomainName", &origin.domain_name),
        text("OriginPath", &origin.origin_path),
        list("CustomHeaders", &[]),
        kind,
        number("ConnectionAttempts", 3),
        number("ConnectionTimeout", 10),
        text("OriginAccessControlId", origin.origin_access_control.as_deref().unwrap_or_default()),
    ];
    tag("Origin", &inner.concat())
}

/// `CachePolicy`.
pub(super) fn cache_policy(policy: &CachePolicy, now: Timestamp) -> String {
    let names: Vec<String> = policy.query_strings.iter().map(|name| text("Name", name)).collect();
    let mut query_strings = text("QueryStringBehavior", policy.query_string_behavior.as_str());
    if !names.is_empty() {
        query_strings += &list("QueryStrings", &names);
    }
    let parameters = [
        number("EnableAcceptEncodingGzip", false),
        tag("HeadersConfig", &text("HeaderBehavior", "none")),
        tag("CookiesConfig", &text("CookieBehavior", "none")),
        tag("QueryStringsConfig", &query_strings),
    ];
    let config = [
        text("Name", &policy.id),
        number("DefaultTTL", 86_400),
        number("MaxTTL", 31_536_000),
        number("MinTTL", 0),
        tag("ParametersInCacheKeyAndForwardedToOrigin", &parameters.concat()),
    ];
    let inner =
        [text("Id", &policy.id), text("LastModifiedTime", &time(now)), tag("CachePolicyConfig", &config.concat())];
    document("CachePolicy", &inner.concat())
}

/// `OriginAccessControl`: one that signs every request.
pub(super) fn origin_access_control(id: &str) -> String {
    let config = [
        text("Name", id),
        text("Description", ""),
        text("SigningProtocol", "sigv4"),
        text("SigningBehavior", "always"),
        text("OriginAccessControlOriginType", "s3"),
    ];
    document("OriginAccessControl", &(text("Id", id) + &tag("OriginAccessControlConfig", &config.concat())))
}

/// A CloudFront Function on viewer-request.
fn function_association(name: &str) -> String {
    let arn = format!("arn:aws:cloudfront::000000000000:function/{name}");
    tag("FunctionAssociation", &(text("FunctionARN", &arn) + &text("EventType", "viewer-request")))
}

/// A version of a Lambda@Edge function on origin-request.
fn lambda_association(name: &str) -> String {
    let arn = format!("arn:aws:lambda:us-east-1:000000000000:function:{name}:1");
    let inner = [text("LambdaFunctionARN", &arn), text("EventType", "origin-request"), tag("IncludeBody", "false")];
    tag("LambdaFunctionAssociation", &inner.concat())
}

/// With a cache policy, or with the older `ForwardedValues` and TTLs, which say in place what a policy says elsewhere.
fn behavior(behavior: &Behavior, adds_index: bool) -> String {
    let index = adds_index.then_some("directory-index");
    // A behaviour has one function for an event.
    let function = behavior.viewer_request.as_ref().map(|function| function.name.as_str()).or(index);
    let functions: Vec<String> = function.into_iter().map(function_association).collect();
    let lambdas: Vec<String> = behavior.origin_request.iter().map(|one| lambda_association(&one.name)).collect();
    let methods = [text("Method", "HEAD"), text("Method", "GET")];
    let allowed = list("AllowedMethods", &methods);
    let allowed = allowed.replace("</AllowedMethods>", &(list("CachedMethods", &methods) + "</AllowedMethods>"));
    let cookies = tag("Cookies", &text("Forward", "none"));
    let forwarded = [
        number("QueryString", behavior.query_string),
        cookies,
        list("Headers", &[]),
        list("QueryStringCacheKeys", &[]),
    ];
    let nobody = tag("Enabled", "false") + &number("Quantity", 0);
    let cached = match &behavior.cache_policy {
        Some(policy) => text("CachePolicyId", &policy.id),
        None => [
            tag("ForwardedValues", &forwarded.concat()),
            number("MinTTL", 0),
            number("DefaultTTL", behavior.default_ttl),
            number("MaxTTL", 31_536_000),
        ]
        .concat(),
    };
    [
        text("TargetOriginId", &behavior.target_origin_id),
        tag("TrustedSigners", &nobody),
        tag("TrustedKeyGroups", &nobody),
        text("ViewerProtocolPolicy", "allow-all"),
        allowed,
        tag("SmoothStreaming", "false"),
        tag("Compress", "false"),
        list("LambdaFunctionAssociations", &lambdas),
        list("FunctionAssociations", &functions),
        text("FieldLevelEncryptionId", ""),
        cached,
    ]
    .concat()
}

/// `InvalidationBatch`, the body of `CreateInvalidation`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) caller_reference: String,
    pub(super) items: Vec<String>,
    pub(super) quantity: Option<usize>,
}

pub(super) fn parse_batch(body: &[u8]) -> Result<Batch, ApiError> {
    let malformed = |_| ApiError::new("MalformedXML", 400, "The XML document that you provided was not well-formed.");
    if body.is_empty() {
        return Err(ApiError::new(
            "MissingBody",
            400,
            "This operation requires a body. Ensure that the body is present.",
        ));
    }
    let mut reader = Reader::from_reader(body);
    let mut batch = Batch::default();
    let mut content = String::new();
    loop {
        match reader.read_event().map_err(malformed)? {
            Event::Start(_) => content.clear(),
            Event::Text(piece) => content.push_str(&piece.decode().map_err(|error| malformed(error.into()))?),
            Event::GeneralRef(reference) => {
                let name = reference.decode().map_err(|error| malformed(error.into()))?;
                let whole = format!("&{name};");
                content.push_str(&quick_xml::escape::unescape(&whole).map_err(|error| malformed(error.into()))?);
            }
            Event::End(end) => match end.local_name().as_ref() {
                b"Path" => batch.items.push(std::mem::take(&mut content)),
                b"CallerReference" => batch.caller_reference = std::mem::take(&mut content),
                b"Quantity" => batch.quantity = content.trim().parse().ok(),
                _ => {}
            },
            Event::Eof => return Ok(batch),
            Event::Empty(_)
            | Event::CData(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_read_with_its_characters_unescaped() {
        let body = br#"<?xml version="1.0"?><InvalidationBatch xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/">
            <Paths><Quantity>2</Quantity><Items><Path>/a&amp;b&#39;c</Path><Path>/d*</Path></Items></Paths>
            <CallerReference>r &lt; s</CallerReference></InvalidationBatch>"#;
        let batch = parse_batch(body).expect("it is well-formed");
        let items = vec!["/a&b'c".to_owned(), "/d*".to_owned()];
        assert_eq!(batch, Batch { caller_reference: "r < s".to_owned(), items, quantity: Some(2) });
    }

    #[test]
    fn what_is_no_xml_is_refused() {
        assert_eq!(parse_batch(b"").expect_err("it is empty").code(), "MissingBody");
        assert_eq!(parse_batch(b"<a></b>").expect_err("it does not nest").code(), "MalformedXML");
    }
}
