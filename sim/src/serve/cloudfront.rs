//! CloudFront's API (REST-XML, version 2020-05-31), as far as an invalidation needs it.

use super::cloudfront_xml::{
    cache_policy, distribution, distribution_config, distribution_list, error, invalidation, invalidation_list,
    origin_access_control, parse_batch, policy,
};
use super::control;
use super::http::{header, read, reply};
use super::shared::Shared;
use crate::cdn::InvalidationRequest;
use crate::model::ApiError;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use std::sync::Arc;

const VERSION: &str = "/2020-05-31/";

/// Answers a request to the API, or to the control endpoint on the same port.
pub(crate) async fn call(shared: Arc<Shared>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let body = read(body).await;
    let path = parts.uri.path();
    if let Some(what) = path.strip_prefix("/_sim/") {
        return control::call(&shared, &parts.method, what, &body);
    }
    let request_id = format!("{:x}", shared.clock.now().as_nanosecond());
    let answer = path.strip_prefix(VERSION).ok_or_else(unknown).and_then(|path| {
        let path: Vec<&str> = path.trim_end_matches('/').split('/').collect();
        answer(&shared, &parts.method, &path, parts.uri.query().unwrap_or_default(), &body)
    });
    let mut response = match answer {
        Ok(response) => response,
        Err(api_error) => reply(api_error.status(), "text/xml", error(&api_error, &request_id)),
    };
    header(&mut response, "x-amzn-requestid", &request_id);
    response
}

fn answer(
    shared: &Shared,
    method: &Method,
    path: &[&str],
    query: &str,
    body: &Bytes,
) -> Result<Response<Full<Bytes>>, ApiError> {
    let now = shared.clock.now();
    let mut sim = shared.sim();
    match (method.as_str(), path) {
        ("GET", ["distribution"]) => {
            let list = sim.list_distributions()?;
            Ok(reply(200, "text/xml", distribution_list(&list)))
        }
        ("GET", ["distribution", id]) => {
            let found = sim.get_distribution(id)?;
            let mut response = reply(200, "text/xml", distribution(found, now));
            header(&mut response, "etag", &found.etag());
            Ok(response)
        }
        ("GET", ["distribution", id, "config"]) => {
            let found = sim.get_distribution(id)?;
            let mut response = reply(200, "text/xml", distribution_config(found));
            header(&mut response, "etag", &found.etag());
            Ok(response)
        }
        ("GET", ["cache-policy", id]) => {
            let found = sim.get_cache_policy(id)?;
            Ok(reply(200, "text/xml", cache_policy(&found, now)))
        }
        ("GET", ["origin-access-control", id]) => {
            let found = sim.get_origin_access_control(id)?;
            Ok(reply(200, "text/xml", origin_access_control(&found)))
        }
        ("GET", ["continuous-deployment-policy", id]) => {
            let found = sim.get_continuous_deployment_policy(id)?;
            Ok(reply(200, "text/xml", policy(&found, now)))
        }
        ("POST", ["distribution", id, "invalidation"]) => {
            let batch = parse_batch(body)?;
            let request = InvalidationRequest {
                distribution: (*id).to_owned(),
                caller_reference: batch.caller_reference,
                items: batch.items,
                quantity: batch.quantity,
            };
            let made = sim.create_invalidation(&request, now)?;
            let mut response = reply(201, "text/xml", invalidation(&made, now));
            let location =
                format!("https://cloudfront.amazonaws.com{VERSION}distribution/{id}/invalidation/{}", made.id);
            header(&mut response, "location", &location);
            Ok(response)
        }
        ("GET", ["distribution", id, "invalidation"]) => {
            let argument = |name: &str| {
                query
                    .split('&')
                    .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
                    .filter(|value| !value.is_empty())
            };
            let (marker, max) = (argument("Marker"), argument("MaxItems").and_then(|max| max.parse().ok()));
            let page = sim.list_invalidations(id, marker, max)?;
            Ok(reply(200, "text/xml", invalidation_list(&page, marker, max, now)))
        }
        ("GET", ["distribution", id, "invalidation", invalidation_id]) => {
            let found = sim.get_invalidation(id, invalidation_id)?;
            Ok(reply(200, "text/xml", invalidation(&found, now)))
        }
        (_, _) => Err(unknown()),
    }
}

fn unknown() -> ApiError {
    ApiError::new("UnknownOperationException", 404, "the simulator does not know this operation of CloudFront")
}
