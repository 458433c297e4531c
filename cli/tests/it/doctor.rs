//! `thaw doctor` against services with prepared answers: its output in every form, its exit code, and what becomes of reads that
//! are denied or fail.

use serde_json::{Value, json};

use crate::api::{Api, Call, seen};
use crate::snapshots::check;

const ARN: &str = "arn:aws:cloudfront::111122223333:distribution/E1";

/// A call, as far as it says what is read.
fn name(call: &Call) -> String {
    let action = call.text.split('&').find_map(|pair| pair.strip_prefix("Action="));
    match action {
        Some(action) => action.to_owned(),
        None => call.path.clone(),
    }
}

/// A stack with two buckets, of which the first has everything as it should be and the second has much to be said of.
fn account(call: &Call) -> (u16, String) {
    let xml = |name: &str, inner: &str| (200, format!("<{name}>{inner}</{name}>"));
    match name(call).as_str() {
        "DescribeStacks" => {
            let parameter = |name: &str, value: &str| {
                format!("<member><ParameterKey>{name}</ParameterKey><ParameterValue>{value}</ParameterValue></member>")
            };
            let parameters = [
                parameter("ArchiveBuckets", "archive,second"),
                parameter("DailyBudgetUsd", "20"),
                parameter("InboxMaxCostUsd", "10"),
                parameter("JoinedMaxCostUsd", "1"),
            ];
            let inner = format!(
                "<Stacks><member><StackStatus>CREATE_COMPLETE</StackStatus><Parameters>{}</Parameters></member></Stacks>",
                parameters.concat()
            );
            xml("DescribeStacksResult", &inner)
        }
        "DescribeAlarms" => {
            let alarm = "<member><AlarmName>thaw-InboxFileAlarm-1A</AlarmName><StateValue>ALARM</StateValue><AlarmDescription>Files in the inbox could not be handled.</AlarmDescription></member>";
            xml("DescribeAlarmsResult", &format!("<MetricAlarms>{alarm}</MetricAlarms>"))
        }
        "/2016-08-19/account-settings/" => {
            (200, json!({ "AccountLimit": { "ConcurrentExecutions": 1000 } }).to_string())
        }
        "/v1/distributions" => (200, distributions("archive").to_string()),
        "/v1/distributions?bucket=second" => (200, distributions("second").to_string()),
        "/archive?notification" => xml("NotificationConfiguration", "<EventBridgeConfiguration/>"),
        "/second?notification" => xml("NotificationConfiguration", "<QueueConfiguration/>"),
        "/archive?versioning" => xml("VersioningConfiguration", ""),
        "/second?versioning" => xml("VersioningConfiguration", "<Status>Enabled</Status>"),
        "/second?versions&max-keys=1000" => xml(
            "ListVersionsResult",
            "<IsTruncated>false</IsTruncated><DeleteMarker><IsLatest>true</IsLatest></DeleteMarker>",
        ),
        "/archive?lifecycle" => (404, "<Error><Code>NoSuchLifecycleConfiguration</Code></Error>".to_owned()),
        "/second?lifecycle" => xml(
            "LifecycleConfiguration",
            "<Rule><ID>clean</ID><Status>Enabled</Status><Filter/><Expiration><Days>1</Days></Expiration></Rule>",
        ),
        "/archive?encryption" | "/second?encryption" => {
            (404, "<Error><Code>ServerSideEncryptionConfigurationNotFoundError</Code></Error>".to_owned())
        }
        "/archive?policy" => (200, policy().to_string()),
        "/second?policy" => (403, "<Error><Code>AccessDenied</Code></Error>".to_owned()),
        "/2020-05-31/distribution" => xml("DistributionList", "<IsTruncated>false</IsTruncated>"),
        "/2020-05-31/distribution/E1" => xml(
            "Distribution",
            &format!(
                "<ARN>{ARN}</ARN><DomainName>d1.cloudfront.net</DomainName><DistributionConfig><Origins><Items><Origin><Id>s3</Id><OriginAccessControlId>EC</OriginAccessControlId></Origin></Items></Origins></DistributionConfig>"
            ),
        ),
        "/2020-05-31/origin-access-control/EC" => {
            xml("OriginAccessControl", "<SigningBehavior>always</SigningBehavior>")
        }
        "/2020-05-31/distribution/E1/invalidation?MaxItems=100" => {
            let summary = |id: &str, at: &str| {
                format!("<InvalidationSummary><Id>{id}</Id><CreateTime>{at}</CreateTime></InvalidationSummary>")
            };
            let (now, long_ago) = (summary("I1", "2999-01-01T00:00:00Z"), summary("I0", "2019-01-01T00:00:00Z"));
            xml("InvalidationList", &format!("<IsTruncated>false</IsTruncated><Items>{now}{long_ago}</Items>"))
        }
        "/2020-05-31/distribution/E1/invalidation/I1" => {
            xml("Invalidation", "<InvalidationBatch><Paths><Quantity>7</Quantity></Paths></InvalidationBatch>")
        }
        other => panic!("doctor reads {other}"),
    }
}

