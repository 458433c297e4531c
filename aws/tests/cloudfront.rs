//! What the client of CloudFront makes of refusals, from their bytes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use thaw_aws::{Cdn, Clients};
use thaw_core::{CallError, LeftOut};
use thaw_steps::ports::{CreateInvalidations, Invalidation, ReadDistributions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const TAKEN: (&str, &str) = (
    "201 Created",
    "<Invalidation xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\"><Id>I1</Id><Status>InProgress</Status>\
     <CreateTime>2026-11-22T10:00:00Z</CreateTime><InvalidationBatch><Paths><Quantity>1</Quantity><Items><Path>/a</Path>\
     </Items></Paths><CallerReference>r</CallerReference></InvalidationBatch></Invalidation>",
);

fn refusal(code: &str) -> (&'static str, String) {
    let error = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>wait</Message></Error>");
    let body =
        format!("<ErrorResponse xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\">{error}</ErrorResponse>");
    ("400 Bad Request", body)
}

/// A CloudFront that refuses so many calls with these codes and takes all others, and how many calls it has had.
async fn refusing(codes: Vec<&'static str>) -> (Cdn, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request: Vec<u8> = Vec::new();
            while !request.windows(20).any(|end| end == b"</InvalidationBatch>") {
                let mut piece = [0; 4096];
                let read = stream.read(&mut piece).await.unwrap();
                request.extend(&piece[..read]);
            }
            let nth = counted.fetch_add(1, Ordering::SeqCst);
            let (status, body) = codes.get(nth).map_or((TAKEN.0, TAKEN.1.to_owned()), |code| refusal(code));
            let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all((head + &body).as_bytes()).await.unwrap();
        }
    });
    (client(&endpoint), calls)
}

fn client(endpoint: &str) -> Cdn {
    let clients = Clients::read(|name| match name {
        "AWS_ENDPOINT_URL" => Some(endpoint.to_owned()),
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("test".to_owned()),
        "AWS_REGION" => Some("us-east-1".to_owned()),
        _ => None,
    });
    clients.unwrap().cdn()
}

/// The primary distribution E1 and its staging distribution E2, both of the bucket `archive`.
fn distribution(id: &str, is_enabled: bool) -> String {
    let origin = "<Origin><Id>s3</Id><DomainName>archive.s3.eu-central-1.amazonaws.com</DomainName></Origin>";
    let more = match id {
        "E1" => "<Staging>false</Staging><ContinuousDeploymentPolicyId>p</ContinuousDeploymentPolicyId>",
        _ => "<Staging>true</Staging>",
    };
    format!(
        "<Distribution><Id>{id}</Id><DomainName>{}.cloudfront.net</DomainName><DistributionConfig>\
         <Origins><Quantity>1</Quantity><Items>{origin}</Items></Origins>\
         <DefaultCacheBehavior><TargetOriginId>s3</TargetOriginId></DefaultCacheBehavior>\
         <Enabled>{is_enabled}</Enabled>{more}</DistributionConfig></Distribution>",
        id.to_lowercase()
    )
}

