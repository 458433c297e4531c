//! A signed `GET`, for single calls of a service whose SDK client would be the largest part of the program.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;

use crate::https::Https;

/// A service's API.
#[derive(Debug, Clone)]
pub(crate) struct SignedGet {
    https: Https,
    service: &'static str,
    endpoint: String,
    region: String,
    credentials: Credentials,
}

impl SignedGet {
    /// `service` is the name in signatures, `endpoint` a URL without a slash at its end.
    pub(crate) fn new(service: &'static str, endpoint: String, region: String, credentials: Credentials) -> Self {
        Self { https: Https::answering_within(Duration::from_secs(15)), service, endpoint, region, credentials }
    }

    /// The status and the body. Fails, in words, if there is no answer within 15 seconds.
    pub(crate) async fn get(&self, path: &str) -> Result<(u16, Vec<u8>), String> {
        let url = format!("{}{path}", self.endpoint);
        let identity = self.credentials.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(self.service)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| error.to_string())?;
        let request = SignableRequest::new("GET", &url, std::iter::empty(), SignableBody::Bytes(&[]));
        let signed =
            request.and_then(|request| sign(request, &parameters.into())).map_err(|error| error.to_string())?;
        let (headers, _) = signed.into_parts().0.into_parts();
        self.https.get(&url, headers.iter().map(|header| (header.name(), header.value()))).await
    }
}
