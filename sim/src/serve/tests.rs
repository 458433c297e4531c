//! The servers over real sockets, with a clock that is moved by hand.

use super::http::{read, reply};
use super::server::{Options, Server, bind, listen};
use crate::Clock;
use crate::model::Settings;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::mpsc;

struct Stage {
    server: Server,
    clock: Clock,
    messages: mpsc::UnboundedReceiver<Value>,
}

struct Answer {
    status: u16,
    headers: hyper::HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// A server with an archive bucket and a distribution before it, and somebody who plays SQS.
async fn stage() -> Stage {
    stage_with_depth(None).await
}

/// The same, and SQS says that its queues hold so many messages.
async fn stage_with_depth(depth: Option<&'static str>) -> Stage {
    let start: Timestamp = "2026-03-02T12:00:00Z".parse().expect("it is a time");
    let clock = Clock::manual(start);
    let (sender, messages) = mpsc::unbounded_channel();
    let sqs = bind(0).await.expect("a port is free");
    let sqs_endpoint = Some(format!("http://{}", sqs.local_addr().expect("it is bound")));
    tokio::spawn(listen(sqs, move |request: Request<Incoming>| {
        let sender = sender.clone();
        async move {
            let operation = request.headers()["x-amz-target"].to_str().expect("it is text").to_owned();
            if let (Some(depth), "AmazonSQS.GetQueueAttributes") = (depth, operation.as_str()) {
                let answer = json!({ "Attributes": { "ApproximateNumberOfMessages": depth } });
                return reply(200, "application/x-amz-json-1.0", answer.to_string());
            }
            assert_eq!(operation, "AmazonSQS.SendMessageBatch");
            let batch: Value = serde_json::from_slice(&read(request.into_body()).await).expect("it is JSON");
            for entry in batch["Entries"].as_array().expect("a batch has entries") {
                let message = json!({ "QueueUrl": batch["QueueUrl"], "MessageBody": entry["MessageBody"] });
                sender.send(message).expect("the test still listens");
            }
            reply(200, "application/x-amz-json-1.0", "{}")
        }
    }));
    let (s3_port, cloudfront_port, edge_port) = (0, 0, 0);
    let settings = Settings::default();
    let options = Options { s3_port, cloudfront_port, edge_port, clock: clock.clone(), sqs_endpoint, settings };
    let server = Server::start(options).await.expect("ports are free");
    let stage = Stage { server, clock, messages };
    stage.control("buckets", json!({ "name": "archive", "versioned": true })).await;
    stage.control("queues", json!({ "initiated": "http://q/1/initiated", "completed": "http://q/1/completed" })).await;
    let custom = json!([{ "error_code": 403, "error_caching_min_ttl": 86_400 }]);
    let origins = json!([{ "id": "archive", "bucket": "archive" }]);
    let config = json!({ "id": "E1", "origins": origins, "custom_error_responses": custom });
    stage.control("distributions", config).await;
    stage
}

impl Stage {
    async fn control(&self, what: &str, body: Value) -> Answer {
        let url = format!("{}/_sim/{what}", self.server.cloudfront_url());
        let answer = ask(Method::POST, &url, &[], body.to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer
    }

    async fn s3(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let signed = [("authorization", "AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/s3/aws4_request")];
        let headers = [&signed[..], headers].concat();
        ask(method, &format!("{}{path}", self.server.s3_url()), &headers, body.to_owned()).await
    }

    async fn view(&self, path: &str) -> Answer {
        ask(Method::GET, &format!("{}{path}", self.server.edge_url()), &[], String::new()).await
    }

    async fn message(&mut self) -> Value {
        self.messages.recv().await.expect("somebody plays SQS")
    }

    fn advance(&self, hours: i64) {
        self.clock.advance(SignedDuration::from_hours(hours));
        self.server.wake();
    }
}

async fn ask(method: Method, url: &str, headers: &[(&str, &str)], body: String) -> Answer {
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body))).expect("it is a request");
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let (parts, body) = client.request(request).await.expect("the server answers").into_parts();
    let body = String::from_utf8_lossy(&read(body).await).into_owned();
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

