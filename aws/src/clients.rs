//! What all clients share: the connection pool, credentials, Region and endpoints.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Region, RequestChecksumCalculation, ResponseChecksumValidation, StalledStreamProtectionConfig,
};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_types::SdkConfig;
use thaw_core::RESTORES_PER_SECOND;
use thaw_custom_resource::Hosts;

use crate::s3control::AsItIs;
use crate::signed_get::SignedGet;
use crate::{
    Archive, Buckets, Bus, Cdn, DeadLetterQueue, Executions, Https, Jobs, Lambda, LedgerTable, NewJobs, Queue, Stack,
    WorkBucket,
};

/// Makes the clients of AWS's services, each on request.
#[derive(Debug, Clone)]
pub struct Clients {
    shared: SdkConfig,
    credentials: Credentials,
    region: String,
    /// In the order of [`Service::ALL`]; `None` is AWS's own endpoint.
    endpoints: [Option<String>; Service::ALL.len()],
    /// The restores per second that S3 takes from the account.
    restores_per_second: u32,
    /// Whether this is the local stack, which no call leaves.
    is_local: bool,
}

/// Why a function cannot start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// Lambda sets this variable for every function.
    #[error("the environment has no {0}")]
    Missing(&'static str),
    /// The template sets this variable.
    #[error("RESTORES_PER_SECOND is {0:?}, not a number from 1 up")]
    RestoresPerSecond(String),
    /// On the local stack no call may leave the machine.
    #[error("THAW_LOCAL is set, but {service} would be called at {endpoint}: only 127.0.0.1 and localhost may be")]
    LeavesTheMachine {
        /// The service.
        service: &'static str,
        /// The endpoint that it would have.
        endpoint: String,
    },
}

/// The services by the names in `AWS_ENDPOINT_URL_…` (SDKs and Tools Reference Guide, "Service-specific endpoints").
#[derive(Debug, Clone, Copy)]
enum Service {
    S3,
    S3Control,
    CloudFront,
    DynamoDb,
    StepFunctions,
    EventBridge,
    Sqs,
    Lambda,
    CloudFormation,
}

impl Service {
    const ALL: [Self; 9] = [
        Self::S3,
        Self::S3Control,
        Self::CloudFront,
        Self::DynamoDb,
        Self::StepFunctions,
        Self::EventBridge,
        Self::Sqs,
        Self::Lambda,
        Self::CloudFormation,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::S3 => "S3",
            Self::S3Control => "S3_CONTROL",
            Self::CloudFront => "CLOUDFRONT",
            Self::DynamoDb => "DYNAMODB",
            Self::StepFunctions => "SFN",
            Self::EventBridge => "EVENTBRIDGE",
            Self::Sqs => "SQS",
            Self::Lambda => "LAMBDA",
            Self::CloudFormation => "CLOUDFORMATION",
        }
    }
}

impl Clients {
    /// Reads credentials, Region and endpoints from the environment, as Lambda sets them.
    ///
    /// No other source is tried. Profiles, STS and instance metadata have no place in a function, and code that is not
    /// linked starts fastest.
    pub fn from_env() -> Result<Self, StartError> {
        Self::read(|name| std::env::var(name).ok())
    }

