//! One `GetItem` per event, with nothing around it: what Rust and the AWS SDK cost at least.

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::{Client, Config, types::AttributeValue};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let tls = Provider::Rustls(CryptoMode::Ring);
    let credentials =
        Credentials::new(var("AWS_ACCESS_KEY_ID")?, var("AWS_SECRET_ACCESS_KEY")?, None, None, "environment");
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(var("AWS_REGION")?))
        .credentials_provider(credentials)
        .endpoint_url(var("AWS_ENDPOINT_URL_DYNAMODB")?)
        .http_client(aws_smithy_http_client::Builder::new().tls_provider(tls).build_https())
        .build();
    let (client, table) = (&Client::from_conf(config), &var("LEDGER_TABLE")?);
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| async move {
        let restore = event.payload["restore"].as_str().unwrap_or_default();
        let key = [("pk", format!("R#{restore}")), ("sk", "restore".to_owned())];
        let key = key.map(|(name, value)| (name.to_owned(), AttributeValue::S(value))).into();
        let got = client.get_item().table_name(table).set_key(Some(key)).consistent_read(true).send().await?;
        Ok::<_, Error>(json!({"error": event.payload["error"], "found": got.item.is_some()}))
    }))
    .await
}

fn var(name: &str) -> Result<String, Error> {
    std::env::var(name).map_err(|_| format!("the environment has no {name}").into())
}
