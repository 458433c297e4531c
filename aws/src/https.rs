//! Plain HTTPS, for requests that no SDK makes: the answers to CloudFormation.

use std::time::Duration;

use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use thaw_custom_resource::{HttpClient, Put};

use crate::error::causes;

/// An HTTPS client: the SDK's own, with the same TLS.
#[derive(Debug, Clone)]
pub struct Https(SharedHttpConnector);

impl Https {
    pub(crate) fn new() -> Self {
        let settings = HttpConnectorSettings::builder().connect_timeout(Duration::from_secs(3)).build();
        let connector = Connector::builder()
            .connector_settings(settings)
            .sleep_impl(TokioSleep::new())
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build();
        Self(SharedHttpConnector::new(connector))
    }
}

impl HttpClient for Https {
    async fn put(&self, answer: &Put) -> Result<u16, String> {
        let mut request = HttpRequest::new(SdkBody::from(answer.body()));
        request.set_method("PUT").map_err(|error| error.to_string())?;
        request.set_uri(answer.url()).map_err(|error| error.to_string())?;
        for (name, value) in Put::HEADERS {
            request.headers_mut().insert(name, value);
        }
        request.headers_mut().insert("content-length", answer.body().len().to_string());
        match self.0.call(request).await {
            Ok(response) => Ok(response.status().as_u16()),
            Err(error) => Err(causes(&error)),
        }
    }
}