fn distributions(bucket: &str) -> Value {
    let rewrite = json!({ "name": "rewrite\u{1b}[2J", "event": "viewer_request", "has_rule": false });
    let functions: Vec<_> = [rewrite].into_iter().filter(|_| bucket == "second").collect();
    let behaviour = json!({
        "path_pattern": "*", "query_strings": "all", "query_string_names": [], "has_variants": bucket == "second",
        "functions": functions, "has_unknown_function": false, "fails_over_on": [],
    });
    json!({
        "bucket": bucket, "archive_buckets": ["archive", "second"], "distribution_ids": ["E1"],
        "distributions": [{
            "id": "E1", "origins": [{ "id": "s3", "domain": format!("{bucket}.s3.amazonaws.com"), "path": "" }],
            "behaviours": [behaviour], "error_caching": [{ "status": 403, "seconds": 60 }],
        }],
        "left_out": [],
    })
}

fn policy() -> Value {
    let statement = |action: &str, resource: &str| {
        json!({
            "Effect": "Allow", "Principal": { "Service": "cloudfront.amazonaws.com" }, "Action": action,
            "Resource": resource, "Condition": { "StringEquals": { "AWS:SourceArn": ARN } },
        })
    };
    json!({ "Statement": [statement("s3:GetObject", "arn:aws:s3:::archive/*"), statement("s3:ListBucket", "arn:aws:s3:::archive")] })
}

fn run(answer: impl FnMut(&Call) -> (u16, String) + Send + 'static, args: &[&str]) -> (i32, String, String, Vec<Call>) {
    let api = Api::answering(answer);
    let output = api.run(&[&["doctor", "--endpoint-url", api.url()], args].concat());
    let (code, stdout, stderr) = seen(&output);
    (code, stdout, stderr, api.calls())
}

#[test]
fn what_is_found_has_a_form_for_people_and_three_for_programs() {
    let mut text = String::new();
    for form in ["table", "json", "ndjson", "csv"] {
        let (code, stdout, stderr, _) = run(account, &["--output", form]);
        assert_eq!((code, stderr.as_str()), (1, ""));
        text.push_str(&format!("$ thaw doctor --output {form}\n{stdout}\n"));
        match form {
            "json" => drop(serde_json::from_str::<Vec<Value>>(&stdout).unwrap()),
            "ndjson" => stdout.lines().for_each(|line| drop(serde_json::from_str::<Value>(line).unwrap())),
            _ => assert!(!stdout.contains('\u{1b}') || form == "csv", "{stdout}"),
        }
    }
    check("doctor", &text);
}

#[test]
fn one_bucket_without_a_problem_is_no_failure() {
    let (code, stdout, stderr, calls) = run(
        |call| match call.path.as_str() {
            "/v1/distributions?bucket=archive" => (200, distributions("archive").to_string()),
            _ => account(call),
        },
        &["--bucket", "archive"],
    );
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    assert!(stdout.contains("0 problems, 1 warning, 0 notes; 0 not known."), "{stdout}");
    assert!(!calls.iter().any(|call| call.path.starts_with("/second")));
}