/// A CloudFront with these two, where the calls whose request line has one of these texts are denied.
async fn with_staging(denied: &'static [&'static str], is_policy_enabled: bool, is_primary_enabled: bool) -> Cdn {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request: Vec<u8> = Vec::new();
            let is_whole = |request: &[u8]| {
                let text = String::from_utf8_lossy(request).into_owned();
                text.contains("\r\n\r\n") && (text.starts_with("GET") || text.contains("</InvalidationBatch>"))
            };
            while !is_whole(&request) {
                let mut piece = [0; 4096];
                let read = stream.read(&mut piece).await.unwrap();
                request.extend(&piece[..read]);
            }
            let text = String::from_utf8_lossy(&request).into_owned();
            let line = text.lines().next().unwrap();
            let path = line.split(' ').nth(1).unwrap().trim_start_matches("/2020-05-31/");
            let path = path.split('?').next().unwrap();
            let (status, body) = match path {
                _ if denied.iter().any(|denied| line.contains(denied)) => ("403 Forbidden", refusal("AccessDenied").1),
                "distribution/E1" => ("200 OK", distribution("E1", is_primary_enabled)),
                "distribution/E2" => ("200 OK", distribution("E2", true)),
                "distribution" => {
                    let summary = |id: &str| {
                        format!(
                            "<DistributionSummary><Id>{id}</Id><DomainName>{}.cloudfront.net</DomainName>\
                             </DistributionSummary>",
                            id.to_lowercase()
                        )
                    };
                    let items: String = ["E0", "E1", "E2"].map(summary).concat();
                    let list = format!(
                        "<DistributionList><Marker></Marker><MaxItems>100</MaxItems><IsTruncated>false</IsTruncated>\
                         <Quantity>3</Quantity><Items>{items}</Items></DistributionList>"
                    );
                    ("200 OK", list)
                }
                "continuous-deployment-policy/p" => {
                    let policy = format!(
                        "<ContinuousDeploymentPolicy><Id>p</Id><ContinuousDeploymentPolicyConfig>\
                         <StagingDistributionDnsNames><Quantity>1</Quantity><Items><DnsName>e2.cloudfront.net</DnsName>\
                         </Items></StagingDistributionDnsNames><Enabled>{is_policy_enabled}</Enabled>\
                         </ContinuousDeploymentPolicyConfig></ContinuousDeploymentPolicy>"
                    );
                    ("200 OK", policy)
                }
                _ => (TAKEN.0, TAKEN.1.to_owned()),
            };
            let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all((head + &body).as_bytes()).await.unwrap();
        }
    });
    client(&endpoint)
}

/// What is invalidated where only E1 is named, and what is left out.
async fn of_the_primary(cdn: &Cdn) -> (Vec<String>, Vec<(String, LeftOut)>) {
    let read = cdn.distributions("archive", &["E1".to_owned()]).await.unwrap();
    assert!(read.shown.iter().all(|one| one.has_origin("archive")));
    (read.shown.into_iter().map(|one| one.id).collect(), read.left_out)
}

#[tokio::test]
async fn a_staging_distribution_is_found_by_its_primary_while_its_policy_is_enabled() {
    let found = async |is_policy_enabled, is_primary_enabled| {
        of_the_primary(&with_staging(&[], is_policy_enabled, is_primary_enabled).await).await
    };
    assert_eq!(found(true, true).await, (vec!["E1".to_owned(), "E2".to_owned()], vec![]));
    assert_eq!(found(false, true).await, (vec!["E1".to_owned()], vec![]));
    assert_eq!(found(true, false).await, (vec![], vec![("E1".to_owned(), LeftOut::Disabled)]));
}

#[tokio::test]
async fn who_may_not_look_for_a_staging_distribution_is_told_of_it_and_has_the_primary() {
    let not_named = ("e2.cloudfront.net".to_owned(), LeftOut::NotNamed);
    for (denied, left_out) in [
        (&["distribution HTTP", "distribution? "][..], not_named.clone()),
        (&["/distribution/E2"][..], not_named),
        (&["/continuous-deployment-policy/p"][..], ("p".to_owned(), LeftOut::PolicyDenied)),
    ] {
        let cdn = with_staging(denied, true, true).await;
        assert_eq!(of_the_primary(&cdn).await, (vec!["E1".to_owned()], vec![left_out]), "{denied:?}");
    }
}

#[tokio::test]
async fn either_refusal_of_the_quota_is_asked_again_at_the_pace() {
    let (cdn, calls) = refusing(vec!["TooManyInvalidationsInProgress", "Throttling"]).await;
    let taken = cdn.invalidate("E1", &["/a".to_owned()], "r").await.unwrap();
    assert_eq!(taken, Invalidation::Accepted { id: "I1".to_owned(), completed: false });
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn who_has_no_patience_is_told_what_cloudfront_said_and_the_sdk_asks_no_more() {
    for (code, trouble) in
        [("TooManyInvalidationsInProgress", CallError::TooManyInvalidations), ("Throttling", CallError::Throttled)]
    {
        let (cdn, calls) = refusing(vec![code; 9]).await;
        let error = cdn.patient(Duration::ZERO).invalidate("E1", &["/a".to_owned()], "r").await.unwrap_err();
        assert_eq!(error.trouble, Some(trouble), "{error}");
        assert_eq!(calls.load(Ordering::SeqCst), 1, "{code}");
    }
}
