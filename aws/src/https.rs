//! Plain HTTPS, for requests that no SDK makes: the answers to CloudFormation, and single calls.

use std::time::Duration;

use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorSettings, HttpConnectorSettingsBuilder, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use thaw_custom_resource::{HttpClient, Put};

use crate::error::causes;

/// An HTTPS client: the SDK's own, with the same TLS.
#[derive(Debug, Clone)]
pub struct Https(SharedHttpConnector);

impl Https {
    /// A client that waits for an answer as long as its caller does.
    pub(crate) fn new() -> Self {
        Self::with(HttpConnectorSettings::builder())
    }

    /// A client that waits so long for an answer.
    pub(crate) fn answering_within(time: Duration) -> Self {
        Self::with(HttpConnectorSettings::builder().read_timeout(time))
    }

    fn with(settings: HttpConnectorSettingsBuilder) -> Self {
        let connector = Connector::builder()
            .connector_settings(settings.connect_timeout(Duration::from_secs(3)).build())
            .sleep_impl(TokioSleep::new())
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build();
        Self(SharedHttpConnector::new(connector))
    }

    /// `GET` with these headers: the status and the body.
    pub(crate) async fn get(
        &self,
        url: &str,
        headers: impl Iterator<Item = (&str, &str)>,
    ) -> Result<(u16, Vec<u8>), String> {
        let mut request = HttpRequest::get(url).map_err(|error| error.to_string())?;
        for (name, value) in headers {
            request.headers_mut().insert(name.to_owned(), value.to_owned());
        }
        let response = self.0.call(request).await.map_err(|error| causes(&error))?;
        let status = response.status().as_u16();
        let body = ByteStream::new(response.into_body()).collect().await;
        body.map(|body| (status, body.to_vec())).map_err(|error| error.to_string())
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
