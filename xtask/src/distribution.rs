//! MiniStack's own bucket events and CloudFront distribution, for `--s3 ministack`.

use anyhow::{Context, Result};

use crate::aws::{Aws, xml_text};

/// Makes the bucket send its events to EventBridge, where the template's rules wait for them.
pub fn send_events_to_eventbridge(aws: &Aws, bucket: &str) -> Result<()> {
    let body = br#"<NotificationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><EventBridgeConfiguration/></NotificationConfiguration>"#;
    aws.send("s3", "PUT", &format!("/{bucket}?notification="), &[], body)?.ok("turn on bucket events").map(drop)
}

/// Creates a distribution in front of the bucket; answers its id and its domain.
pub fn create(aws: &Aws, bucket: &str) -> Result<(String, String)> {
    let body = format!(
        r#"<DistributionConfig xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/">
  <CallerReference>local-stack</CallerReference>
  <Comment>the local stack's</Comment>
  <Enabled>true</Enabled>
  <Origins><Quantity>1</Quantity><Items><Origin>
    <Id>archive</Id>
    <DomainName>{bucket}.s3.{region}.amazonaws.com</DomainName>
    <OriginPath></OriginPath>
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
    );
    let headers = [("content-type", "application/xml")];
    let answer = aws
        .send("cloudfront", "POST", "/2020-05-31/distribution", &headers, body.as_bytes())?
        .ok("create the distribution")?
        .text();
    let id = xml_text(&answer, "Id").context("the new distribution has no id")?;
    let domain = xml_text(&answer, "DomainName").context("the new distribution has no domain")?;
    Ok((id, domain))
}
