//! MiniStack's own CloudFront distribution, for `--s3 ministack`; and the bucket's events and policy of either.

use anyhow::{Context, Result};
use serde_json::json;

use crate::aws::{Aws, xml_text};

/// Makes the bucket keep its events to itself, as a new one on AWS does. The stack turns them on (`ManageBucketEvents`).
pub fn send_no_events(s3: &Aws, bucket: &str) -> Result<()> {
    let body = br#"<NotificationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>"#;
    s3.send("s3", "PUT", &format!("/{bucket}?notification="), &[], body)?.ok("turn off bucket events").map(drop)
}

/// Creates a distribution in front of the private bucket; answers its id and its domain.
pub fn create(aws: &Aws, bucket: &str, origin_path: &str) -> Result<(String, String)> {
    let access_control = post(
        aws,
        "origin-access-control",
        &format!(
            r#"<OriginAccessControlConfig xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/">
  <Name>{bucket}</Name>
  <SigningProtocol>sigv4</SigningProtocol>
  <SigningBehavior>always</SigningBehavior>
  <OriginAccessControlOriginType>s3</OriginAccessControlOriginType>
</OriginAccessControlConfig>"#
        ),
    )?;
    let access_control_id = xml_text(&access_control, "Id").context("the new access control has no id")?;
    let made = post(
        aws,
        "distribution",
        &format!(
            r#"<DistributionConfig xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/">
  <CallerReference>{bucket}</CallerReference>
  <Comment>the local stack's</Comment>
  <Enabled>true</Enabled>
  <Origins><Quantity>1</Quantity><Items><Origin>
    <Id>archive</Id>
    <DomainName>{bucket}.s3.{region}.amazonaws.com</DomainName>
    <OriginPath>{origin_path}</OriginPath>
    <OriginAccessControlId>{access_control_id}</OriginAccessControlId>
    <S3OriginConfig><OriginAccessIdentity></OriginAccessIdentity></S3OriginConfig>
  </Origin></Items></Origins>
  <DefaultCacheBehavior>
    <TargetOriginId>archive</TargetOriginId>
    <ViewerProtocolPolicy>allow-all</ViewerProtocolPolicy>
    <MinTTL>0</MinTTL>
    <ForwardedValues><QueryString>false</QueryString><Cookies><Forward>none</Forward></Cookies></ForwardedValues>
  </DefaultCacheBehavior>
</DistributionConfig>"#,
            region = aws.region,
        ),
    )?;
    let field = |name: &str| xml_text(&made, name).with_context(|| format!("the new distribution has no {name}"));
    let_read(aws, bucket, &[field("ARN")?])?;
    Ok((field("Id")?, field("DomainName")?))
}

/// Lets distributions read a private bucket. They may list it, too, so that a missing key answers 404 and not 403.
pub fn let_read(s3: &Aws, bucket: &str, distributions: &[String]) -> Result<()> {
    let statement = |action: &str, resource: String| {
        json!({
            "Effect": "Allow",
            "Principal": { "Service": "cloudfront.amazonaws.com" },
            "Action": action,
            "Resource": resource,
            "Condition": { "StringEquals": { "AWS:SourceArn": distributions } },
        })
    };
    let bucket_arn = format!("arn:aws:s3:::{bucket}");
    let statements = [statement("s3:GetObject", format!("{bucket_arn}/*")), statement("s3:ListBucket", bucket_arn)];
    let policy = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
    let answer = s3.send("s3", "PUT", &format!("/{bucket}?policy="), &[], policy.as_bytes())?;
    answer.ok("let the distributions read the bucket").map(drop)
}

fn post(aws: &Aws, what: &str, body: &str) -> Result<String> {
    let headers = [("content-type", "application/xml")];
    let path = format!("/2020-05-31/{what}");
    Ok(aws.send("cloudfront", "POST", &path, &headers, body.as_bytes())?.ok(&format!("create {what}"))?.text())
}
