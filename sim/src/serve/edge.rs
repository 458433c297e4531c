//! The edge over HTTP: what a viewer's browser sees.

use super::http::{header, reply};
use super::shared::Shared;
use crate::cdn::CacheOutcome;
use crate::model::Sim;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use std::sync::Arc;

/// Answers a viewer.
pub(crate) async fn call(shared: Arc<Shared>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        return reply(403, "text/plain", "This distribution is not configured to allow this HTTP method.\n");
    }
    let now = shared.clock.now();
    let mut sim = shared.sim();
    let Some(asked) = distribution(&sim, &request) else {
        return reply(
            404,
            "text/plain",
            "No distribution answers here. Make one, or name one by Host or x-distribution.\n",
        );
    };
    let headers = request.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let id = sim.routed(&asked, &headers.collect::<Vec<_>>());
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    match sim.serve(&id, path, now) {
        Err(api_error) => reply(api_error.status(), "text/plain", format!("{api_error}\n")),
        Ok(answer) => {
            let mut response = reply(answer.status, &answer.content_type, answer.body);
            header(&mut response, "x-cache", answer.outcome.header());
            header(&mut response, "via", &format!("1.1 {}.cloudfront.net (CloudFront)", id.to_lowercase()));
            if answer.outcome == CacheOutcome::Hit || answer.age > 0 {
                header(&mut response, "age", &answer.age.to_string());
            }
            if let Some(etag) = answer.etag {
                header(&mut response, "etag", &format!("\"{etag}\""));
            }
            response
        }
    }
}

/// Which distribution is meant: by header `x-distribution`, by its name or alias as `Host`, or else the first.
fn distribution(sim: &Sim, request: &Request<Incoming>) -> Option<String> {
    let value = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    if let Some(id) = value("x-distribution") {
        return Some(id.to_owned());
    }
    let host = value("host").unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    let found = sim.distribution_at(host).or_else(|| sim.distributions().min_by_key(|one| one.made()));
    found.map(|one| one.id().to_owned())
}