#[test]
fn doctor_only_reads_and_signs_for_each_service() {
    let (.., calls) = run(account, &[]);
    assert!(calls.iter().all(|call| call.method == "GET" || call.text.starts_with("Action=Describe")));
    // S3 wants the hash of the body in a header, and a global service one Region.
    let of = |path: &str| calls.iter().find(|call| call.path == path).unwrap();
    let policy = of("/archive?policy");
    assert!(policy.header("x-amz-content-sha256").is_some_and(|hash| hash.starts_with("e3b0c442")));
    assert!(policy.header("authorization").unwrap().contains("/us-east-1/s3/aws4_request"));
    let signed = of("/2020-05-31/distribution/E1").header("authorization").unwrap();
    assert!(signed.contains("/us-east-1/cloudfront/aws4_request"), "{signed}");
}

#[test]
fn without_a_region_or_with_something_that_is_no_bucket_nothing_is_read() {
    let api = Api::answering(account);
    let run = |args: &[&str]| {
        let mut command = crate::api::thaw(&[&["doctor", "--endpoint-url", api.url()], args].concat());
        seen(&command.env_remove("AWS_REGION").output().unwrap())
    };
    let (code, stdout, stderr) = run(&[]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.starts_with("error: No Region is set."), "{stderr}");
    let (code, _, stderr) = run(&["--bucket", "s3://archive/key"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("a bucket is its name, such as my-archive"), "{stderr}");
    assert_eq!(api.calls(), []);
}

#[test]
fn whoever_may_read_nothing_is_told_what_to_have_allowed() {
    let denied = |call: &Call| match call.path.as_str() {
        "/v1/distributions" => (403, json!({ "message": "Forbidden" }).to_string()),
        _ => (403, "<Error><Code>AccessDenied</Code></Error>".to_owned()),
    };
    let (code, stdout, stderr, _) = run(denied, &[]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    check("doctor-denied", &stdout);
    let (_, stdout, _, _) = run(denied, &["--bucket", "archive"]);
    for action in [
        "s3:GetBucketNotification",
        "s3:GetBucketVersioning",
        "s3:GetLifecycleConfiguration",
        "s3:GetEncryptionConfiguration",
    ] {
        let line = format!(r#"{{"Effect": "Allow", "Action": "{action}", "Resource": "arn:aws:s3:::archive"}}"#);
        assert!(stdout.contains(&line), "{action}: {stdout}");
    }
}

#[test]
fn a_read_that_fails_is_one_line_and_no_end() {
    for (path, answer, words) in [
        (
            "/archive?policy",
            (500, "<Error><Message>We had an oops</Message></Error>"),
            "s3:GetBucketPolicy: We had an oops",
        ),
        ("/archive?lifecycle", (200, "no XML"), "s3:GetLifecycleConfiguration: the answer is not XML"),
        ("/v1/distributions?bucket=second", (404, r#"{"message":"Not Found"}"#), "is not an address of thaw's API"),
        (
            "/archive?versioning",
            (403, "<Error><Code>ExpiredToken</Code><Message>It has expired</Message></Error>"),
            "It has expired",
        ),
    ] {
        let (_, stdout, stderr, _) =
            run(move |call| if call.path == path { (answer.0, answer.1.to_owned()) } else { account(call) }, &[]);
        assert!(stdout.contains("not known: ") && stdout.contains(words), "{path}: {stdout}{stderr}");
        assert!(stdout.contains("status ") && stdout.contains("free paths"), "{stdout}");
    }
}

#[test]
fn a_bucket_that_is_missing_or_elsewhere_is_a_problem() {
    for (status, code, words) in [
        (404, "NoSuchBucket", "there is no such bucket"),
        (301, "PermanentRedirect", "it is in another Region"),
        (400, "AuthorizationHeaderMalformed", "it is in another Region"),
    ] {
        let answer = move |call: &Call| match call.path.starts_with("/second?") {
            true => (status, format!("<Error><Code>{code}</Code></Error>")),
            false => account(call),
        };
        let (exit, stdout, _, _) = run(answer, &[]);
        assert_eq!(exit, 1);
        assert!(stdout.contains(&format!("problem: bucket second, bucket: {words}")), "{stdout}");
        assert!(stdout.contains("--arg value 'archive'"), "{stdout}");
    }
    let foreign = |call: &Call| {
        match call.path.as_str() {
        "/v1/distributions?bucket=second" => {
            (403, json!({ "type": "urn:thaw:problem:foreign-bucket", "title": "", "status": 403, "detail": "It is not ours." }).to_string())
        }
        _ => account(call),
    }
    };
    let (exit, stdout, _, _) = run(foreign, &["--bucket", "second"]);
    assert_eq!(exit, 1);
    assert!(stdout.contains("problem: bucket second, distributions: it is no archive bucket of the stack"), "{stdout}");
}

#[test]
fn many_invalidations_are_counted_and_not_all_read() {
    let invalidations = |count: usize| {
        move |call: &Call| {
            let id = call.path.strip_prefix("/2020-05-31/distribution/E1/invalidation");
            match id {
                Some("?MaxItems=100") => {
                    let summary = |n: usize| {
                        format!(
                            "<InvalidationSummary><Id>I{n}</Id><CreateTime>2999-01-01T00:00:00Z</CreateTime></InvalidationSummary>"
                        )
                    };
                    let items: String = (0..count).map(summary).collect();
                    (
                        200,
                        format!(
                            "<InvalidationList><IsTruncated>false</IsTruncated><Items>{items}</Items></InvalidationList>"
                        ),
                    )
                }
                Some(_) => (
                    200,
                    "<I><InvalidationBatch><Paths><Quantity>10</Quantity></Paths></InvalidationBatch></I>".to_owned(),
                ),
                None => account(call),
            }
        }
    };
    for (count, found, reads) in [
        (60, "600 of 1000 used this month", 60),
        (61, "at least 601 of 1000 used this month", 60),
        (100, "at least 640 of 1000 used this month", 60),
    ] {
        let (_, stdout, _, calls) = run(invalidations(count), &["--bucket", "second"]);
        assert!(stdout.contains(&format!("  {found}\n")), "{stdout}");
        assert_eq!(calls.iter().filter(|call| call.path.contains("/invalidation/")).count(), reads);
    }
}

#[test]
fn a_throttled_read_is_repeated() {
    let mut refused = 0;
    let answer = move |call: &Call| {
        if call.path == "/2020-05-31/distribution/E1" && refused < 2 {
            refused += 1;
            return (400, "<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>".to_owned());
        }
        account(call)
    };
    let (_, stdout, _, calls) = run(answer, &[]);
    assert!(stdout.contains("may read archive as itself"), "{stdout}");
    assert_eq!(calls.iter().filter(|call| call.path == "/2020-05-31/distribution/E1").count(), 3);
}

#[test]
fn the_api_is_found_by_the_stack_that_is_read_anyway() {
    let api = Api::answering(|call| {
        let url = format!("http://{}", call.header("host").unwrap());
        match name(call).as_str() {
            "DescribeStacks" => {
                let output = format!("<member><OutputKey>ApiUrl</OutputKey><OutputValue>{url}</OutputValue></member>");
                let stack = format!("<StackStatus>CREATE_COMPLETE</StackStatus><Outputs>{output}</Outputs>");
                (200, format!("<R><Stacks><member>{stack}</member></Stacks></R>"))
            }
            _ => account(call),
        }
    });
    let mut command = crate::api::thaw(&["doctor", "--endpoint-url", api.url()]);
    let (_, stdout, stderr) = seen(&command.output().unwrap());
    assert!(stdout.contains("bucket archive"), "{stdout}{stderr}");
    assert_eq!(api.calls().iter().filter(|call| name(call) == "DescribeStacks").count(), 1);
}
