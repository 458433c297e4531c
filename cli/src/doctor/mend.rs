//! The commands that mend what was found, with the names filled in, for a POSIX shell with the AWS CLI. Where a configuration
//! can only be replaced as a whole, jq makes the new one of the old.

use crate::shell::quoted;

/// Deploys the stack again with one parameter changed and the others as they are.
pub fn set_parameter(stack: &str, region: &str, parameter: &str, value: &str) -> String {
    let stack = quoted(stack);
    format!(
        "aws cloudformation describe-stacks --stack-name {stack} --region {region} --query 'Stacks[0].Parameters' | jq --arg value {} 'map(if .ParameterKey == \"{parameter}\" then .ParameterValue = $value else {{ParameterKey, UsePreviousValue: true}} end)' > parameters.json && aws cloudformation update-stack --stack-name {stack} --region {region} --use-previous-template --capabilities CAPABILITY_IAM --parameters file://parameters.json",
        quoted_always(value)
    )
}

/// Sends a bucket's events to EventBridge, and keeps where they go already.
pub fn send_events(bucket: &str, region: &str, elsewhere: bool) -> String {
    if !elsewhere {
        return format!(
            "aws s3api put-bucket-notification-configuration --bucket {} --region {region} --notification-configuration '{{\"EventBridgeConfiguration\": {{}}}}'",
            quoted(bucket)
        );
    }
    change_bucket(
        bucket,
        region,
        "notification-configuration",
        "--notification-configuration",
        ". + {EventBridgeConfiguration: {}}",
    )
}

/// Moves the expiration of one lifecycle rule to a later day.
pub fn expire_after(bucket: &str, region: &str, rule: &str, days: u32) -> String {
    let rule = serde_json::Value::from(rule);
    // What is read has more fields than what may be written.
    let filter = format!("{{Rules: [.Rules[] | if .ID == {rule} then .Expiration = {{Days: {days}}} else . end]}}");
    change_bucket(bucket, region, "lifecycle-configuration", "--lifecycle-configuration", &filter)
}

/// Adds a statement to a bucket policy.
pub fn add_to_policy(bucket: &str, region: &str, statement: &serde_json::Value) -> String {
    let bucket = quoted(bucket);
    format!(
        "aws s3api get-bucket-policy --bucket {bucket} --region {region} --query Policy --output text | jq --slurp {} > policy.json && aws s3api put-bucket-policy --bucket {bucket} --region {region} --policy file://policy.json",
        quoted(&format!(
            "(.[0] // {{Version: \"2012-10-17\", Statement: []}}) | .Statement = ([.Statement] | flatten) + [{statement}]"
        ))
    )
}

/// Changes the config of a distribution by a filter of jq.
pub fn change_distribution(id: &str, filter: &str) -> String {
    format!(
        "aws cloudfront get-distribution-config --id {id} > {id}.json && jq {} {id}.json > {id}-new.json && aws cloudfront update-distribution --id {id} --if-match \"$(jq -r .ETag {id}.json)\" --distribution-config file://{id}-new.json",
        quoted(&format!(".DistributionConfig | {filter}"))
    )
}

fn change_bucket(bucket: &str, region: &str, what: &str, option: &str, filter: &str) -> String {
    let bucket = quoted(bucket);
    format!(
        "aws s3api get-bucket-{what} --bucket {bucket} --region {region} | jq {} > new.json && aws s3api put-bucket-{what} --bucket {bucket} --region {region} {option} file://new.json",
        quoted(filter)
    )
}

/// Like [`quoted`], also where a shell would not need it: the value of an option may be empty.
fn quoted_always(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}
