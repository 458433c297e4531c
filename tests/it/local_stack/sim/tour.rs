//! What the simulator answers and thaw does not ask: for the recorder, which has all of its answers checked.

use serde_json::{Value, json};

use crate::local_stack::stack::sim;

#[test]
fn every_operation_of_the_simulator_answers_and_refuses() {
    let stack = sim();
    let bucket = "tour-of-versions";
    let s3 = |operation: &str, parameters: Value| {
        let mut parameters = parameters;
        parameters["Bucket"] = bucket.into();
        stack.aws("s3", operation, parameters)
    };
    s3("create_bucket", json!({}));
    s3("put_bucket_versioning", json!({ "VersioningConfiguration": { "Status": "Enabled" } }));
    s3("head_bucket", json!({}));
    let names = stack.aws("s3", "list_buckets", json!({}))["Buckets"].clone();
    assert!(names.as_array().is_some_and(|all| all.iter().any(|one| one["Name"] == bucket)), "{names}");
    for class in ["STANDARD", "GLACIER", "DEEP_ARCHIVE", "INTELLIGENT_TIERING"] {
        s3("put_object", json!({ "Key": format!("tour/{class} +ü.jpg"), "Body": class, "StorageClass": class }));
    }
    let archived = "tour/GLACIER +ü.jpg";
    assert_eq!(stack.refused("s3", "get_object", json!({ "Bucket": bucket, "Key": archived })), "InvalidObjectState");
    let tier = json!({ "Days": 1, "GlacierJobParameters": { "Tier": "Bulk" } });
    s3("restore_object", json!({ "Key": archived, "RestoreRequest": tier }));
    let refused = stack.refused(
        "s3",
        "restore_object",
        json!({ "Bucket": bucket, "Key": "tour/STANDARD +ü.jpg", "RestoreRequest": tier }),
    );
    assert_eq!(refused, "InvalidObjectState");
    s3("head_object", json!({ "Key": archived }));
    let status = json!(["RestoreStatus"]);
    let listed = s3("list_objects_v2", json!({ "Prefix": "tour/", "OptionalObjectAttributes": status, "MaxKeys": 2 }));
    assert_eq!((&listed["KeyCount"], &listed["IsTruncated"]), (&json!(2), &json!(true)), "{listed}");
    s3("list_objects_v2", json!({ "Delimiter": "/", "EncodingType": "url" }));
    s3("delete_object", json!({ "Key": "tour/STANDARD +ü.jpg" }));
    let versions = s3("list_object_versions", json!({ "OptionalObjectAttributes": status }));
    assert_eq!(versions["DeleteMarkers"].as_array().map(Vec::len), Some(1), "{versions}");
    let gone = json!({ "Bucket": bucket, "Key": "tour/STANDARD +ü.jpg" });
    assert_eq!(stack.refused("s3", "get_object", gone), "NoSuchKey");
    assert_eq!(stack.refused("s3", "head_object", json!({ "Bucket": bucket, "Key": "none" })), "404");
    assert_eq!(stack.refused("s3", "list_objects_v2", json!({ "Bucket": "tour-of-nothing" })), "NoSuchBucket");
    assert_eq!(stack.refused("s3", "delete_bucket", json!({ "Bucket": bucket })), "BucketNotEmpty");
    let upload = s3("create_multipart_upload", json!({ "Key": "part" }))["UploadId"].clone();
    s3("upload_part", json!({ "Key": "part", "UploadId": upload, "PartNumber": 1, "Body": "part" }));
    s3("abort_multipart_upload", json!({ "Key": "part", "UploadId": upload }));
    let all: Vec<Value> = ["Versions", "DeleteMarkers"]
        .iter()
        .flat_map(|kind| versions[kind].as_array().into_iter().flatten())
        .map(|version| json!({ "Key": version["Key"], "VersionId": version["VersionId"] }))
        .collect();
    s3("delete_objects", json!({ "Delete": { "Objects": all } }));
    s3("delete_bucket", json!({}));

    let id = stack.entry("distribution_id");
    let cloudfront = |operation: &str, parameters: Value| stack.aws("cloudfront", operation, parameters);
    cloudfront("list_distributions", json!({}));
    cloudfront("get_distribution", json!({ "Id": id }));
    cloudfront("get_distribution_config", json!({ "Id": id }));
    let batch = |reference: &str, path: &str| {
        let batch = json!({ "CallerReference": reference, "Paths": { "Quantity": 1, "Items": [path] } });
        json!({ "DistributionId": id, "InvalidationBatch": batch })
    };
    let made = cloudfront("create_invalidation", batch("tour", "/tour"))["Invalidation"]["Id"].clone();
    cloudfront("get_invalidation", json!({ "DistributionId": id, "Id": made }));
    cloudfront("list_invalidations", json!({ "DistributionId": id, "MaxItems": "1" }));
    let refused = |operation: &str, parameters: Value| stack.refused("cloudfront", operation, parameters);
    assert_eq!(refused("create_invalidation", batch("tour", "/another")), "InvalidArgument");
    assert_eq!(refused("create_invalidation", batch("relative", "tour")), "InvalidArgument");
    assert_eq!(refused("get_distribution", json!({ "Id": "ENONE" })), "NoSuchDistribution");
    let unknown = json!({ "DistributionId": id, "Id": "INONE" });
    assert_eq!(refused("get_invalidation", unknown), "NoSuchInvalidation");

    // boto3 puts the account before the address. Nobody checks the signature, but it says whose request it is.
    let signed = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
    let headers = json!({ "Authorization": signed, "x-amz-account-id": "000000000000" });
    for (method, path) in [("GET", ""), ("POST", "/status?requestedJobStatus=Ready")] {
        let url = format!("{}/v20180820/jobs/00000000-none{path}", stack.entry("s3_endpoint_url"));
        let answer = stack.anywhere(json!({ "url": url, "method": method, "headers": headers, "sign": false }));
        assert!(answer.text.contains("<Code>NotFoundException</Code>"), "{}", answer.text);
    }
}