    /// The same with a function that answers environment variables.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, StartError> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let need = |name: &'static str| variable(name).ok_or(StartError::Missing(name));
        let general = variable("AWS_ENDPOINT_URL");
        let endpoints = Service::ALL
            .map(|service| variable(&format!("AWS_ENDPOINT_URL_{}", service.as_str())).or_else(|| general.clone()));
        let is_local = variable("THAW_LOCAL").is_some();
        if is_local {
            stays_on_this_machine(&endpoints)?;
        }
        let restores_per_second = match variable("RESTORES_PER_SECOND") {
            None => RESTORES_PER_SECOND,
            Some(set) => match set.parse() {
                Ok(0) | Err(_) => return Err(StartError::RestoresPerSecond(set)),
                Ok(restores) => restores,
            },
        };
        let credentials = Credentials::new(
            need("AWS_ACCESS_KEY_ID")?,
            need("AWS_SECRET_ACCESS_KEY")?,
            variable("AWS_SESSION_TOKEN"),
            None,
            "environment",
        );
        let region = need("AWS_REGION")?;
        let shared = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.clone()))
            .credentials_provider(SharedCredentialsProvider::new(credentials.clone()))
            // Not aws-lc, the SDK's default: the jitter entropy of its first TLS connection costs 25 ms of CPU, some
            // 360 ms on the share of 128 MB (measured; ring 1.5 ms).
            .http_client(
                aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https(),
            )
            .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
            .retry_config(RetryConfig::standard())
            .timeout_config(timeouts())
            // It guards long downloads. Here they have a few kilobytes, and a timeout.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            // The signature covers the body already.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .build();
        Ok(Self { shared, credentials, region, endpoints, restores_per_second, is_local })
    }

    /// The archive buckets.
    pub fn archive(&self) -> Archive {
        // More attempts than usual, because many concurrent calls are normal here.
        let config = self.s3().retry_config(RetryConfig::standard().with_max_attempts(6));
        Archive::new(config, self.restores_per_second)
    }

    /// The configurations of the archive buckets of this account.
    pub fn buckets(&self, account: String) -> Buckets {
        Buckets::new(self.s3(), account)
    }

    /// The work bucket.
    pub fn work_files(&self, bucket: String) -> WorkBucket {
        WorkBucket::new(self.s3(), bucket)
    }

    fn s3(&self) -> aws_sdk_s3::config::Builder {
        let config = aws_sdk_s3::config::Builder::from(&self.shared_at(Service::S3));
        // A bucket name in front of an IP address or `localhost` does not resolve.
        let local = self.endpoint(Service::S3).is_some_and(is_loopback);
        config.force_path_style(local)
    }

    /// The jobs of this account.
    pub fn jobs(&self, account: String) -> Jobs {
        let config = aws_sdk_s3control::config::Builder::from(&self.shared_at(Service::S3Control));
        let config = match self.endpoint(Service::S3Control).filter(|endpoint| is_loopback(endpoint)) {
            Some(local) => config.endpoint_resolver(AsItIs(local.to_owned())),
            None => config,
        };
        Jobs::new(aws_sdk_s3control::Client::from_conf(config.build()), account)
    }

    /// New jobs of this account, with lists in this bucket. S3 works on them in this role.
    pub fn new_jobs(&self, account: String, role: String, work_bucket: String) -> NewJobs {
        NewJobs::new(self.jobs(account), role, work_bucket)
    }

    /// CloudFront.
    pub fn cdn(&self) -> Cdn {
        let config = aws_sdk_cloudfront::config::Builder::from(&self.shared_at(Service::CloudFront));
        // A simulator's distributions change as fast as its clock runs.
        let keep = if self.endpoint(Service::CloudFront).is_some() { Duration::ZERO } else { crate::cloudfront::KEPT };
        // The API of CloudFront takes a few calls a second.
        Cdn::new(config.retry_config(RetryConfig::standard().with_max_attempts(5)), keep)
    }

    /// The ledger in this table.
    pub fn ledger(&self, table: String) -> LedgerTable {
        LedgerTable::new(aws_sdk_dynamodb::Client::new(&self.shared_at(Service::DynamoDb)), table)
    }

    /// The executions of this state machine.
    pub fn executions(&self, machine_arn: String) -> Executions {
        Executions::new(aws_sdk_sfn::Client::new(&self.shared_at(Service::StepFunctions)), machine_arn)
    }

    /// The default event bus.
    pub fn bus(&self) -> Bus {
        Bus::new(aws_sdk_eventbridge::Client::new(&self.shared_at(Service::EventBridge)))
    }

    /// The queue at this URL. `pace` is how many seconds of thaw's time pass in a second.
    pub fn queue(&self, queue_url: String, pace: f64) -> Queue {
        Queue::new(aws_sdk_sqs::Client::new(&self.shared_at(Service::Sqs)), queue_url, pace)
    }

    /// The dead-letter queue at this URL.
    pub fn dead_letters(&self, queue_url: String) -> DeadLetterQueue {
        DeadLetterQueue::new(aws_sdk_sqs::Client::new(&self.shared_at(Service::Sqs)), queue_url)
    }

    /// Lambda's API.
    pub fn lambda(&self) -> Lambda {
        Lambda::new(self.signed_get("lambda", Service::Lambda))
    }

    /// The stack with this ARN.
    pub fn stack(&self, id: String) -> Stack {
        Stack::new(self.signed_get("cloudformation", Service::CloudFormation), id)
    }

    fn signed_get(&self, name: &'static str, service: Service) -> SignedGet {
        let of_aws = || format!("https://{name}.{}.amazonaws.com", self.region);
        let endpoint = self.endpoint(service).map_or_else(of_aws, |url| url.trim_end_matches('/').to_owned());
        SignedGet::new(name, endpoint, self.region.clone(), self.credentials.clone())
    }

    /// The Region of the function.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Plain HTTPS, for the answers to CloudFormation.
    pub fn https(&self) -> Https {
        Https::new()
    }

    /// The hosts at which CloudFormation may be answered.
    pub fn answerable_hosts(&self) -> Hosts {
        if self.is_local { Hosts::ThisMachine } else { Hosts::Aws }
    }

    fn endpoint(&self, service: Service) -> Option<&str> {
        self.endpoints[service as usize].as_deref()
    }

    fn shared_at(&self, service: Service) -> SdkConfig {
        let mut config = self.shared.to_builder();
        config.set_endpoint_url(self.endpoint(service).map(str::to_owned));
        config.build()
    }
}

