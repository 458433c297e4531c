//! The URL to which an answer is sent. Whoever has it can answer in the function's name.

use http::Uri;

/// A response URL. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ResponseUrl(String);

/// The hosts that an answer may be sent to.
///
/// CloudFormation's URLs are those of S3. Whoever may invoke the function could name others, and make it send a request
/// there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hosts {
    /// HTTPS to a host of AWS.
    Aws,
    /// `127.0.0.1` and `localhost`, also without TLS: an emulator.
    ThisMachine,
}

/// Why a response URL cannot be used. It does not quote the URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnusableUrl {
    /// The event has none.
    Missing,
    /// It is not a text.
    NoText,
    /// It cannot be read as a URL with a host.
    NoUrl,
    /// It has a user name, or a port that is not 443.
    Unusual,
    /// It is not HTTPS.
    NotHttps,
    /// It leads to a host that [`Hosts`] does not allow.
    WrongHost,
}

impl UnusableUrl {
    /// As people read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "ResponseURL is missing",
            Self::NoText => "ResponseURL is not a text",
            Self::NoUrl => "ResponseURL is not a URL",
            Self::Unusual => "ResponseURL has a user name or an unusual port",
            Self::NotHttps => "ResponseURL is not HTTPS",
            Self::WrongHost => "ResponseURL leads to a host that may not be answered",
        }
    }
}

/// The DNS suffixes of AWS's partitions (`dnsSuffix` in `partitions.json` of botocore).
const AWS: [&str; 7] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "c2s.ic.gov",
    "cloud.adc-e.uk",
    "csp.hci.ic.gov",
    "sc2s.sgov.gov",
];

impl ResponseUrl {
    /// Reads the URL of an event.
    ///
    /// # Errors
    ///
    /// [`UnusableUrl`]: nobody can be answered.
    pub fn read(url: &str, hosts: Hosts) -> Result<Self, UnusableUrl> {
        let read: Uri = url.parse().map_err(|_| UnusableUrl::NoUrl)?;
        let authority = read.authority().ok_or(UnusableUrl::NoUrl)?;
        let (host, port) = (authority.host().to_ascii_lowercase(), authority.port());
        if authority.as_str().contains('@') || (port.is_some() && authority.port_u16().is_none()) {
            return Err(UnusableUrl::Unusual);
        }
        let is_here = host == "127.0.0.1" || host == "localhost";
        let is_of_aws = || AWS.iter().any(|suffix| host.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.')));
        match (read.scheme_str(), hosts) {
            (Some("http" | "https"), Hosts::ThisMachine) if is_here => Ok(Self(url.to_owned())),
            (Some("https"), Hosts::Aws) if !matches!(authority.port_u16(), None | Some(443)) => {
                Err(UnusableUrl::Unusual)
            }
            (Some("https"), Hosts::Aws) if is_of_aws() => Ok(Self(url.to_owned())),
            (Some("https"), Hosts::Aws) | (_, Hosts::ThisMachine) => Err(UnusableUrl::WrongHost),
            (_, Hosts::Aws) => Err(UnusableUrl::NotHttps),
        }
    }

    /// The URL, to send a request there and for nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// A text of others, such as an error, without the URL and its parts.
    pub fn redacted(&self, text: &str) -> String {
        let after_host = self.0.splitn(4, '/').nth(3).unwrap_or_default();
        let (path, query) = after_host.split_once('?').unwrap_or((after_host, ""));
        let mut text = text.replace(&self.0, "<the response URL>");
        for part in [after_host, query, path].into_iter().chain(query.split('&')) {
            // Shorter parts are no secret, and may be in any text.
            if part.len() > 8 {
                text = text.replace(part, "…");
            }
        }
        text
    }
}

impl std::fmt::Debug for ResponseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ResponseUrl(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/arn%3Aaws%3Acloudformation%3Aus-east-1%3A111122223333%3Astack/thaw/guid%7CPreflight%7Cguid?X-Amz-Expires=7200&X-Amz-Signature=5ec2e7";

    #[track_caller]
    fn check(url: &str, hosts: Hosts, expected: Result<(), UnusableUrl>) {
        assert_eq!(ResponseUrl::read(url, hosts).map(drop), expected, "{url}");
    }

    #[test]
    fn an_answer_goes_to_aws_by_https() {
        for url in [
            URL,
            "https://b.s3.eu-central-1.amazonaws.com:443/k",
            "https://b.s3.cn-north-1.amazonaws.com.cn/k",
            "https://B.S3.AMAZONAWS.COM/k",
        ] {
            check(url, Hosts::Aws, Ok(()));
        }
        for (url, why) in [
            ("", UnusableUrl::NoUrl),
            ("/k", UnusableUrl::NoUrl),
            ("b.s3.amazonaws.com", UnusableUrl::NotHttps),
            ("https://", UnusableUrl::NoUrl),
            ("https://b c/k", UnusableUrl::NoUrl),
            ("http://b.s3.amazonaws.com/k", UnusableUrl::NotHttps),
            ("ftp://b.s3.amazonaws.com/k", UnusableUrl::NotHttps),
            ("http://169.254.169.254/latest/meta-data", UnusableUrl::NotHttps),
            ("https://169.254.169.254/latest/meta-data", UnusableUrl::WrongHost),
            ("https://127.0.0.1/k", UnusableUrl::WrongHost),
            ("https://[::1]/k", UnusableUrl::WrongHost),
            ("https://amazonaws.com/k", UnusableUrl::WrongHost),
            ("https://evilamazonaws.com/k", UnusableUrl::WrongHost),
            ("https://s3.amazonaws.com.example.com/k", UnusableUrl::WrongHost),
            ("https://example.com/s3.amazonaws.com", UnusableUrl::WrongHost),
            ("https://example.com?s3.amazonaws.com", UnusableUrl::WrongHost),
            ("https://s3.amazonaws.com@example.com/k", UnusableUrl::Unusual),
            ("https://b.s3.amazonaws.com:8443/k", UnusableUrl::Unusual),
        ] {
            check(url, Hosts::Aws, Err(why));
        }
    }

    #[test]
    fn beside_an_emulator_nothing_leaves_this_machine() {
        for url in ["http://127.0.0.1:4600/k", "http://localhost:4600/k", "https://localhost/k"] {
            check(url, Hosts::ThisMachine, Ok(()));
        }
        for url in [URL, "http://127.0.0.1.example.com/k", "http://example.com/127.0.0.1", "http://127.0.0.2/k"] {
            check(url, Hosts::ThisMachine, Err(UnusableUrl::WrongHost));
        }
        check("http://localhost@example.com/k", Hosts::ThisMachine, Err(UnusableUrl::Unusual));
    }

    #[test]
    fn the_url_is_in_no_text() {
        let url = ResponseUrl::read(URL, Hosts::Aws).unwrap();
        let path = URL.split_once(".com").unwrap().1;
        let (resource, query) = path.split_once('?').unwrap();
        for text in [
            format!("{url:?}"),
            url.redacted(&format!("cannot send to {URL}: no route")),
            url.redacted(&format!("PUT {path} HTTP/1.1")),
            url.redacted(&format!("uri {{ path: {resource:?}, query: {query:?} }}")),
            url.redacted("the parameter X-Amz-Signature=5ec2e7 is wrong"),
        ] {
            assert!(!text.contains("5ec2e7") && !text.contains("guid"), "{text}");
        }
        assert_eq!(url.redacted("connection refused"), "connection refused");
    }
}