const GLACIER: (&str, &str) = ("x-amz-storage-class", "GLACIER");
const RESTORE: &str = r#"<RestoreRequest xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Days>3</Days>
    <GlacierJobParameters><Tier>Standard</Tier></GlacierJobParameters></RestoreRequest>"#;

#[tokio::test]
async fn a_buckets_configurations_are_answered_as_they_were_written() {
    let stage = stage().await;
    let call = async |method: Method, what: &str, body: &str| {
        let answer = stage.s3(method, &format!("/archive?{what}"), &[], body).await;
        (answer.status, answer.body)
    };
    let has = |(status, body): (u16, String), expected: u16, words: &str| {
        assert_eq!((status, body.contains(words)), (expected, true), "{body}");
    };
    has(call(Method::GET, "notification", "").await, 200, "<EventBridgeConfiguration/>");
    has(call(Method::GET, "encryption", "").await, 200, "<SSEAlgorithm>AES256</SSEAlgorithm>");
    has(call(Method::GET, "lifecycle", "").await, 404, "<Code>NoSuchLifecycleConfiguration</Code>");
    has(call(Method::GET, "policy=", "").await, 404, "<Code>NoSuchBucketPolicy</Code>");
    let rules = "<LifecycleConfiguration><Rule><ID>r</ID></Rule></LifecycleConfiguration>";
    let policy = r#"{"Version":"2012-10-17","Statement":[]}"#;
    for (what, body, saved, removed) in
        [("lifecycle", rules, 200, "NoSuchLifecycleConfiguration"), ("policy", policy, 204, "NoSuchBucketPolicy")]
    {
        assert_eq!(call(Method::PUT, what, body).await, (saved, String::new()));
        assert_eq!(call(Method::GET, what, "").await, (200, body.to_owned()));
        assert_eq!(call(Method::DELETE, what, "").await, (204, String::new()));
        has(call(Method::GET, what, "").await, 404, removed);
    }
    has(call(Method::PUT, "lifecycle", "<Policy/>").await, 400, "MalformedXML");
    has(call(Method::PUT, "policy", "{}").await, 400, "MalformedPolicy");
    let missing = stage.s3(Method::GET, "/nowhere?policy", &[], "").await;
    assert_eq!((missing.status, missing.body.contains("NoSuchBucket<")), (404, true), "{}", missing.body);
    let faults = json!({ "rules": [{ "operation": "GetBucketPolicy", "code": "AccessDenied", "status": 403 }] });
    stage.control("faults", faults).await;
    has(call(Method::GET, "policy", "").await, 403, "<Code>AccessDenied</Code>");
}

#[tokio::test]
async fn a_bucket_that_does_not_send_its_events_is_silent() {
    let mut stage = stage().await;
    let off = stage.s3(Method::PUT, "/archive?notification", &[], "<NotificationConfiguration/>").await;
    assert_eq!(off.status, 200, "{}", off.body);
    for key in ["silent.txt", "told.txt"] {
        let path = format!("/archive/{key}");
        assert_eq!(stage.s3(Method::PUT, &path, &[GLACIER], "content").await.status, 200);
        assert_eq!(stage.s3(Method::POST, &format!("{path}?restore"), &[], RESTORE).await.status, 202);
        stage.advance(1);
        if key == "silent.txt" {
            let on = "<NotificationConfiguration><EventBridgeConfiguration/></NotificationConfiguration>";
            stage.s3(Method::PUT, "/archive?notification", &[], on).await;
        }
    }
    let body = stage.message().await.to_string();
    assert!(body.contains("told.txt") && !body.contains("silent.txt"), "{body}");
}