/// Calls only wait for the service itself: answers come in milliseconds, and those of CloudFront in a second or two.
/// The SDK retries after a timeout; every call here may be sent twice.
fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .read_timeout(Duration::from_secs(15))
        .operation_attempt_timeout(Duration::from_secs(30))
        .build()
}

fn stays_on_this_machine(endpoints: &[Option<String>]) -> Result<(), StartError> {
    for (service, endpoint) in Service::ALL.into_iter().zip(endpoints) {
        let endpoint = endpoint.as_deref().unwrap_or("AWS itself");
        if !is_loopback(endpoint) {
            return Err(StartError::LeavesTheMachine { service: service.as_str(), endpoint: endpoint.to_owned() });
        }
    }
    Ok(())
}

/// Whether a URL is certainly on this machine. An unusual URL counts as elsewhere.
fn is_loopback(endpoint: &str) -> bool {
    let Some(rest) = endpoint.strip_prefix("http://").or_else(|| endpoint.strip_prefix("https://")) else {
        return false;
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        Some(_) => return false,
        None => authority,
    };
    host == "127.0.0.1" || host == "localhost"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(extra: &[(&str, &str)]) -> Result<Clients, StartError> {
        let base = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_REGION", "eu-central-1")];
        let find =
            |name: &str| extra.iter().chain(&base).find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Clients::read(find)
    }

    #[test]
    fn on_aws_nothing_but_lambdas_own_variables_is_needed() {
        let clients = start(&[]).unwrap();
        assert_eq!((clients.endpoint(Service::S3), clients.answerable_hosts()), (None, Hosts::Aws));
        assert_eq!(start(&[("AWS_REGION", "")]).unwrap_err(), StartError::Missing("AWS_REGION"));
    }

    #[test]
    fn a_services_own_endpoint_goes_before_the_general_one() {
        let clients =
            start(&[("AWS_ENDPOINT_URL", "http://127.0.0.1:1"), ("AWS_ENDPOINT_URL_SFN", "http://localhost:2")]);
        let clients = clients.unwrap();
        assert_eq!(clients.endpoint(Service::S3), Some("http://127.0.0.1:1"));
        assert_eq!(clients.endpoint(Service::StepFunctions), Some("http://localhost:2"));
    }

    #[test]
    fn the_accounts_quota_is_a_number() {
        let set = |value| start(&[("RESTORES_PER_SECOND", value)]).map(|clients| clients.restores_per_second);
        assert_eq!((set(""), set("1"), set("30000")), (Ok(1_000), Ok(1), Ok(30_000)));
        for bad in ["0", "-1", "1.5", "fast"] {
            assert_eq!(set(bad), Err(StartError::RestoresPerSecond(bad.to_owned())));
        }
    }

    #[test]
    fn the_local_stack_never_calls_aws() {
        let local = ("THAW_LOCAL", "1");
        let here = ("AWS_ENDPOINT_URL", "http://127.0.0.1:4600");
        assert_eq!(start(&[local, here]).unwrap().answerable_hosts(), Hosts::ThisMachine);
        let error = start(&[local]).unwrap_err();
        assert_eq!(error, StartError::LeavesTheMachine { service: "S3", endpoint: "AWS itself".to_owned() });
        for elsewhere in [
            "https://s3.amazonaws.com",
            "http://127.0.0.1.example.com",
            "http://127.0.0.1@example.com",
            "http://127.0.0.1:80@example.com",
            "http://example.com/127.0.0.1",
            "http://localhost.example.com:80",
            "127.0.0.1",
        ] {
            let start = start(&[local, here, ("AWS_ENDPOINT_URL_DYNAMODB", elsewhere)]);
            assert!(start.is_err(), "{elsewhere}");
        }
    }
}