#[tokio::test]
async fn an_object_is_put_restored_announced_and_seen_again() {
    let mut stage = stage().await;
    let put = stage.s3(Method::PUT, "/archive/a%20b.txt", &[GLACIER], "content").await;
    assert_eq!(put.status, 200, "{}", put.body);
    let version = put.header("x-amz-version-id").to_owned();
    let path = format!("/archive/a%20b.txt?versionId={version}");

    let cold = stage.s3(Method::GET, "/archive/a%20b.txt", &[], "").await;
    assert_eq!(cold.status, 403);
    assert!(cold.body.contains("<Code>InvalidObjectState</Code>"), "{}", cold.body);
    assert!(cold.body.contains("<StorageClass>GLACIER</StorageClass>"), "{}", cold.body);
    assert_eq!(stage.view("/a%20b.txt").await.header("x-cache"), "Error from cloudfront");

    let restore = format!("/archive/a%20b.txt?restore&versionId={version}");
    assert_eq!(stage.s3(Method::POST, &restore, &[], RESTORE).await.status, 202);
    let again = stage.s3(Method::POST, &restore, &[], RESTORE).await;
    assert_eq!(again.status, 409);
    assert!(again.body.contains("<Code>RestoreAlreadyInProgress</Code>"), "{}", again.body);
    let head = stage.s3(Method::HEAD, &path, &[], "").await;
    assert_eq!(head.header("x-amz-restore"), r#"ongoing-request="true""#);
    assert_eq!(head.header("x-amz-storage-class"), "GLACIER");
    let initiated = stage.message().await;
    assert_eq!(initiated["QueueUrl"], "http://q/1/initiated");

    stage.advance(5);
    let completed = stage.message().await;
    assert_eq!(completed["QueueUrl"], "http://q/1/completed");
    let event: Value = serde_json::from_str(completed["MessageBody"].as_str().unwrap_or_default()).expect("JSON");
    assert_eq!(event["detail-type"], "Object Restore Completed");
    assert_eq!(event["detail"]["object"]["key"], "a b.txt");
    assert_eq!(event["detail"]["object"]["version-id"], version.as_str());
    let head = stage.s3(Method::HEAD, &path, &[], "").await;
    let done = r#"ongoing-request="false", expiry-date="Fri, 06 Mar 2026 00:00:00 GMT""#;
    assert_eq!(head.header("x-amz-restore"), done);
    assert_eq!(stage.s3(Method::GET, &path, &[], "").await.body, "content");
    assert_eq!(stage.s3(Method::POST, &restore, &[], RESTORE).await.status, 200, "the copy is extended");

    assert_eq!(stage.view("/a%20b.txt").await.status, 403, "the edge remembers");
    let batch = r#"<InvalidationBatch xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/"><Paths><Quantity>1</Quantity>
        <Items><Path>/a%20b.txt</Path></Items></Paths><CallerReference>r</CallerReference></InvalidationBatch>"#;
    let url = format!("{}/2020-05-31/distribution/E1/invalidation", stage.server.cloudfront_url());
    let made = ask(Method::POST, &url, &[], batch.to_owned()).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert!(made.body.contains("<Status>InProgress</Status>"), "{}", made.body);
    stage.advance(1);
    let id = made.header("location").rsplit('/').next().unwrap_or_default().to_owned();
    let look = ask(Method::GET, &format!("{url}/{id}"), &[], String::new()).await;
    assert!(look.body.contains("<Status>Completed</Status>"), "{}", look.body);
    let seen = stage.view("/a%20b.txt").await;
    assert_eq!((seen.status, seen.body.as_str(), seen.header("x-cache")), (200, "content", "Miss from cloudfront"));
    assert_eq!(stage.view("/a%20b.txt").await.header("x-cache"), "Hit from cloudfront");
}

/// As measured at S3 itself (hackmd.io/@jdno/r13gNdn82; yetanothermichael.com, "The Problem With Plus Signs and S3 Objects").
#[tokio::test]
async fn a_plus_in_a_path_is_a_blank() {
    let stage = stage().await;
    for key in ["a%20b", "a%2Bb%2Bc", "a%252Bb"] {
        assert_eq!(stage.s3(Method::PUT, &format!("/archive/{key}"), &[], "content").await.status, 200, "{key}");
    }
    for (path, status) in [
        ("a%20b", 200),
        ("a+b", 200),
        ("a%2Bb", 404),
        ("a%2Bb%2Bc", 200),
        ("a+b+c", 404),
        ("a%20b%20c", 404),
        ("a%252Bb", 200),
        ("a+b?x=1+1", 200),
    ] {
        for method in [Method::GET, Method::HEAD] {
            assert_eq!(stage.s3(method, &format!("/archive/{path}"), &[], "").await.status, status, "{path}");
        }
    }
}

#[tokio::test]
async fn a_listing_tells_of_restores_if_asked() {
    let stage = stage().await;
    stage.s3(Method::PUT, "/archive/k", &[GLACIER], "").await;
    stage.s3(Method::POST, "/archive/k?restore", &[], RESTORE).await;
    let asking = [("x-amz-optional-object-attributes", "RestoreStatus")];
    let asked = stage.s3(Method::GET, "/archive?list-type=2", &asking, "").await;
    assert!(asked.body.contains("<IsRestoreInProgress>true</IsRestoreInProgress>"), "{}", asked.body);
    let plain = stage.s3(Method::GET, "/archive?list-type=2", &[], "").await;
    assert!(!plain.body.contains("RestoreStatus"), "{}", plain.body);
}

#[tokio::test]
async fn a_signed_stream_is_stored_without_its_signature() {
    let stage = stage().await;
    let streaming = [
        ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        ("content-encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", "7"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
    ];
    let body = "7\r\ncontent\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n";
    assert_eq!(stage.s3(Method::PUT, "/archive/k", &streaming, body).await.status, 200);
    assert_eq!(stage.s3(Method::GET, "/archive/k", &[], "").await.body, "content");
}

#[tokio::test]
async fn faults_reach_the_wire_with_their_code_and_status() {
    let stage = stage().await;
    let slow = json!({ "operation": "HeadObject", "code": "SlowDown", "times": 1 });
    let throttled = json!({ "operation": "ListInvalidations", "code": "Throttling", "message": "Rate exceeded" });
    stage.control("faults", json!({ "rules": [slow, throttled] })).await;
    assert_eq!(stage.s3(Method::HEAD, "/archive/k", &[], "").await.status, 503);
    assert_eq!(stage.s3(Method::HEAD, "/archive/k", &[], "").await.status, 404);
    let url = format!("{}/2020-05-31/distribution/E1/invalidation", stage.server.cloudfront_url());
    let answer = ask(Method::GET, &url, &[], String::new()).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("<Code>Throttling</Code><Message>Rate exceeded</Message>"), "{}", answer.body);
}

#[tokio::test]
async fn a_control_call_with_a_typo_is_refused() {
    let stage = stage().await;
    let url = format!("{}/_sim/buckets", stage.server.cloudfront_url());
    let answer = ask(Method::POST, &url, &[], r#"{"name":"b","version":true}"#.to_owned()).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("unknown field"), "{}", answer.body);
}

#[tokio::test]
async fn very_many_objects_are_laid_down_at_once_and_told_of_in_numbers() {
    let mut stage = stage().await;
    let series = json!({ "prefix": "2019/", "suffix": ".jpg", "count": 1_500, "digits": 4, "storage_class": "GLACIER", "size": 7_000 });
    let seeded = stage.control("seed", json!({ "bucket": "archive", "objects": [series] })).await;
    assert_eq!(seeded.body.trim(), r#"{"objects":1500}"#);
    let page = stage.s3(Method::GET, "/archive?list-type=2&prefix=2019/&start-after=2019/0498.jpg", &[], "").await;
    assert_eq!(page.body.matches("<Size>7000</Size>").count(), 1_000);
    assert!(page.body.contains("<Key>2019/0499.jpg</Key>") && page.body.contains("<IsTruncated>true</IsTruncated>"));

    for key in ["2019/0000.jpg", "2019/0001.jpg"] {
        assert_eq!(stage.s3(Method::POST, &format!("/archive/{key}?restore"), &[], RESTORE).await.status, 202);
        stage.message().await;
    }
    stage.advance(5);
    stage.message().await;
    let summary = stage.control("summary", json!({ "bucket": "archive", "prefix": "2019/" })).await;
    let summary: Value = serde_json::from_str(&summary.body).expect("JSON");
    assert_eq!(summary["objects"], json!({ "none": 1_498, "ongoing": 0, "copy": 2 }));
    assert_eq!(summary["restore_calls"]["objects"], 2);
    assert_eq!(summary["restore_calls"]["sum"]["started"], 2);
    assert_eq!(summary["events"]["sent"], json!({ "initiated": 2, "completed": 2, "expired": 0 }));
    let elsewhere = stage.control("summary", json!({ "bucket": "archive", "prefix": "2020/" })).await;
    let elsewhere: Value = serde_json::from_str(&elsewhere.body).expect("JSON");
    assert_eq!(elsewhere["objects"], json!({ "none": 0, "ongoing": 0, "copy": 0 }));
}

#[tokio::test]
async fn a_queue_that_nobody_reads_is_not_filled_further_and_holds_no_other_queue_up() {
    let mut stage = stage_with_depth(Some("500")).await;
    stage.control("seed", json!({ "bucket": "archive", "objects": [{ "prefix": "k", "count": 520, "digits": 3, "storage_class": "GLACIER" }] })).await;
    for number in 0..520 {
        stage.s3(Method::POST, &format!("/archive/k{number:03}?restore"), &[], RESTORE).await;
    }
    for _ in 0..500 {
        assert_eq!(stage.message().await["QueueUrl"], "http://q/1/initiated");
    }
    stage.advance(5);
    assert_eq!(stage.message().await["QueueUrl"], "http://q/1/completed", "the other queue has room");
}

#[tokio::test]
async fn a_file_that_is_written_is_told_of_where_somebody_wants_to_know() {
    let mut stage = stage().await;
    stage.control("buckets", json!({ "name": "work" })).await;
    let created = json!({ "queue": "http://q/1/created", "bucket": "work", "prefix": "inbox/" });
    stage.control("queues", json!({ "created": created })).await;
    for path in ["/work/restores/a", "/archive/inbox/a", "/work/inbox/a%2Bb.csv"] {
        assert_eq!(stage.s3(Method::PUT, path, &[], "archive,a").await.status, 200);
    }
    let etag = stage.s3(Method::HEAD, "/work/inbox/a%2Bb.csv", &[], "").await.header("etag").replace('"', "");
    let first = stage.message().await;
    assert_eq!(first["QueueUrl"], "http://q/1/created");
    let event: Value = serde_json::from_str(first["MessageBody"].as_str().expect("it is text")).expect("it is JSON");
    assert_eq!((&event["detail-type"], &event["detail"]["bucket"]["name"]), (&json!("Object Created"), &json!("work")));
    let object = &event["detail"]["object"];
    assert_eq!((&object["key"], &object["size"], &object["etag"]), (&json!("inbox/a+b.csv"), &json!(9), &json!(etag)));

    // The same once more has another number.
    assert_eq!(stage.s3(Method::PUT, "/work/inbox/a%2Bb.csv", &[], "archive,a").await.status, 200);
    let again = stage.message().await;
    let again: Value = serde_json::from_str(again["MessageBody"].as_str().expect("it is text")).expect("it is JSON");
    assert_eq!(again["detail"]["object"]["etag"], object["etag"]);
    assert!(again["detail"]["object"]["sequencer"].as_str() > object["sequencer"].as_str());
}

#[tokio::test]
async fn a_job_is_created_confirmed_and_described_over_the_wire() {
    let stage = stage().await;
    let put = stage.s3(Method::PUT, "/archive/cold.txt", &[GLACIER], "content").await;
    let list = format!("archive,cold.txt,{}\n", put.header("x-amz-version-id"));
    let list = stage.s3(Method::PUT, "/archive/list.csv", &[], &list).await;
    let body = format!(
        r#"<CreateJobRequest xmlns="http://awss3control.amazonaws.com/doc/2018-08-20/"><ClientRequestToken>t</ClientRequestToken>
        <ConfirmationRequired>true</ConfirmationRequired><Description>r</Description>
        <Manifest><Spec><Format>S3BatchOperations_CSV_20180820</Format><Fields><member>Bucket</member><member>Key</member><member>VersionId</member></Fields></Spec>
        <Location><ObjectArn>arn:aws:s3:::archive/list.csv</ObjectArn><ETag>{}</ETag></Location></Manifest>
        <Operation><S3InitiateRestoreObject><ExpirationInDays>3</ExpirationInDays><GlacierJobTier>BULK</GlacierJobTier></S3InitiateRestoreObject></Operation>
        <Priority>10</Priority><RoleArn>arn:aws:iam::0:role/job</RoleArn>
        <Report><Bucket>arn:aws:s3:::archive</Bucket><Prefix>reports</Prefix><ReportScope>FailedTasksOnly</ReportScope></Report></CreateJobRequest>"#,
        list.header("etag").trim_matches('"'),
    );
    let account = ("x-amz-account-id", "000000000000");
    let created = stage.s3(Method::POST, "/v20180820/jobs", &[account], &body).await;
    assert_eq!(created.status, 200, "{}", created.body);
    let (_, rest) = created.body.split_once("<CreateJobResult><JobId>").expect("the answer has an id");
    let id = rest.split('<').next().unwrap_or_default().to_owned();
    let path = format!("/v20180820/jobs/{id}");
    stage.advance(1);
    let waits = stage.s3(Method::GET, &path, &[account], "").await;
    assert!(waits.body.contains("<Status>Suspended</Status>"), "{}", waits.body);
    let confirm = format!("{path}/status?requestedJobStatus=Ready");
    assert_eq!(stage.s3(Method::POST, &confirm, &[account], "").await.status, 200);
    stage.advance(1);
    let done = stage.s3(Method::GET, &path, &[account], "").await;
    assert!(done.body.contains("<Status>Complete</Status>"), "{}", done.body);
    assert!(done.body.contains("<NumberOfTasksSucceeded>1</NumberOfTasksSucceeded>"), "{}", done.body);
    let head = stage.s3(Method::HEAD, "/archive/cold.txt", &[], "").await;
    assert_eq!(head.header("x-amz-restore"), r#"ongoing-request="true""#);
    // Its errors are wrapped.
    let again = stage.s3(Method::POST, &confirm, &[account], "").await;
    assert_eq!(again.status, 400);
    assert!(again.body.contains("<ErrorResponse><Error><Code>JobStatusException</Code>"), "{}", again.body);
    let expedited = body.replace("BULK", "EXPEDITED").replace("<ClientRequestToken>t<", "<ClientRequestToken>u<");
    let refused = stage.s3(Method::POST, "/v20180820/jobs", &[account], &expedited).await;
    assert!(refused.body.contains("<Code>BadRequestException</Code>"), "{}", refused.body);
    let nothing = stage.s3(Method::POST, "/v20180820/jobs", &[account], "<CreateJobRequest></CreateJobRequest>").await;
    assert_eq!(nothing.status, 400);
}
